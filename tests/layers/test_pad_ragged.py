import functools

import backends
import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf

from spp_keras import layers
from spp_keras.canvas_rules import CanvasRules
from spp_keras.cell_counts import CellCount

IMAGES = tf.TensorSpec((None, None, None, 3))
SIZES = tf.TensorSpec((None, 2), tf.int32)
RAGGED = tf.RaggedTensorSpec((None, None, None, 3), ragged_rank=2)
eager_and_graph = pytest.mark.parametrize("run", ["eager", backends.GRAPH])


def drawn(sizes):
    random = np.random.default_rng(0)
    return [random.normal(size=(*size, 3)).astype("float32") for size in sizes]


def sizes_of(images):
    return np.array([image.shape[:2] for image in images], "int32")


@functools.cache
def layer(min_size=1):
    return layers.PadRagged(min_size)


@functools.cache
def in_graph(layer, form="whole"):
    if form == "padded":
        return tf.function(lambda x, sizes: layer(x, sizes=sizes), input_signature=[IMAGES, SIZES])
    spec = {"whole": IMAGES, "ragged": RAGGED}[form]
    return tf.function(lambda x: layer(x), input_signature=[spec])


@eager_and_graph
def test_images_of_one_size_pass_through_without_sizes(run):
    x = np.stack(drawn([(4, 6)] * 2))
    images, sizes = (layer() if run == "eager" else in_graph(layer()))(x)
    np.testing.assert_array_equal(images, x)
    assert sizes is None


@eager_and_graph
@pytest.mark.parametrize("fill", [0.0, 7.0, np.nan], ids=str)
def test_a_padded_batch_keeps_its_images_sizes_and_padding(run, fill):
    images = drawn([(4, 6), (5, 2), (1, 1)])
    x, sizes = oracles.padded(images, fill), sizes_of(images)
    if run == "eager":
        padded, answer = layer()(x, sizes=sizes.astype("int64"))
    else:
        padded, answer = in_graph(layer(), "padded")(x, sizes)
    np.testing.assert_array_equal(padded, x)
    np.testing.assert_array_equal(answer, sizes)
    assert answer.dtype == "int32"


@pytest.mark.tensorflow
@eager_and_graph
def test_ragged_images_are_padded_with_zeros(run):
    images = drawn([(4, 6), (5, 2), (1, 1)])
    function = layer() if run == "eager" else in_graph(layer(), "ragged")
    padded, sizes = function(tf.ragged.stack(images))
    np.testing.assert_array_equal(padded, oracles.padded(images))
    np.testing.assert_array_equal(sizes, sizes_of(images))
    assert sizes.dtype == "int32"


@pytest.mark.tensorflow
@eager_and_graph
def test_ragged_images_of_one_width_are_padded_below(run):
    images = drawn([(4, 6), (5, 6), (1, 6)])
    batch = tf.RaggedTensor.from_row_lengths(np.concatenate(images), [4, 5, 1])
    function = layer() if run == "eager" else tf.function(lambda x: layer()(x))
    padded, sizes = function(batch)
    np.testing.assert_array_equal(padded, oracles.padded(images))
    np.testing.assert_array_equal(sizes, sizes_of(images))


RULES = CanvasRules(4, ((CellCount(), 2),), ((CellCount(), 3),))


@pytest.mark.tensorflow
@eager_and_graph
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("training", [None, True], ids=["inference", "training"])
def test_ragged_images_lie_on_canvases(run, dtype, training):
    images = [np.abs(100 * x).astype(dtype) for x in drawn([(40, 6), (5, 22), (9, 9), (30, 7)])]
    packing = layers.PadRagged(canvas_rules=RULES)
    function = packing if run == "eager" else tf.function(packing)
    canvases, placements = function(tf.ragged.stack(images), training=training)
    np.testing.assert_array_equal(placements[:, 3:], sizes_of(images))
    for image, (canvas, top, left, height, width) in zip(images, placements.numpy(), strict=True):
        placed = canvases[canvas, top : top + height, left : left + width]
        np.testing.assert_array_equal(placed, image)
    assert np.prod(canvases.shape[:3]) < len(images) * 40 * 22 / 2
    # As a user would send them: the layer accepts its own layout.
    packing(canvases, placements=placements)


@pytest.mark.tensorflow
def test_ragged_images_of_one_size_get_a_canvas_each():
    images = drawn([(10, 30)] * 3)
    canvases, placements = layers.PadRagged(canvas_rules=RULES)(tf.ragged.stack(images))
    assert placements.numpy().tolist() == [[index, 0, 0, 10, 30] for index in range(3)]
    np.testing.assert_array_equal(canvases[:, :10, :30], images)


@pytest.mark.parametrize("ragged", [False, backends.IS_RAGGED], ids=["dense", "ragged"])
def test_a_functional_model_pools_every_image_as_if_alone(ragged):
    inputs = keras.Input((None, None, 3), ragged=ragged)
    images, sizes = layers.PadRagged()(inputs)
    assert (sizes.shape, sizes.dtype) == ((None, 2), "int32")
    model = keras.Model(inputs, layers.SpatialPyramidPooling((2, 1))(images, sizes=sizes))
    images = drawn([(4, 6), (5, 2)] if ragged else [(4, 6), (4, 6)])
    batch = tf.ragged.stack(images) if ragged else np.stack(images)
    expected = [oracles.pyramid(image, (2, 1), "max") for image in images]
    np.testing.assert_array_equal(model.predict(batch, verbose=0), expected)


def test_a_functional_model_takes_padded_images_and_their_sizes():
    inputs, given_sizes = keras.Input((None, None, 3)), keras.Input((2,), dtype="int32")
    images, sizes = layers.PadRagged()(inputs, sizes=given_sizes)
    model = keras.Model(
        [inputs, given_sizes], layers.SpatialPyramidPooling((2, 1))(images, sizes=sizes)
    )
    images = drawn([(4, 6), (5, 2)])
    answer = model.predict([oracles.padded(images, np.nan), sizes_of(images)], verbose=0)
    expected = [oracles.pyramid(image, (2, 1), "max") for image in images]
    np.testing.assert_array_equal(answer, expected)


def test_half_precision_rounds_images_but_not_sizes():
    images = drawn([(300, 2), (257, 1)])
    half = layers.PadRagged(dtype="mixed_bfloat16")
    padded, sizes = half(oracles.padded(images), sizes=sizes_of(images))
    assert padded.dtype == "bfloat16"
    np.testing.assert_array_equal(sizes, sizes_of(images))


@pytest.mark.parametrize("min_size", [0, -1, 2.0, "3", None, True], ids=repr)
def test_a_min_size_that_is_none_is_refused(min_size):
    with pytest.raises(ValueError, match=r"`min_size` must be an int >= 1\. Received: min_size="):
        layers.PadRagged(min_size)


TOO_SMALL = "Every image must be at least 5 pixels high and wide"


@pytest.mark.tensorflow
def test_images_of_just_the_min_size_pass():
    images = drawn([(5, 6), (5, 5)])
    layer(5)(np.stack(images[:1]))
    layer(5)(tf.ragged.stack(images))
    layer(5)(oracles.padded(images), sizes=sizes_of(images))


@eager_and_graph
@pytest.mark.parametrize("size", [(4, 6), (6, 4), (0, 6)], ids=str)
def test_a_batch_that_is_too_small_is_refused(run, size):
    x = np.zeros((2, *size, 3), "float32")
    if run == "eager":
        with pytest.raises(ValueError, match=TOO_SMALL) as caught:
            layer(5)(x)
        assert f"Received: height and width={list(size)}" in str(caught.value)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=TOO_SMALL) as caught:
            in_graph(layer(5))(x)
        assert f"[[{size[0]} {size[1]}]] [of the whole batch]" in str(caught.value)


@eager_and_graph
@pytest.mark.parametrize("form", ["padded", backends.RAGGED])
@pytest.mark.parametrize("size", [(4, 6), (6, 4)], ids=str)
def test_an_image_that_is_too_small_is_refused_and_named(run, form, size):
    images = drawn([(7, 7), size, (1, 1)])
    arguments = [tf.ragged.stack(images)]
    if form == "padded":
        arguments = [oracles.padded(images), sizes_of(images)]
    if run == "eager":
        names = dict(zip(["images", "sizes"], arguments, strict=False))
        with pytest.raises(ValueError, match=TOO_SMALL) as caught:
            layer(5)(**names)
        assert f"height and width={list(size)} of image 1." in str(caught.value)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=TOO_SMALL) as caught:
            in_graph(layer(5), form)(*arguments)
        assert f"[[{size[0]} {size[1]}]] [of image] [[1]]" in str(caught.value)


@eager_and_graph
@pytest.mark.parametrize("size", [(8, 7), (7, 8)], ids=str)
def test_sizes_larger_than_the_batch_are_refused(run, size):
    x, sizes = np.zeros((2, 7, 7, 3), "float32"), np.array([(7, 7), size], "int32")
    rule = "`sizes` must be at least 1 and at most the height and width of the padded batch"
    if run == "eager":
        with pytest.raises(ValueError, match=rule + ".* of image 1"):
            layer()(x, sizes=sizes)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rule):
            in_graph(layer(), "padded")(x, sizes)


def test_sizes_that_are_no_integers_are_refused():
    with pytest.raises(ValueError, match=r"`sizes` must be integers.*of dtype float32"):
        layer()(np.zeros((1, 7, 7, 3), "float32"), sizes=np.array([[7.0, 7.0]]))


def test_sizes_of_another_batch_are_refused():
    with pytest.raises(ValueError, match=r"`sizes` must have shape \(batch, 2\).*\(2, 2\)"):
        layer()(np.zeros((1, 7, 7, 3), "float32"), sizes=np.array([[7, 7], [7, 7]]))


@pytest.mark.tensorflow
def test_sizes_beside_ragged_images_are_refused():
    images = drawn([(4, 6), (5, 2)])
    with pytest.raises(ValueError, match="`sizes` must be None for ragged `images`"):
        layer()(tf.ragged.stack(images), sizes=sizes_of(images))


@pytest.mark.tensorflow
@eager_and_graph
def test_ragged_images_whose_rows_differ_are_refused_and_named(run):
    values = tf.zeros((12, 3))
    rows = tf.RaggedTensor.from_row_lengths(values, [3, 3, 2, 4])
    batch = tf.RaggedTensor.from_row_lengths(rows, [2, 2])
    rule = "All rows of an image in `images` must have one length"
    if run == "eager":
        with pytest.raises(ValueError, match=rule + r".*\[2, 4\] of image 1"):
            layer()(batch)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rule) as caught:
            in_graph(layer(), "ragged")(batch)
        assert "[[2 4]] [of image] [[1]]" in str(caught.value)


def test_images_of_another_rank_are_refused():
    with pytest.raises(ValueError, match=r"`images` must have 4 dimensions, \(batch, height, wid"):
        layers.PadRagged()(np.zeros((7, 7, 3), "float32"))


@pytest.mark.tensorflow
def test_images_with_ragged_channels_are_refused():
    batch = tf.ragged.constant([[[[1.0, 2.0], [3.0]]], [[[4.0, 5.0]]]])
    with pytest.raises(ValueError, match="`images` must have a known number of channels"):
        layers.PadRagged()(batch)
