import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from spp_keras.data.batch_planner import BatchPlanner

sides = st.integers(1, 600)


def groups(plan):
    order, starts, stops = (part.numpy() for part in plan)
    return [order[start:stop].tolist() for start, stop in zip(starts, stops, strict=True)]


def pixels(group, shapes):
    return len(group) * int(shapes[group].max(axis=0).prod())


def pairs(plan):
    return {pair for group in groups(plan) for pair in itertools.combinations(sorted(group), 2)}


def photographs(count, seed=0):
    """Sizes as people's photographs have them: some very often, the rest of all kinds."""
    rng = np.random.default_rng(seed)
    often = [(375, 500), (333, 500), (500, 375), (500, 334), (480, 640)]
    shapes = np.array(often)[rng.choice(5, count, p=(0.4, 0.2, 0.15, 0.1, 0.15))]
    rare = rng.random(count) < 0.3
    shapes[rare] = rng.integers(90, 640, (rare.sum(), 2))
    return shapes


@settings(max_examples=60)
@given(
    st.lists(st.tuples(sides, sides), min_size=1, max_size=60),
    st.integers(1, 12),
    st.none() | st.integers(600 * 600, 1_000_000),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_epoch_has_every_image_once(shapes, size, budget, shuffle, seed):
    shapes = np.array(shapes)
    options = {"sizes": shapes, "max_pixels": budget, "shuffle": shuffle, "seed": seed}
    batches = BatchPlanner(len(shapes), size, **options)
    for epoch in (0, 1, 1000):
        result = groups(batches.epoch(epoch))
        assert sorted(itertools.chain(*result)) == list(range(len(shapes)))
        assert len(result) == batches.steps
        assert 1 <= min(map(len, result)) <= max(map(len, result)) <= size
        if budget is None:
            assert batches.steps == -(-len(shapes) // size)
            assert max(map(len, result)) - min(map(len, result)) <= 1
        else:
            assert all(pixels(group, shapes) <= budget for group in result)


@settings(max_examples=30)
@given(st.integers(1, 200), st.integers(1, 40), st.booleans())
def test_images_of_one_size_are_divided_evenly(count, size, shuffle):
    batches = BatchPlanner(count, size, shuffle=shuffle)
    assert batches.steps == -(-count // size)
    for epoch in (0, 7):
        result = groups(batches.epoch(epoch))
        assert sorted(itertools.chain(*result)) == list(range(count))
        assert len(result) == batches.steps
        assert max(map(len, result)) <= size
        assert max(map(len, result)) - min(map(len, result)) <= 1


def test_batches_by_hand():
    # Wide ones and tall ones; then the lower and the higher half of each.
    shapes = np.array([[10, 40], [60, 20], [12, 42], [61, 20], [50, 20], [14, 41], [52, 20]])
    batches = BatchPlanner(7, 2, sizes=shapes, shuffle=False)
    result = [sorted(group) for group in groups(batches.epoch(0))]
    assert sorted(result) == [[0], [1, 3], [2, 5], [4, 6]]
    within = BatchPlanner(7, 4, sizes=shapes, shuffle=False, max_pixels=2100)
    result = [sorted(group) for group in groups(within.epoch(0))]
    assert all(pixels(group, shapes) <= 2100 for group in result)
    assert [4, 6] not in result
    assert any(len(group) > 1 for group in result)


@pytest.mark.parametrize("shapes", [None, photographs(300)])
def test_order_depends_on_the_seed_alone(shapes):
    def epochs(**options):
        batches = BatchPlanner(300, 16, sizes=shapes, **options)
        return [groups(batches.epoch(epoch)) for epoch in range(3)]

    first = epochs(seed=4)
    assert epochs(seed=4) == first
    assert all(a != b for a, b in zip(epochs(seed=5), first, strict=True))
    assert first[0] != first[1] != first[2] != first[0]
    plan, other = (BatchPlanner(300, 16, sizes=shapes, seed=seed).epoch(0) for seed in (4, 5))
    assert pairs(plan) != pairs(other)
    fixed = epochs(shuffle=False)
    assert fixed[0] == fixed[1] == fixed[2]
    if shapes is None:
        assert list(itertools.chain(*fixed[0])) == list(range(300))
    batches = BatchPlanner(300, 16, sizes=shapes, seed=4)
    mapped = tf.data.Dataset.range(3).map(lambda epoch: batches.epoch(epoch))
    assert [groups(plan) for plan in mapped] == first


@pytest.mark.parametrize("shapes", [None, np.full((64, 2), 300)])
def test_images_of_equal_size_are_batched_at_random(shapes):
    batches = BatchPlanner(64, 8, sizes=shapes)
    kept = []
    for epoch in range(40):
        first, second = (pairs(batches.epoch(e)) for e in (epoch, epoch + 1))
        kept.append(len(first & second) / len(first))
    # An image has 7 of 63 others beside it.
    assert 0.09 < np.mean(kept) < 0.135


def test_batches_change_from_epoch_to_epoch():
    batches = BatchPlanner(2000, 16, sizes=photographs(2000))
    first = pairs(batches.epoch(0))
    for epoch in (1, 2):
        assert len(first & pairs(batches.epoch(epoch))) < 0.5 * len(first)


def test_batches_are_shuffled_by_size():
    shapes = photographs(2000)
    batches = BatchPlanner(2000, 16, sizes=shapes)
    areas = [[pixels(group, shapes) for group in groups(batches.epoch(e))] for e in range(2)]
    for area in areas:
        neighbors = np.corrcoef(area[:-1], area[1:])[0, 1]
        assert abs(neighbors) < 0.3
    assert areas[0] != areas[1]


def test_batches_are_shuffled_where_no_images_are_exchanged():
    shapes = np.array([[2**index, 10] for index in range(8)])

    def result(seed):
        batches = BatchPlanner(8, 2, sizes=shapes, seed=seed)
        return [groups(batches.epoch(epoch)) for epoch in range(4)]

    for plan in result(0):
        assert sorted(map(sorted, plan)) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert len({str(plan) for plan in result(0)}) > 1
    assert result(0) == result(0) != result(1)


def test_batches_hold_little_padding():
    shapes = photographs(2000)
    batches = BatchPlanner(2000, 16, sizes=shapes)
    real = shapes.prod(axis=1).sum()
    for epoch in range(3):
        sent = sum(pixels(group, shapes) for group in groups(batches.epoch(epoch)))
        at_random = np.random.default_rng(epoch).permutation(2000).reshape(-1, 16)
        sent_at_random = sum(pixels(group, shapes) for group in at_random)
        assert 1 - real / sent < 0.1
        assert 1 - real / sent_at_random > 0.4


def test_max_pixels_holds_where_widths_vary():
    rng = np.random.default_rng(0)
    wide = np.where(rng.random(400) < 0.1, 1000, 100)
    shapes = np.stack([rng.integers(50, 1000, 400), wide], axis=1)
    batches = BatchPlanner(400, 32, sizes=shapes, max_pixels=1_500_000)
    largest = [
        max(pixels(group, shapes) for group in groups(batches.epoch(epoch))) for epoch in range(8)
    ]
    assert 1_300_000 < max(largest) <= 1_500_000


def test_max_pixels_is_used_by_images_of_one_size():
    batches = BatchPlanner(40, 32, sizes=np.full((40, 2), 100), max_pixels=100_000)
    assert batches.steps == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4), "`count` must be an int >= 1"),
        ((4, 0), "`batch_size` must be an int >= 1"),
        ((4, 2.0), "`batch_size` must be an int >= 1"),
    ],
)
def test_invalid_counts_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchPlanner(*arguments)


def test_max_pixels_of_zero_is_refused():
    with pytest.raises(ValueError, match="`max_pixels` must be an int >= 1"):
        BatchPlanner(4, 2, sizes=np.ones((4, 2), int), max_pixels=0)
