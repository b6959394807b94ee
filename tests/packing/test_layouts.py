import functools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from spp_keras.canvas_rules import CanvasRules
from spp_keras.cell_counts import CellCount
from spp_keras.packing import draw_canvases, plan_canvases

pytestmark = pytest.mark.tensorflow


def free_cells(*pairs):
    """Cells that stay free on maps of these strides."""
    return tuple((CellCount().slide_same(stride), free) for stride, free in pairs)


RULES = {
    "no gap": CanvasRules(16),
    "every pixel": CanvasRules(1, free_cells((1, 1)), free_cells((1, 1))),
    "5x5 at stride 32": CanvasRules(32, free_cells((32, 2)), free_cells((32, 2))),
    "odd stride, rows alone": CanvasRules(6, free_cells((2, 3), (3, 1)), ()),
    "columns alone": CanvasRules(8, (), free_cells((8, 1))),
}
SIDES = st.integers(1, 400)
SIZES = st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=12)
SHORT_SIZES = st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=8)


@functools.cache
def planner(name):
    """The planner for rules in a graph that takes any sizes."""
    signature = [tf.TensorSpec((None, 2), tf.int32)]
    return tf.function(lambda sizes: plan_canvases(sizes, RULES[name]), input_signature=signature)


def plan(sizes, name="no gap"):
    layout = planner(name)(np.array(sizes, "int32"))
    return type(layout)(*(value.numpy() for value in layout))


@settings(max_examples=60)
@given(SIZES, st.sampled_from(list(RULES)))
def test_every_image_has_a_place_where_its_network_cannot_see_another(sizes, name):
    layout, rules = plan(sizes, name), RULES[name]
    canvas, top, left, height, width = layout.placements.T

    np.testing.assert_array_equal(layout.placements[:, 3:], sizes)
    assert np.all(layout.placements[:, :3] >= 0)
    assert np.all(canvas < layout.canvases)
    assert np.all(top + height <= layout.height)
    assert np.all(left + width <= layout.width)
    assert np.all(top % rules.stride == 0)
    assert np.all(left % rules.stride == 0)
    assert_apart(layout, rules)


def assert_apart(layout, rules):
    """Paints each image's footprint, and looks for other images in it."""
    margin = max(max(rules.footprint(h, w)) for h, w in layout.placements[:, 3:].tolist())
    seen = np.zeros((layout.canvases, layout.height + margin, layout.width + margin), "uint8")
    for canvas, top, left, height, width in layout.placements:
        seen[canvas, top : top + height, left : left + width] += 1
    assert seen.max() == 1
    for canvas, top, left, height, width in layout.placements.tolist():
        rows, columns = rules.footprint(height, width)
        footprint = seen[canvas, top : top + rows, left : left + columns]
        assert footprint.sum() == height * width


@settings(max_examples=30)
@given(SIZES, st.sampled_from(list(RULES)))
def test_a_layout_is_one_of_sizes_alone_and_never_larger_than_padding(sizes, name):
    layout, again = plan(sizes, name), plan(sizes, name)

    for found, expected in zip(again, layout, strict=True):
        np.testing.assert_array_equal(found, expected)
    largest = np.max(sizes, axis=0)
    padded = len(sizes) * largest[0] * -(-largest[1] // layout.step) * layout.step
    assert layout.canvases * layout.height * layout.width <= padded
    assert layout.width % layout.step == 0


@settings(max_examples=30)
@given(SIDES, SIDES, st.integers(1, 12), st.sampled_from(list(RULES)))
def test_images_that_are_alike_have_a_canvas_each(height, width, count, name):
    layout = plan([(height, width)] * count, name)

    assert (layout.canvases, layout.height) == (count, height)
    assert width <= layout.width < width + layout.step
    expected = [(index, 0, 0, height, width) for index in range(count)]
    np.testing.assert_array_equal(layout.placements, expected)


def test_images_that_tile_a_square_fill_a_canvas():
    layout = plan([(32, 96), (64, 32), (64, 64)])

    assert (layout.canvases, layout.height, layout.width) == (1, 96, 96)


def test_mixed_images_need_far_fewer_pixels_than_padding():
    sizes = [(60, 400), (400, 60), (120, 130), (64, 64), (90, 300), (200, 210), (33, 70), (310, 88)]
    layout = plan(sizes, "5x5 at stride 32")

    padded = len(sizes) * 400 * 400
    assert layout.canvases * layout.height * layout.width < padded / 3


@settings(max_examples=30)
@given(SHORT_SIZES, st.sampled_from(list(RULES)), st.sampled_from(["float32", "uint8"]))
def test_the_window_of_each_image_on_its_canvas_is_the_image(sizes, name, dtype):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (*size, 3)).astype(dtype) for size in sizes]
    layout = plan(sizes, name)

    pixels = tf.constant(np.concatenate([image.reshape(-1, 3) for image in images]))
    canvases = draw_canvases(pixels, layout)

    assert canvases.dtype == dtype
    assert canvases.shape == (layout.canvases, layout.height, layout.width, 3)
    for image, (canvas, top, left, height, width) in zip(images, layout.placements, strict=True):
        window = canvases[canvas, top : top + height, left : left + width]
        np.testing.assert_array_equal(window, image)


@pytest.mark.integration
def test_the_number_of_a_pixel_may_be_beyond_what_float32_holds():
    # 17 million pixels, numbered one by one.
    sizes = [(4096, 4096), (300, 801)]
    layout = plan(sizes)
    count = sum(height * width for height, width in sizes)
    pixels = np.arange(count, dtype="int32")[:, np.newaxis]

    canvases = draw_canvases(tf.constant(pixels), layout).numpy()

    canvas, top, left, height, width = layout.placements[1]
    window = canvases[canvas, top : top + height, left : left + width, 0]
    np.testing.assert_array_equal(window.ravel(), pixels[4096 * 4096 :, 0])
