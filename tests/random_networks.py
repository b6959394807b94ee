"""Random small networks from the layers that have rules, as hypothesis draws them.

What is drawn is a plan, whose text says what the network consists of; layers are made by
`build`, as some of them draw seeds.
"""

import operator
from functools import partial
from typing import NamedTuple

import keras
from hypothesis import strategies as st
from keras import layers, ops

from spp_keras.layers import LocalResponseNormalization, SpatialPyramidPooling

CHANNELS = 4
_PADDINGS = st.sampled_from(["same", "valid"])
_ACTIVATIONS = st.sampled_from(
    ["linear", "relu", "sigmoid", "swish", "hard_silu", "elu", "tanh", "softplus", "gelu"]
)


class Network(NamedTuple):
    """A plan of a network: functions from a map to a map, and one to the outputs."""

    blocks: list
    top: object

    def build(self):
        """A functional model for images of `CHANNELS` channels of any size."""
        inputs = keras.Input((None, None, CHANNELS))
        x = inputs
        for block in self.blocks:
            x = block(x)
        return keras.Model(inputs, self.top(x))

    def skips_cells(self):
        """Whether a convolution leaves cells out, of which TensorFlow's gradient is unsafe.

        In float64 it writes beyond its buffer, for 1x1 kernels of stride 2 for example.
        """
        return any(_skips_cells(block) for block in self.blocks)


def _skips_cells(block):
    if isinstance(block, Layer):
        kernel, strides = (block.settings.get(name, 1) for name in ("kernel_size", "strides"))
        strides = strides if isinstance(strides, tuple) else (strides, strides)
        return isinstance(kernel, tuple) and any(map(operator.lt, kernel, strides))
    settings = block.keywords
    if block.func is wrap:
        return any(map(_skips_cells, settings["inner"]))
    strided = settings.get("kind") in ("strided", "hourglass")
    return strided and settings["kernels"][0] < settings["stride"]


class Layer(NamedTuple):
    """A layer as it will be made."""

    layer_class: type
    settings: dict

    def make(self):
        return self.layer_class(**self.settings)

    def __call__(self, x):
        return self.make()(x)


class Opened(layers.Layer):
    """A layer without a rule, which has to be opened."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def build(self, shape):
        for layer in self.inner:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, inputs):
        for layer in self.inner:
            inputs = layer(inputs)
        return inputs


def layer(layer_class, **settings):
    """Layers of a class; settings are values or strategies."""
    drawn = {
        name: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for name, value in settings.items()
    }
    return st.builds(Layer, st.just(layer_class), st.fixed_dictionaries(drawn))


def sides(least, rows, columns):
    return st.tuples(st.integers(least, rows), st.integers(least, columns))


def convolutions():
    settings = {
        "filters": CHANNELS,
        "kernel_size": sides(1, 5, 4),
        "padding": _PADDINGS,
        "use_bias": st.booleans(),
        "activation": _ACTIVATIONS,
        # Keras compiles grouped convolutions, at every call.
        "groups": st.sampled_from([*[1] * 15, 2, 4]),
    }
    return layer(layers.Conv2D, strides=sides(1, 4, 3), **settings) | layer(
        layers.Conv2D, dilation_rate=sides(1, 3, 2), **settings
    )


def depthwise_convolutions():
    """Also separable ones: both may have strides and dilations at once."""
    settings = {
        "kernel_size": sides(1, 5, 4),
        "strides": st.sampled_from([1, 1, 2, 3]),
        "padding": _PADDINGS,
        "dilation_rate": st.sampled_from([1, 1, 2]),
        "activation": _ACTIVATIONS,
    }
    multiplier = st.sampled_from([1, 2])
    return layer(layers.DepthwiseConv2D, **settings) | layer(
        layers.SeparableConv2D, filters=CHANNELS, depth_multiplier=multiplier, **settings
    )


def poolings():
    settings = {
        "pool_size": sides(1, 4, 3),
        "strides": st.none() | sides(1, 3, 4),
        "padding": _PADDINGS,
    }
    return layer(layers.MaxPooling2D, **settings) | layer(layers.AveragePooling2D, **settings)


def resizings():
    margins = st.tuples(sides(0, 3, 2), sides(0, 2, 3))
    return st.one_of(
        layer(layers.ZeroPadding2D, padding=margins),
        layer(layers.Cropping2D, cropping=margins),
        layer(layers.UpSampling2D, size=sides(1, 3, 2)),
    )


def normalizations():
    plain = {"center": False, "scale": False}
    return st.one_of(
        layer(layers.BatchNormalization),
        layer(layers.BatchNormalization, scale=False),
        layer(layers.LayerNormalization),
        layer(layers.LayerNormalization, axis=st.sampled_from([(1, 2), (1, 2, 3)]), **plain),
        layer(layers.GroupNormalization, groups=st.sampled_from([2, 4]), scale=st.booleans()),
        layer(layers.UnitNormalization, axis=st.sampled_from([-1, (1, 2), (1, 2, 3)])),
        layer(LocalResponseNormalization),
        layer(LocalResponseNormalization, region="within", size=st.sampled_from([3, 5])),
    )


def cellwise_layers():
    activations = ["hard_sigmoid", "log_softmax", "mish", "relu6", "squareplus"]
    rates = [layers.Dropout, layers.SpatialDropout2D, layers.AlphaDropout, layers.GaussianDropout]
    return st.one_of(
        layer(layers.ReLU),
        layer(layers.ReLU, max_value=6, negative_slope=0.1, threshold=0.2),
        layer(layers.LeakyReLU),
        layer(layers.ELU),
        layer(layers.Softmax),
        layer(layers.Identity),
        layer(layers.Activation, activation=st.sampled_from(activations)),
        layer(layers.PReLU, alpha_initializer="uniform", shared_axes=[1, 2]),
        layer(layers.Dense, units=CHANNELS, activation="tanh"),
        layer(layers.Rescaling, scale=0.7, offset=0.4),
        layer(layers.GaussianNoise, stddev=0.3),
        *(layer(layer_class, rate=0.3) for layer_class in rates),
    )


def single_layers():
    return st.one_of(
        convolutions(),
        convolutions(),
        depthwise_convolutions(),
        poolings(),
        resizings(),
        normalizations(),
        cellwise_layers(),
    )


OPERATORS = {
    "x * 0.5 + 0.3": lambda x: x * 0.5 + 0.3,
    "1 - x / 2": lambda x: 1.0 - x / 2.0,
    "x * sigmoid(x)": lambda x: x * ops.sigmoid(x),
    "x / (1 + x * x)": lambda x: x / (1.0 + x * x),
    "relu6(x + 3) / 6": lambda x: ops.relu6(x + 3.0) * (1.0 / 6.0),
    "maximum(x, -0.4)": lambda x: ops.maximum(x, -0.4),
    "concatenate([x, x])": lambda x: ops.concatenate([x, x], axis=-1),
    "x * mean of channels": lambda x: x * ops.mean(x, axis=-1, keepdims=True),
    "x - mean of cells": lambda x: x - ops.mean(x, axis=(1, 2), keepdims=True),
    "x + max of cells": lambda x: x + ops.max(x, axis=(1, 2), keepdims=True),
}


def operate(x, text):
    return OPERATORS[text](x)


def operators():
    return st.builds(partial, st.just(operate), text=st.sampled_from(list(OPERATORS)))


def squeeze(x, pooling, keepdims, merging):
    """Squeeze-and-excite in the forms that networks have it in."""
    channels = x.shape[-1]
    values = pooling(keepdims=keepdims)(x)
    if keepdims:
        values = layers.Conv2D(channels, 1, activation="sigmoid")(values)
    else:
        values = layers.Dense(channels, activation="sigmoid")(values)
        values = layers.Reshape((1, 1, channels))(values)
    if merging == "layer":
        return layers.Multiply()([x, values])
    return x + values if merging == "add" else values * x


def squeezes():
    return st.builds(
        partial,
        st.just(squeeze),
        pooling=st.sampled_from([layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D]),
        keepdims=st.booleans(),
        merging=st.sampled_from(["layer", "operator", "add"]),
    )


def branch(x, kind, merging, kernels, stride, pooling):
    """Two ways for a map, merged where they have one size again."""
    if x.shape[-1] != CHANNELS:
        x = layers.Conv2D(CHANNELS, 1)(x)
    convolve = partial(layers.Conv2D, CHANNELS)
    first = x
    if kind == "residual":
        second = convolve(kernels[0], padding="same", activation="relu")(x)
    elif kind == "strided":
        first = convolve(kernels[0], stride, "same")(x)
        second = pooling(kernels[1], stride, "same")(x)
    elif kind == "cropped":
        first = layers.Cropping2D(((1, 0), (0, 1)))(x)
        second = convolve(2, activation="relu")(x)
    elif kind == "padded":
        first = layers.ZeroPadding2D(1)(x)
        second = layers.ZeroPadding2D(((2, 0), (1, 1)))(x)
        second = convolve(kernels[0], padding="same")(second)
    else:
        second = convolve(kernels[0], stride, "same", activation="relu")(x)
        second = layers.UpSampling2D(stride)(second)
    return merging()([first, second])


def branches():
    merging = [layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply]
    return st.builds(
        partial,
        st.just(branch),
        kind=st.sampled_from(["residual", "strided", "cropped", "padded", "hourglass"]),
        merging=st.sampled_from([*merging, layers.Subtract, layers.Concatenate]),
        kernels=sides(1, 5, 5),
        stride=st.integers(2, 4),
        pooling=st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D]),
    )


def wrap(x, inner, opened):
    """Layers in a nested model, or in a layer that has to be opened."""
    inner = [plan.make() for plan in inner]
    return Opened(inner)(x) if opened else keras.Sequential([keras.Input(x.shape[1:]), *inner])(x)


def wrapped():
    inner = st.lists(single_layers(), min_size=1, max_size=2)
    return st.builds(partial, st.just(wrap), inner=inner, opened=st.booleans())


def finish(x, kind):
    if kind == "map":
        return x
    if kind == "pyramid":
        return layers.Dense(3)(SpatialPyramidPooling([3, 1])(x))
    if kind == "both":
        return {"map": x, "mean": layers.GlobalAveragePooling2D()(x)}
    pooling = layers.GlobalAveragePooling2D if kind == "average" else layers.GlobalMaxPooling2D
    return layers.Dense(3)(layers.Dropout(0.2)(pooling()(x)))


def tops():
    kinds = st.sampled_from(["map", "average", "max", "pyramid", "both"])
    return st.builds(partial, st.just(finish), kind=kinds)


def networks(most=6):
    """Plans of networks.

    Args:
        most: Most blocks of one.
    """
    blocks = st.one_of(
        single_layers(), single_layers(), branches(), squeezes(), operators(), wrapped()
    )
    lists = st.lists(blocks, min_size=1, max_size=most)
    # Maps are to stay small.
    lists = lists.filter(lambda drawn: repr(drawn).count("UpSampling2D") <= 2)
    return st.builds(Network, lists, tops())
