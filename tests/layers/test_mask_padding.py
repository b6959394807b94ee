import functools

import backends
import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from spp_keras import geometry, layers

eager_and_graph = pytest.mark.parametrize("run", ["eager", backends.GRAPH])


def drawn(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@functools.cache
def layer(stride=1, first_center=0, ceil_excess=0):
    return layers.MaskPadding(stride, first_center, ceil_excess)


@functools.cache
def in_graph(layer):
    return tf.function(
        lambda maps, sizes: layer(maps, sizes=sizes),
        input_signature=[tf.TensorSpec((None, None, None, 2)), tf.TensorSpec((None, 2), tf.int32)],
    )


def applied(run, layer, maps, sizes):
    if run == "eager":
        return layer(maps, sizes=sizes)
    return in_graph(layer)(maps, sizes)


@eager_and_graph
@pytest.mark.parametrize("fill", [3.0, np.nan, np.inf], ids=str)
def test_cells_beyond_an_image_become_zero_whatever_they_hold(run, fill):
    sizes = np.array([[4, 6], [5, 2], [1, 1]], "int32")
    maps = [drawn((*size, 2)) for size in sizes]
    answer, cells = applied(run, layer(), oracles.padded(maps, fill), sizes)
    np.testing.assert_array_equal(answer, oracles.padded(maps, 0.0))
    np.testing.assert_array_equal(cells, sizes)
    assert cells.dtype == "int32"


@eager_and_graph
@pytest.mark.parametrize(
    ("stride", "first_center", "pixels", "cells"),
    [(16, 14, 224, 13), (16, 14, 180, 10), (12, 8, 224, 18), (4, 2.5, 10, 2), (2, 0, 5, 3)],
)
def test_cells_follow_from_pixels_by_the_grid(run, stride, first_center, pixels, cells):
    least = int(2 * first_center) + 1
    sizes = np.array([[pixels, least], [least, pixels]], "int32")
    maps = drawn((2, cells, cells, 2))
    answer, counts = applied(run, layer(stride, first_center), maps, sizes)
    np.testing.assert_array_equal(counts, [[cells, 1], [1, cells]])
    np.testing.assert_array_equal(answer, oracles.masked(maps, [[cells, 1], [1, cells]]))


@eager_and_graph
def test_cells_that_rounding_up_gives_count(run):
    # Windows of 3 at every second pixel: of 6 pixels two whole ones, and one that sticks out.
    sizes = np.array([[6, 3], [3, 7]], "int32")
    answer, counts = applied(run, layer(2, 1, 1), drawn((2, 3, 3, 2)), sizes)
    np.testing.assert_array_equal(counts, [[3, 1], [1, 3]])
    np.testing.assert_array_equal(answer, oracles.masked(drawn((2, 3, 3, 2)), counts))


@eager_and_graph
def test_without_sizes_maps_pass_through(run):
    maps = drawn((2, 5, 6, 2))
    function = layer() if run == "eager" else tf.function(lambda maps: layer()(maps))
    answer, cells = function(maps)
    np.testing.assert_array_equal(answer, maps)
    assert cells is None


LAYERS = [(7, 2, 3), (3, 2, 1), (5, 1, 2), (3, 3, 0)]


@functools.cache
def trunk():
    """Convolutions with biases, each followed by the layer under test."""
    grid, parts = geometry.CellGrid(), []
    random = keras.initializers.RandomNormal(stddev=0.5, seed=1)
    for number, (kernel, stride, padding) in enumerate(LAYERS):
        grid = grid.after_layer(kernel, stride, padding)
        pad = keras.layers.ZeroPadding2D(padding)
        convolve = keras.layers.Conv2D(
            4, kernel, stride, bias_initializer=random, activation="relu", name=f"conv{number}"
        )
        parts.append((pad, convolve, layers.MaskPadding(*grid)))
    return parts


def through_the_trunk(images, sizes=None):
    x, cells = images, None
    for pad, convolve, keep_valid in trunk():
        x, cells = keep_valid(convolve(pad(x)), sizes=sizes)
    return x, cells


@settings(max_examples=backends.examples(15))
@given(
    sizes=st.lists(st.tuples(st.integers(12, 60), st.integers(12, 60)), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_through_a_trunk_every_image_of_a_padded_batch_is_as_if_alone(sizes, seed):
    images = [drawn((*size, 2), seed) for size in sizes]
    maps, cells = through_the_trunk(oracles.padded(images), np.array(sizes))
    for one_map, (rows, columns), image in zip(maps, backends.as_numpy(cells), images, strict=True):
        alone, _ = through_the_trunk(image[None])
        assert alone.shape[1:3] == (rows, columns)
        np.testing.assert_allclose(one_map[:rows, :columns], alone[0], rtol=1e-4, atol=1e-6)
        assert not np.any(one_map[rows:])
        assert not np.any(one_map[:, columns:])


def test_without_this_layer_the_trunk_would_answer_otherwise():
    images = [drawn((60, 60, 2)), drawn((40, 40, 2))]
    x = oracles.padded(images)
    for pad, convolve, _ in trunk():
        x = convolve(pad(x))
    alone, _ = through_the_trunk(images[1][None])
    rows, columns = alone.shape[1:3]
    assert np.abs(x[1, :rows, :columns] - alone[0]).max() > 1e-3


@pytest.mark.tensorflow
def test_gradients_of_cells_beyond_an_image_are_zero():
    maps = tf.constant(drawn((2, 5, 6, 2)))
    sizes = np.array([[5, 2], [1, 6]])
    with tf.GradientTape() as tape:
        tape.watch(maps)
        answer, _ = layer()(maps, sizes=sizes)
    expected = oracles.masked(np.ones_like(maps), sizes)
    np.testing.assert_array_equal(tape.gradient(answer, maps), expected)


@pytest.mark.tensorflow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_maps_keep_the_float_type_of_the_policy(policy):
    cut = layers.MaskPadding(1, 0, dtype=policy)
    maps, cells = cut(drawn((1, 300, 2, 2)), sizes=np.array([[257, 1]]))
    assert maps.dtype == cut.compute_dtype
    np.testing.assert_array_equal(cells, [[257, 1]])
    assert not np.any(maps[:, 257:])
    assert np.all(maps[:, :257, :1])


def test_a_config_of_before_layers_that_round_up_makes_one_that_rounds_down():
    config = layers.MaskPadding(16, 13.5).get_config()
    del config["ceil_excess"]
    assert layers.MaskPadding.from_config(config).ceil_excess == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "`stride` must be an int >= 1. Received: stride=0"),
        ((2.0, 0), "`stride` must be an int >= 1. Received: stride=2.0"),
        ((2, 0.25), "`first_center` must be a multiple of 0.5. Received: first_center=0.25"),
        ((2, None), "`first_center` must be a multiple of 0.5. Received: first_center=None"),
        ((2, 0, -1), "`ceil_excess` must be an int >= 0. Received: ceil_excess=-1"),
    ],
    ids=["step 0", "step no int", "a quarter", "no number", "shorter"],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.MaskPadding(*arguments)


@eager_and_graph
@pytest.mark.parametrize("size", [(12, 9), (9, 12), (4, 9), (0, 9)], ids=str)
def test_sizes_that_give_no_cells_or_more_than_the_map_has_are_refused(run, size):
    # Cells of 2 pixels from the second: 9 pixels have 3 cells, 11 have 4, 4 have none.
    maps, sizes = drawn((2, 3, 3, 2)), np.array([(9, 9), size], "int32")
    rule = "`sizes in cells` must be at least 1 and at most the height and width"
    if run == "eager":
        with pytest.raises(ValueError, match=rule + ".* of image 1"):
            applied(run, layer(2, 2), maps, sizes)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rule):
            applied(run, layer(2, 2), maps, sizes)


def test_maps_of_another_rank_are_refused():
    with pytest.raises(ValueError, match=r"`maps` must have 4 dimensions, \(batch, height, wid"):
        layers.MaskPadding(1, 0)(np.zeros((5, 5, 3), "float32"))
