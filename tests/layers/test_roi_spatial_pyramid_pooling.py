import functools
import re

import backends
import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spp_keras import geometry, layers, ops
from spp_keras.ops import _window_pooling

CHANNELS = 3
PAPER = (6, 3, 2, 1)
LEVEL_SETS = [PAPER, (4, 3, 2, 1), (1,), (7, 5), ((2, 3), (4, 6), (4, 2), (1, 5)), (13,)]
# Step and first center of a trunk: the paper's, Overfeat's, none at all, a half.
GRIDS = [(16, 14), (12, 8), (1, 0), (4, 2.5)]

thoroughly = settings(
    max_examples=backends.examples(25), suppress_health_check=[HealthCheck.too_slow]
)
seeds = st.integers(0, 2**32 - 1)
both_modes = pytest.mark.parametrize("mode", ["max", "average"])
eager_and_graph = pytest.mark.parametrize("run", ["eager", backends.GRAPH])


def drawn(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@functools.cache
def pooling(stride=16, first_center=14, levels=PAPER, mode="max", **arguments):
    return layers.RoISpatialPyramidPooling(
        stride, first_center, levels=levels, mode=mode, **arguments
    )


@functools.cache
def in_graph(layer, form="whole", channels=CHANNELS):
    maps = tf.TensorSpec((None, None, None, channels))
    boxes, pairs = tf.TensorSpec((None, None, 4)), tf.TensorSpec((None, 2), tf.int32)
    if form == "ragged":
        boxes = tf.RaggedTensorSpec((None, None, 4), ragged_rank=1)
    names = {"sizes": ["sizes"], "image_sizes": ["image_sizes"]}.get(form, [])
    return tf.function(
        lambda maps, boxes, *pairs: layer(maps, boxes, **dict(zip(names, pairs, strict=True))),
        input_signature=[maps, boxes, *([pairs] if names else [])],
    )


def one_box(*box):
    return np.array([[box]], "float32")


def places(rows, columns):
    """Maps whose maxima over a window tell where it lies."""
    row, column = np.mgrid[:rows, :columns].astype("float32")
    return np.stack([-row, -column, row, column], axis=-1)[None]


def windows_told(layer, boxes, rows, columns, run="eager", **arguments):
    """The windows `(top, left, bottom, right)` that a layer with one bin makes of boxes."""
    function = backends.quick(layer) if run == "eager" else in_graph(layer, channels=4)
    answer = function(places(rows, columns), np.asarray(boxes, "float32")[None], **arguments)
    return (np.asarray(answer)[0].astype(int) * [-1, -1, 1, 1] + [0, 0, 1, 1]).tolist()


def assert_close(answer, expected, mode, scale=1.0):
    if mode == "max":
        np.testing.assert_array_equal(answer, expected)
    else:
        np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5 * scale)


def random_windows(random, rows, columns, count):
    tops, bottoms = np.sort(random.integers(0, rows + 1, (2, count)), axis=0)
    lefts, rights = np.sort(random.integers(0, columns + 1, (2, count)), axis=0)
    tops, lefts = np.minimum(tops, rows - 1), np.minimum(lefts, columns - 1)
    bottoms, rights = np.maximum(bottoms, tops + 1), np.maximum(rights, lefts + 1)
    return np.stack([tops, lefts, bottoms, rights], axis=1)


def boxes_around(windows):
    """Boxes of a grid of step 1 from pixel 0 that cover just these windows."""
    return (windows[:, [1, 0, 3, 2]] - [0.5, 0.5, 0.5, 0.5])[None].astype("float32")


# From boxes to windows.


@st.composite
def boxes_and_maps(draw):
    stride, first_center = draw(st.sampled_from(GRIDS))
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 40))

    def ends(cells):
        # In quarters of a pixel, up to ten pixels beyond the largest image with so many cells.
        pixels = int(cells * stride + 2 * first_center)
        low = draw(st.integers(-40, 4 * pixels - 1))
        high = draw(st.integers(max(low, 1), 4 * pixels + 40))
        return low / 4, high / 4

    boxes = []
    for _ in range(draw(st.integers(1, 8))):
        (left, right), (top, bottom) = ends(columns), ends(rows)
        boxes.append((left, top, right, bottom))
    return stride, first_center, rows, columns, boxes


@settings(thoroughly, max_examples=backends.examples(150))
@given(boxes_and_maps())
def test_a_box_covers_the_cells_whose_centers_lie_strictly_inside(case):
    stride, first_center, rows, columns, boxes = case
    layer = pooling(stride, first_center, (1,))
    expected = [
        list(oracles.window_of_box(box, stride, first_center, rows, columns)) for box in boxes
    ]
    assert windows_told(layer, boxes, rows, columns) == expected


@eager_and_graph
@pytest.mark.parametrize(
    ("box", "window"),
    [
        ((0, 0, 224, 224), [0, 0, 13, 13]),
        ((13.75, 13.75, 30.25, 46.25), [0, 0, 3, 2]),
        ((14, 14, 46, 62), [1, 1, 3, 2]),
        ((15, 15, 29, 29), [1, 1, 2, 2]),
        ((16, 20, 29, 27), [1, 1, 2, 2]),
        ((-100, -100, 3, 500), [0, 0, 13, 1]),
        ((215, 209, 300, 215), [12, 12, 13, 13]),
        ((100, 100, 100, 100), [5, 5, 6, 6]),
    ],
    ids=[
        "the first 224 pixels",
        "ends just beyond centers",
        "ends on centers",
        "between, as near to both",
        "between, nearer to the second",
        "beyond the left border",
        "behind the last center",
        "of no area",
    ],
)
def test_hand_made_boxes_cover_the_cells_that_a_drawing_shows(run, box, window):
    layer = pooling(16, 14, (1,))
    assert windows_told(layer, [box], 13, 13, run) == [window]


@pytest.mark.parametrize(
    ("stride", "first_center", "cells"), [(16, 14, 13), (12, 8, 18)], ids=["ZF-5", "Overfeat"]
)
def test_a_window_of_224_pixels_at_the_origin_is_the_whole_training_map(
    stride, first_center, cells
):
    x = drawn((1, cells, cells, CHANNELS))
    answer = pooling(stride, first_center)(x, one_box(0, 0, 224, 224))
    np.testing.assert_array_equal(answer[0], layers.SpatialPyramidPooling()(x))


BOX = np.array([[40.25, 64.0, 201.75, 180.5], [0.0, 3.0, 512.0, 256.0], [97.0, 3.0, 98.0, 250.0]])
LEFT, TOP, RIGHT, BOTTOM = BOX.T
WIDTH, HEIGHT = RIGHT - LEFT, BOTTOM - TOP
MIDDLE, CENTER = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
FORMATS = {
    "xyxy": (LEFT, TOP, RIGHT, BOTTOM),
    "yxyx": (TOP, LEFT, BOTTOM, RIGHT),
    "xywh": (LEFT, TOP, WIDTH, HEIGHT),
    "center_xywh": (MIDDLE, CENTER, WIDTH, HEIGHT),
    "center_yxhw": (CENTER, MIDDLE, HEIGHT, WIDTH),
    # Of an image of 256 x 512 pixels.
    "rel_xyxy": (LEFT / 512, TOP / 256, RIGHT / 512, BOTTOM / 256),
    "rel_yxyx": (TOP / 256, LEFT / 512, BOTTOM / 256, RIGHT / 512),
    "rel_xywh": (LEFT / 512, TOP / 256, WIDTH / 512, HEIGHT / 256),
    "rel_center_xywh": (MIDDLE / 512, CENTER / 256, WIDTH / 512, HEIGHT / 256),
}


@pytest.mark.many_shapes
@eager_and_graph
@pytest.mark.parametrize("box_format", FORMATS)
def test_boxes_may_come_in_every_format(run, box_format):
    layer = pooling(16, 14, (1,), bounding_box_format=box_format)
    expected = [list(oracles.window_of_box(box, 16, 14, 15, 31)) for box in BOX]
    boxes = np.stack(FORMATS[box_format], axis=-1)[None].astype("float32")
    function = backends.quick(layer) if run == "eager" else in_graph(layer, "image_sizes", 4)
    sizes = np.array([[256, 512]], "int32")
    arguments = {"image_sizes": sizes} if run == "eager" else {}
    answer = function(places(15, 31), boxes, *(() if arguments else (sizes,)), **arguments)
    windows = np.asarray(answer)[0] * [-1, -1, 1, 1] + [0, 0, 1, 1]
    np.testing.assert_array_equal(windows, expected)


def test_every_format_of_the_layer_is_tried_here():
    from spp_keras.ops import _box_windows

    assert set(FORMATS) == set(_box_windows.BOX_FORMATS)


@pytest.mark.many_shapes
def test_relative_boxes_are_relative_to_their_own_image():
    layer = pooling(16, 14, (1,), bounding_box_format="rel_xyxy")
    x = np.concatenate([places(30, 30)] * 2)
    image_sizes = np.array([[256, 128], [480, 512]])
    answer = layer(x, np.array([[[0.0, 0.0, 0.5, 0.5]]] * 2), image_sizes=image_sizes)
    windows = np.asarray(answer)[:, 0] * [-1, -1, 1, 1] + [0, 0, 1, 1]
    expected = [
        oracles.window_of_box((0, 0, width / 2, height / 2), 16, 14, 30, 30)
        for height, width in image_sizes
    ]
    np.testing.assert_array_equal(windows, expected)


# Two convolutions of kernel 3 and stride 2 with "same" padding: the first centers, by hand, of
# sides of 4n to 4n + 3 pixels.
MOVING = {"stride": 4, "first_center": 3, "ceil_excess": 6, "shifts": (0, -3, -2, -1)}
FIRST_CENTERS = (3, 0, 1, 2)


@eager_and_graph
@pytest.mark.parametrize("box_format", ["xyxy", "rel_yxyx"])
def test_cells_may_move_with_the_size_of_the_image(run, box_format):
    image_sizes = np.array([(28, 37), (29, 34), (26, 35), (27, 40)], "int32")
    sizes = -(-image_sizes // 4)
    random = np.random.default_rng(3)
    shares = np.sort(random.uniform(-0.1, 1.1, (4, 9, 2, 2)), axis=2).reshape(4, 9, 4)
    boxes = (shares * image_sizes[:, None, [1, 0, 1, 0]]).astype("float32")
    expected = [
        [
            list(oracles.window_of_box(box, 4, [FIRST_CENTERS[n % 4] for n in pixels], *cells))
            for box in of_image
        ]
        for pixels, cells, of_image in zip(image_sizes, sizes, boxes, strict=True)
    ]
    given = boxes if box_format == "xyxy" else shares[..., [1, 0, 3, 2]].astype("float32")
    layer = pooling(levels=(1,), bounding_box_format=box_format, **MOVING)
    x = np.concatenate([places(8, 10)] * 4)
    if run == "eager":
        answer = layer(x, given, image_sizes=image_sizes)
    else:
        answer = in_graph(layer, "image_sizes", 4)(x, given, image_sizes)
    windows = np.asarray(answer) * [-1, -1, 1, 1] + [0, 0, 1, 1]
    np.testing.assert_array_equal(windows, expected)
    grid = geometry.CellGrid(**MOVING)
    found = ops.boxes_to_cells(given, grid, sizes, image_sizes, box_format)
    np.testing.assert_array_equal(found, expected)


def test_cells_that_move_need_the_sizes_of_images():
    with pytest.raises(ValueError, match="`image_sizes` must be given for a grid with `shifts`"):
        pooling(**MOVING)(drawn((1, 5, 5, CHANNELS)), one_box(0, 0, 9, 9))


@pytest.mark.parametrize("dtype", ["int32", "int64", "float64"])
def test_boxes_may_be_numbers_of_any_type(dtype):
    x, boxes = drawn((1, 13, 13, CHANNELS)), np.array([[[20, 0, 133, 95]]])
    expected = pooling()(x, boxes.astype("float32"))
    np.testing.assert_array_equal(pooling()(x, boxes.astype(dtype)), expected)


@pytest.mark.many_shapes
@pytest.mark.parametrize(
    ("policy", "stride", "end"),
    [("mixed_bfloat16", 2, 333), ("bfloat16", 2, 333), ("mixed_float16", 4, 2049)],
)
@eager_and_graph
def test_boxes_are_not_rounded_with_the_features(run, policy, stride, end):
    layer = pooling(stride, 0, (1,), dtype=policy)
    columns = end // stride + 2
    assert tf.cast(end, layer.compute_dtype) == end - 1
    boxes = [(0, 0, end, 3), (end, 0, end + 2, 3)]
    expected = [list(oracles.window_of_box(box, stride, 0, 3, columns)) for box in boxes]
    assert expected[0][3] == columns - 1
    assert windows_told(layer, boxes, 3, columns, run) == expected


# From windows to vectors.


@pytest.mark.many_shapes
@both_modes
@thoroughly
@given(
    levels=st.sampled_from(LEVEL_SETS),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    count=st.integers(1, 12),
    seed=seeds,
)
def test_windows_give_the_pyramids_of_the_oracle(mode, levels, rows, columns, count, seed):
    random = np.random.default_rng(seed)
    x = drawn((3, rows, columns, CHANNELS), seed)
    windows = random_windows(random, rows, columns, count)
    items = random.integers(0, 3, count)
    pool = _window_pooling.max_windows if mode == "max" else _window_pooling.average_windows
    pairs = [level if isinstance(level, tuple) else (level, level) for level in levels]
    answer = pool(tf.constant(x), windows.astype("int32"), items.astype("int32"), pairs)
    expected = [
        oracles.window_pyramid(x[item], window, levels, mode)
        for item, window in zip(items, windows, strict=True)
    ]
    assert_close(answer, np.array(expected), mode)


@pytest.mark.tensorflow
@both_modes
@settings(thoroughly, max_examples=backends.examples(25))
@given(
    levels=st.sampled_from([PAPER, (7, 5)]),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    count=st.integers(1, 60),
    seed=seeds,
)
def test_maps_of_unknown_size_are_pooled_in_a_graph(mode, levels, rows, columns, count, seed):
    random = np.random.default_rng(seed)
    x = drawn((2, rows, columns, CHANNELS), seed)
    windows = [random_windows(random, rows, columns, count) for _ in x]
    boxes = np.concatenate([boxes_around(of_map) for of_map in windows])
    answer = in_graph(pooling(1, 0, levels, mode))(x, boxes)
    expected = [
        [oracles.window_pyramid(one, window, levels, mode) for window in of_map]
        for one, of_map in zip(x, windows, strict=True)
    ]
    assert_close(answer, np.array(expected), mode)


@pytest.mark.many_shapes
@both_modes
@pytest.mark.parametrize("levels", LEVEL_SETS, ids=str)
def test_a_window_of_the_whole_map_is_pooled_as_the_map_is(mode, levels):
    x = drawn((2, 23, 17, CHANNELS))
    boxes = np.tile(np.array([-1.0, -1.0, 23.0, 23.0]), (2, 1, 1))
    answer = pooling(1, 0, levels, mode)(x, boxes)
    expected = layers.SpatialPyramidPooling(levels, mode)(x)
    assert_close(answer[:, 0], expected, mode)


@pytest.mark.many_shapes
def test_windows_of_one_cell_fill_every_bin_with_it():
    x = drawn((1, 5, 6, CHANNELS))
    windows = np.array([[r, c, r + 1, c + 1] for r in range(5) for c in range(6)])
    expected = np.tile(x.reshape(30, CHANNELS), 5)
    for mode in ("max", "average"):
        answer = pooling(1, 0, (2, 1), mode)(x, boxes_around(windows))
        assert_close(answer[0], expected, mode)


@pytest.mark.many_shapes
@pytest.mark.parametrize(
    ("size", "levels", "count", "every_height"),
    [
        ((13, 13), PAPER, 40, True),
        ((13, 13), PAPER, 2, False),
        ((10, 4), (1,), 400, True),
        ((11, 4), (1,), 500, False),
        ((60, 3), PAPER, 500, False),
        ((55, 3), PAPER, 70, True),
        ((300, 4), (1, (3, 1)), 50, False),
        ((4, 300), ((4, 1),), 900, True),
        ((1023, 2), (1,), 20, False),
        ((2, 1023), (1,), 20, False),
        ((1023, 2), (2, 1), 20, False),
    ],
    ids=lambda value: str(value).replace(" ", ""),
)
def test_tables_of_every_height_and_of_powers_of_two_agree_with_the_oracle(
    monkeypatch, size, levels, count, every_height
):
    x = drawn((1, *size, 2))
    windows = random_windows(np.random.default_rng(1), *size, count)
    windows[0] = (0, 0, *size)
    taken = []

    def spy(condition, yes, no, choose=_window_pooling._cond):
        taken.append(condition)
        return choose(condition, yes, no)

    monkeypatch.setattr(_window_pooling, "_cond", spy)
    layer = pooling(1, 0, levels)
    expected = [oracles.window_pyramid(x[0], window, levels, "max") for window in windows]
    np.testing.assert_array_equal(layer(x, boxes_around(windows))[0], expected)
    assert taken == [every_height]
    monkeypatch.undo()
    answer = in_graph(layer, channels=2)(x, boxes_around(windows))
    np.testing.assert_array_equal(answer[0], expected)


@pytest.mark.many_shapes
@eager_and_graph
def test_means_of_single_cells_of_a_large_map_with_a_bright_half_keep_their_digits(run):
    x = drawn((1, 133, 100, CHANNELS))
    x[:, :, 50:] += 1000
    windows = random_windows(np.random.default_rng(2), 133, 100, 200)
    windows[:100, 2:] = windows[:100, :2] + 6
    windows = np.minimum(windows, [127, 94, 133, 100])
    layer = pooling(1, 0, (6, 1), "average")
    answer = (backends.quick(layer) if run == "eager" else in_graph(layer))(
        x, boxes_around(windows)
    )
    expected = [oracles.window_pyramid(x[0], window, (6, 1), "average") for window in windows]
    np.testing.assert_allclose(answer[0], expected, rtol=1e-5, atol=2e-5)


@pytest.mark.many_shapes
@both_modes
def test_a_constant_map_gives_its_constant(mode):
    x = np.full((1, 40, 60, CHANNELS), 0.1, "float32")
    windows = random_windows(np.random.default_rng(3), 40, 60, 50)
    answer = pooling(1, 0, PAPER, mode)(x, boxes_around(windows))
    np.testing.assert_allclose(answer, np.full_like(answer, 0.1), rtol=1e-6)


@pytest.mark.many_shapes
def test_a_map_of_zeros_gives_zeros_and_no_gradient_that_is_not_a_number():
    x, boxes = np.zeros((1, 9, 9, CHANNELS), "float32"), one_box(0.5, 0.5, 7.5, 5.5)
    for mode in ("max", "average"):
        layer = pooling(1, 0, (2, 1), mode)
        assert not np.any(backends.as_numpy(layer(x, boxes)))
        upstream = np.ones((1, 1, 5 * CHANNELS), "float32")
        assert np.isfinite(gradient_of(layer, x, boxes, upstream)).all()


@pytest.mark.many_shapes
@both_modes
def test_twenty_thousand_boxes_are_pooled_in_one_call(mode):
    x = drawn((1, 43, 57, 8))
    windows = random_windows(np.random.default_rng(4), 43, 57, 20_000)
    answer = pooling(1, 0, (3, 1), mode)(x, boxes_around(windows)).numpy()[0]
    assert answer.shape == (20_000, 80)
    for i in range(0, 20_000, 700):
        expected = oracles.window_pyramid(x[0], windows[i], (3, 1), mode)
        assert_close(answer[i], expected, mode)


@pytest.mark.many_shapes
@both_modes
def test_channels_first_gives_what_channels_last_gives(mode):
    x, boxes = drawn((2, 13, 11, CHANNELS)), np.array([[[0, 0, 100, 90]], [[30, 40, 190, 150]]])
    layer = pooling(16, 14, PAPER, mode, data_format="channels_first")
    answer = layer(x.transpose(0, 3, 1, 2), boxes)
    np.testing.assert_array_equal(answer, pooling(16, 14, PAPER, mode)(x, boxes))


# Batches of maps of different sizes.


def mixed_maps():
    sizes = np.array([[9, 14], [17, 3], [1, 1]], "int32")
    maps = [drawn((*size, CHANNELS), i) for i, size in enumerate(sizes)]
    random = np.random.default_rng(5)
    windows = [random_windows(random, *size, 6) for size in sizes]
    boxes = np.concatenate([boxes_around(of_map) for of_map in windows])
    # Whole maps and more: what is beyond a map's own cells must be cut away.
    boxes[:, 0] = (-1, -1, 17, 17)
    for of_map, size in zip(windows, sizes, strict=True):
        of_map[0] = (0, 0, *size)
    return maps, sizes, boxes, windows


@both_modes
@eager_and_graph
@pytest.mark.parametrize("fill", [np.nan, np.inf, 1e30], ids=str)
def test_windows_of_padded_maps_end_where_the_map_does(mode, run, fill):
    maps, sizes, boxes, windows = mixed_maps()
    x = oracles.padded(maps, fill)
    layer = pooling(1, 0, PAPER, mode)
    if run == "eager":
        function = backends.quick(lambda x, boxes, sizes: layer(x, boxes, sizes=sizes))
    else:
        function = in_graph(layer, "sizes")
    answer = function(x, boxes, sizes)
    for vectors, one, own_boxes, of_map in zip(answer, maps, boxes, windows, strict=True):
        expected = [oracles.window_pyramid(one, window, PAPER, mode) for window in of_map]
        assert_close(vectors, np.array(expected), mode)
        assert_close(vectors, layer(one[None], own_boxes[None])[0], mode)


@both_modes
@eager_and_graph
def test_sizes_of_maps_follow_from_those_of_images(mode, run):
    maps = [drawn((*size, CHANNELS), i) for i, size in enumerate([(13, 9), (5, 20)])]
    # Cells of 16 pixels from the 14th: 29 pixels have one, every 16 more another.
    image_sizes = np.array([[29 + 12 * 16, 29 + 8 * 16 + 15], [29 + 4 * 16 + 7, 29 + 19 * 16]])
    boxes = np.tile(np.array([0, 0, 400, 400], "float32"), (2, 1, 1))
    x, layer = oracles.padded(maps, np.nan), pooling(16, 14, PAPER, mode)
    if run == "eager":
        answer = layer(x, boxes, image_sizes=image_sizes)
    else:
        answer = in_graph(layer, "image_sizes")(x, boxes, image_sizes.astype("int32"))
    expected = [oracles.pyramid(one, PAPER, mode) for one in maps]
    assert_close(answer[:, 0], np.array(expected), mode)


def test_a_map_with_a_cell_less_than_the_image_allows_is_taken_whole():
    x = drawn((1, 5, 5, CHANNELS))
    answer = pooling()(x, one_box(0, 0, 200, 200), image_sizes=np.array([[200, 200]]))
    np.testing.assert_array_equal(answer[0, 0], oracles.pyramid(x[0], PAPER, "max"))


def test_cells_that_a_trunk_has_by_rounding_up_count():
    # Windows of 3 at every second pixel, rounding up: 6 pixels have 3 cells, 3 have 1.
    maps = [drawn((*size, CHANNELS), i) for i, size in enumerate([(3, 1), (1, 3)])]
    x, layer = oracles.padded(maps, np.nan), pooling(2, 1, ceil_excess=1)
    answer = layer(x, np.array([[(0, 0, 9, 9)]] * 2), image_sizes=np.array([[6, 3], [3, 6]]))
    expected = [oracles.pyramid(one, PAPER, "max") for one in maps]
    np.testing.assert_array_equal(answer[:, 0], np.array(expected))
    # The largest image of 3 cells has 7 pixels, that of 2 has 5.
    with pytest.raises(ValueError, match=r"`boxes` must .* meet their image"):
        layer(x[:1, :, :2], one_box(5, 0, 9, 9))
    layer(x[:1, :, :2], one_box(4, 0, 9, 9))


# Boxes that differ in number.


@pytest.mark.tensorflow
@both_modes
@eager_and_graph
@pytest.mark.parametrize("counts", [(2, 0, 5), (0, 0, 0), (1, 1, 1)], ids=str)
def test_ragged_boxes_give_ragged_vectors(mode, run, counts):
    x = drawn((3, 13, 13, CHANNELS))
    random = np.random.default_rng(6)
    windows = [random_windows(random, 13, 13, count) for count in counts]
    boxes = tf.RaggedTensor.from_row_lengths(
        np.concatenate([boxes_around(of_map)[0] for of_map in windows]), counts
    )
    layer = pooling(1, 0, PAPER, mode)
    answer = (backends.quick(layer) if run == "eager" else in_graph(layer, "ragged"))(x, boxes)
    assert isinstance(answer, tf.RaggedTensor)
    assert answer.row_lengths().numpy().tolist() == list(counts)
    assert answer.shape[2] == 50 * CHANNELS
    for item, of_map in enumerate(windows):
        for vector, window in zip(answer[item], of_map, strict=True):
            expected = oracles.window_pyramid(x[item], window, PAPER, mode)
            assert_close(vector, expected, mode)


@both_modes
@eager_and_graph
# JAX takes nothing from an empty array.
@pytest.mark.parametrize("batch", [pytest.param(0, marks=pytest.mark.tensorflow), 2])
def test_no_boxes_give_no_vectors(mode, run, batch):
    layer = pooling(16, 14, PAPER, mode)
    function = backends.quick(layer) if run == "eager" else in_graph(layer)
    answer = function(drawn((batch, 13, 13, CHANNELS)), np.zeros((batch, 0, 4), "float32"))
    assert tuple(answer.shape) == (batch, 0, 50 * CHANNELS)


@pytest.mark.parametrize("ragged", [False, backends.IS_RAGGED], ids=["dense", "ragged"])
def test_a_functional_model_knows_its_shape_and_takes_every_size(ragged):
    features = keras.Input((None, None, CHANNELS))
    inputs = keras.Input((None, 4), ragged=ragged)
    vectors = layers.RoISpatialPyramidPooling(16, 14, levels=(3, 1))(features, inputs)
    assert vectors.shape == (None, None, 10 * CHANNELS)
    model = keras.Model([features, inputs], vectors)
    for rows, columns in [(13, 13), (20, 9)]:
        x = drawn((1, rows, columns, CHANNELS))
        box = np.array([[[0.0, 0.0, 100.0, 90.0]]], "float32")
        boxes = tf.RaggedTensor.from_tensor(box) if ragged else tf.constant(box)
        answer = model([tf.constant(x), boxes])
        window = oracles.window_of_box(box[0, 0], 16, 14, rows, columns)
        expected = oracles.window_pyramid(x[0], window, (3, 1), "max")
        np.testing.assert_array_equal(answer[0, 0], expected)


# Gradients.


def gradient_of(layer, x, boxes, upstream, **arguments):
    return backends.gradient(lambda x: layer(x, boxes, **arguments), x, upstream)


@both_modes
@eager_and_graph
@settings(thoroughly, max_examples=backends.examples(10))
@given(rows=st.integers(1, 25), columns=st.integers(1, 25), count=st.integers(1, 6), seed=seeds)
def test_gradients_without_ties_are_those_of_the_oracle(mode, run, rows, columns, count, seed):
    random = np.random.default_rng(seed)
    x = random.permutation(rows * columns * CHANNELS).astype("float32")
    x = x.reshape(1, rows, columns, CHANNELS) / 64
    windows = random_windows(random, rows, columns, count)
    upstream = drawn((1, count, 50 * CHANNELS), seed)
    layer, boxes = pooling(1, 0, PAPER, mode), boxes_around(windows)
    if run == "eager":
        gradient = gradient_of(layer, x, boxes, upstream)
    else:
        gradient = graph_gradient(layer)(x, boxes, upstream).numpy()
    expected = sum(
        oracles.window_pyramid_gradient(x[0], window, PAPER, mode, of_window)
        for window, of_window in zip(windows, upstream[0], strict=True)
    )
    np.testing.assert_allclose(gradient[0], expected, rtol=1e-4, atol=1e-4)


@functools.cache
def graph_gradient(layer):
    def gradient(x, boxes, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, boxes)
        return tf.convert_to_tensor(tape.gradient(y, x, upstream))

    specs = [(None, None, None, CHANNELS), (None, None, 4), (None, None, None)]
    return tf.function(gradient, input_signature=[tf.TensorSpec(shape) for shape in specs])


@pytest.mark.tensorflow
@both_modes
def test_gradients_are_the_slopes_of_finite_differences(mode):
    random = np.random.default_rng(7)
    x, direction = random.normal(size=(2, 1, 9, 12, CHANNELS))
    boxes = boxes_around(random_windows(random, 9, 12, 8))
    upstream = random.normal(size=(1, 8, 50 * CHANNELS))
    layer = pooling(1, 0, PAPER, mode, dtype="float64")
    gradient = gradient_of(layer, x, boxes, upstream)
    slope = oracles.slope(
        lambda x: np.sum(layer(x, boxes).numpy() * upstream), x, direction, reach=1e-7
    )
    np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-5)


@both_modes
def test_gradients_of_padded_maps_are_those_of_each_map_alone(mode):
    maps, sizes, boxes, _ = mixed_maps()
    upstream = drawn((3, 6, 50 * CHANNELS), 8)
    layer = pooling(1, 0, PAPER, mode)
    gradient = gradient_of(layer, oracles.padded(maps, np.nan), boxes, upstream, sizes=sizes)
    expected = oracles.padded(
        [
            gradient_of(layer, one[None], boxes[i : i + 1], upstream[i : i + 1])[0]
            for i, one in enumerate(maps)
        ]
    )
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-4)


def test_ties_pass_all_of_the_gradient_to_maxima_only():
    random = np.random.default_rng(9)
    x = random.integers(0, 2, (1, 12, 15, CHANNELS)).astype("float32")
    for count in (1, 40):
        windows = random_windows(random, 12, 15, count)
        upstream = random.uniform(0.1, 1, (1, count, 50 * CHANNELS)).astype("float32")
        gradient = gradient_of(pooling(1, 0), x, boxes_around(windows), upstream)[0]
        attained = np.zeros(x.shape[1:], bool)
        for top, left, bottom, right in windows:
            inside = oracles.maximal_somewhere(x[0, top:bottom, left:right], PAPER)
            attained[top:bottom, left:right] |= inside
        total = upstream.reshape(-1, CHANNELS).sum(axis=0)
        np.testing.assert_allclose(gradient.sum(axis=(0, 1)), total, rtol=1e-4)
        assert (gradient >= 0).all()
        assert not gradient[~attained].any()


# What Keras asks of a layer.


def test_defaults_are_the_papers():
    layer = layers.RoISpatialPyramidPooling(16)
    assert (layer.first_center, layer.ceil_excess) == (0, 0)
    assert layer.levels == ((6, 6), (3, 3), (2, 2), (1, 1))
    assert (layer.mode, layer.bounding_box_format) == ("max", "xyxy")


# Wrong arguments and bad inputs.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stride": 0}, "`stride` must be an int >= 1. Received: stride=0."),
        ({"stride": 1.5}, "`stride` must be an int >= 1. Received: stride=1.5."),
        ({"first_center": 0.3}, "`first_center` must be a multiple of 0.5. Received: first_cen"),
        ({"first_center": "a"}, "`first_center` must be a multiple of 0.5. Received: first_cen"),
        ({"ceil_excess": -1}, "`ceil_excess` must be an int >= 0. Received: ceil_excess=-1."),
        ({"shifts": (0, 0.3)}, "`shifts` must be a sequence of multiples of 0.5. Received: shi"),
        ({"shifts": 1}, "`shifts` must be a sequence of multiples of 0.5. Received: shifts=1."),
        ({"levels": ()}, "`levels` must be a non-empty sequence of ints"),
        ({"levels": (0,)}, "where 0 is neither."),
        ({"mode": "mean"}, "`mode` must be one of 'max', 'average'. Received: mode='mean'."),
        ({"bounding_box_format": "xxyy"}, "`bounding_box_format` must be one of 'xyxy', 'yxyx'"),
        ({"data_format": "NHWC"}, "`data_format` must be one of 'channels_last'"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        layers.RoISpatialPyramidPooling(**{"stride": 16, **arguments})


@eager_and_graph
@pytest.mark.parametrize(
    "box",
    [
        (90, 0, 80, 50),
        (0, 60, 80, 50),
        (np.nan, 0, 80, 50),
        (0, 0, np.inf, 50),
        (-np.inf, 0, 80, 50),
        (-30, 10, 0, 50),
        (10, -30, 50, -1),
        (236, 10, 300, 50),
        (10, 300, 50, 310),
        (0, 0, 0, 0),
        (-1, -1, -1, -1),
    ],
    ids=[
        "left beyond right",
        "top below bottom",
        "not a number",
        "without end",
        "without beginning",
        "left of the image",
        "above it",
        "right of it",
        "below it",
        "filled up with 0",
        "filled up with -1",
    ],
)
def test_boxes_that_are_no_boxes_of_the_image_are_refused_and_named(run, box):
    boxes = np.tile(np.array([0, 0, 100, 100], "float32"), (2, 3, 1))
    boxes[1, 1] = box
    x = np.zeros((2, 13, 13, CHANNELS), "float32")
    rule = "`boxes` must be finite, with left <= right and top <= bottom, and meet their image"
    shown = re.escape("(image, left, top, right, bottom)=") + r".*\b1(\.0)?,? "
    if run == "eager":
        with pytest.raises(ValueError, match=rule) as caught:
            pooling()(x, boxes)
        assert re.search(shown + ".* of box 4", str(caught.value))
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rule) as caught:
            in_graph(pooling())(x, boxes)
        assert re.search(shown + r".*\[of box\] \[\[4\]\]", str(caught.value))


@pytest.mark.parametrize("box", [(200, 0, 230, 50), (0, 100, 50, 110)], ids=["right", "below"])
def test_boxes_outside_an_image_whose_size_is_given_are_refused(box):
    x = np.zeros((1, 13, 13, CHANNELS), "float32")
    pooling()(x, one_box(*box))
    with pytest.raises(ValueError, match=r"`boxes` must be finite.* and meet their image"):
        pooling()(x, one_box(*box), image_sizes=np.array([[100, 200]]))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 4), r"`boxes` must have 3 dimensions, \(batch, boxes, 4\)"),
        ((2, 5, 5), r"`boxes` must be \(batch, boxes, 4\).*of shape \(2, 5, 5\)"),
        ((3, 5, 4), r"`boxes` must have one row for each of the 2 feature maps.*\(3, 5, 4\)"),
        ((1, 5, 4), r"`boxes` must have one row for each of the 2 feature maps.*\(1, 5, 4\)"),
    ],
    ids=str,
)
def test_boxes_of_another_shape_are_refused(shape, message):
    layer = layers.RoISpatialPyramidPooling(16, 14)
    with pytest.raises(ValueError, match=message):
        layer(np.zeros((2, 13, 13, CHANNELS), "float32"), np.ones(shape, "float32"))


@pytest.mark.tensorflow
def test_boxes_with_ragged_coordinates_are_refused():
    boxes = tf.ragged.constant([[[0.0, 0.0, 9.0, 9.0]], [[0.0, 0.0]]])
    with pytest.raises(ValueError, match="where at most their number is ragged"):
        layers.RoISpatialPyramidPooling(16)(np.zeros((2, 13, 13, CHANNELS), "float32"), boxes)


def test_relative_boxes_without_the_sizes_of_images_are_refused():
    layer = layers.RoISpatialPyramidPooling(16, bounding_box_format="rel_xyxy")
    with pytest.raises(ValueError, match="`image_sizes` must be given for boxes relative"):
        layer(np.zeros((1, 13, 13, CHANNELS), "float32"), one_box(0, 0, 1, 1))


@eager_and_graph
@pytest.mark.parametrize("size", [(0, 13), (13, 0), (1024, 1), (1, 1024)], ids=str)
def test_maps_without_cells_or_with_too_many_are_refused(run, size):
    x, boxes = np.zeros((1, *size, CHANNELS), "float32"), np.ones((1, 1, 4), "float32")
    rule = "must have at least one row and one column and no side longer than 1023"
    if run == "eager":
        with pytest.raises(ValueError, match=rule):
            pooling()(x, boxes)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rule):
            in_graph(pooling())(x, boxes)


@eager_and_graph
@pytest.mark.parametrize("size", [(14, 13), (13, 14), (0, 5), (5, 0)], ids=str)
def test_sizes_that_no_map_has_are_refused_and_named(run, size):
    x, boxes = np.zeros((2, 13, 13, CHANNELS), "float32"), np.ones((2, 1, 4), "float32")
    sizes = np.array([(13, 13), size], "int32")
    rule = "`sizes` must be at least 1 and at most the height and width"
    if run == "eager":
        with pytest.raises(ValueError, match=rule + ".* of image 1"):
            pooling()(x, boxes, sizes=sizes)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rule) as caught:
            in_graph(pooling(), "sizes")(x, boxes, sizes)
        assert f"[[{size[0]} {size[1]}]] [of image] [[1]]" in str(caught.value)


@pytest.mark.parametrize(
    ("image_sizes", "message"),
    [
        ([[224.0, 224.0]], "`image_sizes` must be integers"),
        ([[224, 224], [224, 224]], r"`image_sizes` must have shape \(batch, 2\)"),
        ([224, 224], r"`image_sizes` must have shape \(batch, 2\)"),
        ([[224, 28]], "must be at least 1"),
    ],
    ids=["floats", "another batch", "one dimension", "too small for a cell"],
)
def test_image_sizes_that_are_none_are_refused(image_sizes, message):
    x, boxes = np.zeros((1, 13, 13, CHANNELS), "float32"), np.ones((1, 1, 4), "float32")
    with pytest.raises(ValueError, match=message):
        pooling()(x, boxes, image_sizes=np.array(image_sizes))


def test_features_of_another_rank_or_of_unknown_channels_are_refused():
    boxes = np.ones((1, 1, 4), "float32")
    with pytest.raises(ValueError, match="`features` must have 4 dimensions"):
        layers.RoISpatialPyramidPooling(16)(np.zeros((13, 13, CHANNELS), "float32"), boxes)
    with pytest.raises(ValueError, match="`features` must have a known number of channels"):
        layers.RoISpatialPyramidPooling(16)(keras.Input((None, None, None)), keras.Input((None, 4)))


@pytest.mark.tensorflow
@pytest.mark.parametrize("rows", [2, 4])
def test_ragged_boxes_of_another_batch_are_refused_in_a_graph(rows):
    signature = [
        tf.TensorSpec((None, None, None, 4)),
        tf.RaggedTensorSpec((None, None, 4), ragged_rank=1),
    ]
    graph = tf.function(layers.RoISpatialPyramidPooling(16), input_signature=signature)
    boxes = tf.RaggedTensor.from_row_lengths(
        np.full((rows, 4), (0, 0, 64, 64), "float32"), [1] * rows
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="one row for each feature map"):
        graph(np.zeros((3, 5, 5, 4), "float32"), boxes)


@pytest.mark.tensorflow
def test_ragged_features_are_refused():
    features = tf.ragged.stack([np.zeros((4, 5, 2), "float32"), np.zeros((3, 3, 2), "float32")])
    with pytest.raises(ValueError, match="`features` must be a tensor; give maps of different"):
        layers.RoISpatialPyramidPooling(16)(features, np.zeros((2, 1, 4), "float32"))
