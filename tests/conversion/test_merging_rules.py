"""Maps merged with maps of other sizes, and with what has no size."""

import any_size_cases as cases
import keras
import numpy as np
import pytest
from keras import layers, ops

from spp_keras import any_size
from spp_keras.layers import PadRagged
from spp_keras.models.graph_run import find_entrance


def make_model(call, side=None, channels=4):
    inputs = keras.Input((side, side, channels))
    return keras.Model(inputs, call(inputs))


def hourglass(x, name="merge"):
    """Maps that have one size again for even images alone."""
    half = layers.Conv2D(4, 3, 2, "same", activation="relu")(x)
    return layers.Add(name=name)([x, layers.UpSampling2D()(half)])


# Canvases have odd sides here: their margins are 13 and 7.
@pytest.mark.parametrize("sizes", [((8, 12), (14, 6), (10, 10)), ((2, 2), (4, 4))])
def test_canvases_may_have_a_size_for_which_maps_are_of_different_ones(sizes):
    model = cases.randomize(make_model(hourglass))
    converted = any_size(model)
    images = cases.make_images(sizes, 4)

    assert (
        max(cases.compare(model, converted, images, find_entrance(converted).canvas_rules)) < 1e-6
    )


def test_an_image_for_which_maps_are_of_different_sizes_is_refused_by_the_name_of_the_layer():
    converted = any_size(make_model(hourglass))

    with pytest.raises(
        Exception, match=r"(?s)width for which layer 'merge' gets.*pixels=7 of image 1"
    ):
        converted(cases.pad(cases.make_images(((8, 8), (6, 7)), 4)))
    with pytest.raises(Exception, match="height for which layer 'merge'"):
        converted(np.zeros((1, 7, 8, 4)))


def test_of_demands_those_are_kept_that_refuse_more():
    model = make_model(lambda x: hourglass(hourglass(x), "again"))
    (entrance,) = (layer for layer in any_size(model).layers if isinstance(layer, PadRagged))

    assert [(name, axis) for name, axis, _, _ in entrance.equal_cells] == [
        ("merge", 0),
        ("merge", 1),
    ]


def test_maps_of_different_strides_are_refused():
    def call(x):
        return layers.Add(name="merge")([layers.Conv2D(4, 1, 2)(x), layers.Cropping2D(4)(x)])

    with pytest.raises(ValueError, match="'merge' merges maps of different strides, 2 and 1 pix"):
        any_size(make_model(call, side=16))


def test_maps_of_one_size_for_no_image_are_refused():
    def call(x):
        return layers.Add(name="merge")([x, layers.ZeroPadding2D(1)(x)])

    with pytest.raises(ValueError, match="'merge' merges maps that have one size for no image"):
        any_size(make_model(call))


@pytest.mark.parametrize("shape", [(8, 8, 4), (1, 8, 8, 1), (8, 1), (1, 8, 4)])
def test_a_constant_for_each_cell_is_refused(shape):
    model = make_model(lambda x: x * np.ones(shape, "float32"), side=8)

    with pytest.raises(ValueError, match=r"'multiply.*ties it to one size"):
        any_size(model)


@pytest.mark.parametrize("shape", [(), (4,), (1, 1, 4), (1, 1, 1, 4)])
def test_a_constant_for_each_channel_is_not(shape):
    constant = np.arange(np.prod(shape, dtype=int), dtype="float32").reshape(shape) + 1
    model = make_model(lambda x: x * constant)
    image = np.ones((1, 3, 5, 4), "float32")

    np.testing.assert_array_equal(any_size(model)(image), image * constant)


def test_gradients_of_a_quotient_of_maps():
    """Far from images the divisor was 0: its gradient is infinite there, times 0."""

    def call(x):
        x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
        return layers.GlobalAveragePooling2D()(x / ops.mean(x, axis=-1, keepdims=True))

    model = make_model(call)
    for weight in model.weights:
        weight.assign(np.abs(np.asarray(weight)) + 0.1)
    converted = any_size(model)
    images = [np.abs(image) for image in cases.make_images(((5, 6), (7, 4), (3, 3)), 4)]
    rules = find_entrance(converted).canvas_rules

    assert max(cases.compare(model, converted, images, rules)) < 1e-5
    assert max(cases.compare_gradients(model, converted, images, rules)) < 1e-5


def test_a_map_beside_what_is_no_map_is_not_concatenated():
    def call(x):
        return layers.Concatenate(name="join")(
            [layers.MaxPooling2D(8)(x), layers.GlobalAveragePooling2D(keepdims=True)(x)]
        )

    with pytest.raises(ValueError, match="'join' concatenates a map with what is no map"):
        any_size(make_model(call, side=8))
