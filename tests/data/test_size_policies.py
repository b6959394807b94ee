import json
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from spp_keras.data import size_policies
from spp_keras.data.size_policies import Crop, Warp, Whole

lengths = st.integers(1, 700)


def windows(policy, size, count):
    places = np.random.default_rng(3).random((count, 2), "float32")
    sizes = np.tile(np.array(size, "int32"), (count, 1))
    result = policy.windows(sizes, places).numpy()
    mapped = tf.data.Dataset.from_tensors((sizes, places)).map(policy.windows)
    np.testing.assert_array_equal(next(iter(mapped)), result)
    return result


def counted(rows):
    result, counts = np.unique(rows, axis=0, return_counts=True)
    return dict(zip(map(tuple, result.tolist()), counts.tolist(), strict=True))


def test_epoch_sizes_of_a_cycle():
    assert [int(Crop(image_sizes=(224,)).epoch_size(epoch, 5)) for epoch in range(3)] == [
        224,
        224,
        224,
    ]
    alternating = Crop(image_sizes=(224, 180))
    assert [int(alternating.epoch_size(epoch, 5)) for epoch in range(5)] == [
        224,
        180,
        224,
        180,
        224,
    ]
    three = Crop(image_sizes=[7, 9, 5], short_side=9)
    result = tf.data.Dataset.range(7).map(lambda epoch: three.epoch_size(epoch, 0))
    assert list(result.as_numpy_iterator()) == [7, 9, 5, 7, 9, 5, 7]


def test_epoch_sizes_of_a_range():
    policy = Crop(image_sizes=(9, 5), schedule="range", short_side=9)

    def drawn_sizes(seed):
        result = tf.data.Dataset.range(500).map(lambda epoch: policy.epoch_size(epoch, seed))
        return list(result.as_numpy_iterator())

    sides = drawn_sizes(0)
    counts = counted(np.array(sides)[:, None])
    assert sorted(counts) == [(5,), (6,), (7,), (8,), (9,)]
    assert all(70 <= count <= 130 for count in counts.values())
    assert drawn_sizes(0) == sides
    assert drawn_sizes(1) != sides
    assert [int(policy.epoch_size(epoch, 0)) for epoch in range(5)] == sides[:5]


# 224 of a short side of 256 are 263 of 300 pixels; 37 and 137 remain.
CORNERS = {(0, 0), (0, 137), (37, 0), (37, 137), (18, 68)}


@pytest.mark.parametrize("sides", [(224,), (224, 180), (180, 224)])
def test_corner_crops_are_equally_likely(sides):
    policy = Crop(image_sizes=sides)
    counts = counted(windows(policy, (300, 400), 500))
    assert set(counts) == {(*corner, 263, 263) for corner in CORNERS}
    assert all(70 <= count <= 130 for count in counts.values())


def test_center_crops():
    policy = Crop(image_sizes=(224, 180), position="center")
    assert counted(windows(policy, (300, 400), 5)) == {(18, 68, 263, 263): 5}
    result = policy.windows([[400, 300], [256, 256]], [[0.3, 0.9], [0.0, 0.0]])
    assert result.numpy().tolist() == [[68, 18, 263, 263], [16, 16, 224, 224]]


def test_random_crops_are_uniform():
    policy = Crop(image_sizes=(8,), short_side=10, position="random")
    counts = counted(windows(policy, (10, 13), 1800))
    assert set(counts) == {(top, left, 8, 8) for top in range(3) for left in range(6)}
    assert all(60 <= count <= 145 for count in counts.values())


@settings(max_examples=60)
@given(
    st.tuples(lengths, lengths),
    lengths,
    st.lists(lengths, min_size=1, max_size=3),
    st.sampled_from(["corners", "random", "center"]),
    st.tuples(*[st.floats(0, 1, exclude_max=True, width=32)] * 2),
)
def test_crops_are_squares_inside_the_image(size, short_side, sides, positions, place):
    policy = Crop(
        image_sizes=[min(side, short_side) for side in sides],
        short_side=short_side,
        position=positions,
    )
    result = policy.windows([size], [place])
    assert result.dtype == tf.int32
    ((top, left, height, width),) = result.numpy().tolist()
    assert height == width
    assert 0 <= top <= size[0] - height
    assert 0 <= left <= size[1] - width
    exact = Fraction(min(size) * max(policy.image_sizes), short_side)
    assert abs(max(1, exact) - height) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("policy", "size", "expected"),
    [
        (Whole(), (375, 500), (375, 500)),
        (Whole(short_side=256), (375, 500), (256, 341)),
        (Whole(short_side=256), (500, 333), (384, 256)),
        (Whole(short_side=256), (100, 100), (256, 256)),
        (Whole(longest_side=400), (375, 500), (300, 400)),
        (Whole(longest_side=400), (200, 300), (200, 300)),
        (Whole(short_side=100, longest_side=300), (50, 200), (75, 300)),
        (Whole(short_side=100, longest_side=300), (200, 50), (300, 75)),
        (Whole(longest_side=10), (1, 400), (1, 10)),
    ],
)
def test_whole_images_keep_their_aspect_ratio(policy, size, expected):
    result = policy.output_sizes(np.array([size]))
    assert result.dtype == np.int32
    assert result.tolist() == [list(expected)]


def to_nearest(value):
    return max(1, int(value + Fraction(1, 2)))


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(1, 60000), st.integers(1, 60000)), min_size=1, max_size=5),
    lengths,
    lengths,
)
def test_scaled_sides_are_nearest_to_exact_fractions(sizes, short, longest):
    by_short = Whole(short_side=short).output_sizes(np.array(sizes)).tolist()
    by_longest = Whole(longest_side=longest).output_sizes(np.array(sizes)).tolist()
    by_both = Whole(short_side=short, longest_side=longest).output_sizes(np.array(sizes)).tolist()
    for size, shorter, limited, both in zip(sizes, by_short, by_longest, by_both, strict=True):
        assert shorter == [to_nearest(Fraction(side * short, min(size))) for side in size]
        assert min(shorter) == short
        scale = min(Fraction(1), Fraction(longest, max(size)))
        assert limited == [to_nearest(side * scale) for side in size]
        assert max(both) <= longest
        assert both in (shorter, [to_nearest(Fraction(s * longest, max(size))) for s in size])


@given(height=lengths, width=lengths, side=st.integers(1, 300))
def test_warp(height, width, side):
    policy = Warp(image_size=side)

    window, target = policy.window_and_size(tf.constant([height, width]))

    assert window.numpy().tolist() == [0, 0, height, width]
    assert target.numpy().tolist() == [side, side] == [int(policy.epoch_size(5, 0))] * 2
    assert windows(policy, (height, width), 2).tolist() == [[0, 0, height, width]] * 2
    assert policy.output_sizes(np.array([[height, width]])) is None
    assert policy.max_pixels(aspect=2) == side**2


def test_warp_to_a_pair():
    policy = Warp(image_size=(20, 30))
    _, target = policy.window_and_size(tf.constant([40, 70]))
    assert target.numpy().tolist() == [20, 30] == policy.epoch_size(5, 0).numpy().tolist()
    assert policy.max_pixels(aspect=2) == 600
    again = size_policies.policy_from_dict(
        json.loads(json.dumps(size_policies.policy_to_dict(policy)))
    )
    assert again == policy


@pytest.mark.parametrize(
    ("policy", "arguments", "message"),
    [
        (
            Crop,
            {"image_sizes": ()},
            r"`image_sizes` must be a non-empty sequence of ints. Received: image_sizes=\(",
        ),
        (
            Crop,
            {"image_sizes": 224},
            r"`image_sizes` must be a non-empty sequence of ints. .*image_sizes=224",
        ),
        (
            Crop,
            {"image_sizes": (224, 0)},
            r"`image_sizes` must be an int >= 1. Received: image_sizes=0",
        ),
        (
            Crop,
            {"image_sizes": (9,), "schedule": "random"},
            r"`schedule` must be one of 'cycle', 'range'",
        ),
        (Crop, {"image_sizes": (9,), "position": "edge"}, r"`position` must be one of 'corners'"),
        (Crop, {"image_sizes": (9,), "short_side": 0.5}, r"`short_side` must be an int >= 1"),
        (
            Crop,
            {"image_sizes": (180, 224), "short_side": 200},
            r"`short_side` must be at least the largest of `image_sizes`.*short_side=200 with "
            r"image_sizes=\(180, 224\)",
        ),
        (Warp, {"image_size": 0}, r"`image_size` must be an int >= 1. Received: image_size=0"),
        (Warp, {"image_size": (3, 0)}, r"`image_size` must be an int >= 1 or a .*\(3, 0\)"),
        (Whole, {"short_side": 0}, r"`short_side` must be an int >= 1"),
        (Whole, {"longest_side": 1.5}, r"`longest_side` must be an int >= 1"),
    ],
)
def test_invalid_policies_are_refused(policy, arguments, message):
    with pytest.raises(ValueError, match=message):
        policy(**arguments)
