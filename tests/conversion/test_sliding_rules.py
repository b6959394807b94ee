"""Layers that read neighboring cells, where random networks seldom come by."""

import any_size_cases as cases
import keras
import numpy as np
import pytest
from keras import layers, ops

from spp_keras import any_size
from spp_keras.models.graph_run import find_entrance

SIZES = ((9, 14), (14, 9), (11, 11), (8, 13), (10, 7))


@pytest.mark.parametrize("strides", [2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_strides_and_dilations_at_once(strides, padding):
    settings = {"strides": strides, "padding": padding, "dilation_rate": 2}

    assert_exact(layers.DepthwiseConv2D(3, **settings))
    assert_exact(layers.SeparableConv2D(5, 3, **settings))


@pytest.mark.parametrize("strides", [1, 2, (3, 2)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_grouped_convolutions(strides, padding):
    assert_exact(layers.Conv2D(8, (4, 3), strides, padding, groups=2))


@pytest.mark.parametrize("value", [None, float("-inf")])
def test_pad_before_a_pooling(value):
    def call(x):
        x = ops.pad(x, [[0, 0], [2, 1], [0, 3], [0, 0]], constant_values=value)
        return layers.MaxPooling2D(4, 3)(x)

    assert_exact(call)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=1.0),
        lambda x: ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect"),
        lambda x: ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 2]]),
        lambda x: ops.pad(x, 1),
    ],
)
def test_other_pads_are_refused(call):
    inputs = keras.Input((None, None, 4))

    with pytest.raises(ValueError, match=r"'pad.*has to pad rows and columns with zero or minus"):
        any_size(keras.Model(inputs, call(inputs)))


def assert_exact(call, channels=4):
    inputs = keras.Input((None, None, channels))
    model = cases.randomize(keras.Model(inputs, call(inputs)), side=16)
    converted = any_size(model)
    images = cases.make_images(SIZES, channels)

    assert (
        max(cases.compare(model, converted, images, find_entrance(converted).canvas_rules)) < 1e-6
    )
    assert np.isfinite(np.asarray(converted(images[0][np.newaxis]))).all()
