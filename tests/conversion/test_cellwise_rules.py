"""Layers that map each cell on its own, between layers that need zero, and the least, beyond it."""

import any_size_cases as cases
import keras
import pytest
from keras import layers, ops

from spp_keras import any_size
from spp_keras.conversion import rule_table
from spp_keras.conversion.cellwise_rules import _ZERO_AT_ZERO
from spp_keras.models.graph_run import find_entrance

LAYERS = {
    "Activation": lambda: layers.Activation("softplus"),
    "AlphaDropout": lambda: layers.AlphaDropout(0.2),
    "BatchNormalization": layers.BatchNormalization,
    "Dense": lambda: layers.Dense(4),
    "Dropout": lambda: layers.Dropout(0.2),
    "ELU": layers.ELU,
    "GaussianDropout": lambda: layers.GaussianDropout(0.2),
    "GaussianNoise": lambda: layers.GaussianNoise(0.2),
    "GroupNormalization": lambda: layers.GroupNormalization(2),
    "Identity": layers.Identity,
    "LayerNormalization": layers.LayerNormalization,
    "LeakyReLU": layers.LeakyReLU,
    "Normalization": lambda: layers.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[2.0] * 4),
    "PReLU": lambda: layers.PReLU(shared_axes=[1, 2]),
    "ReLU": layers.ReLU,
    "ReLU with a slope": lambda: layers.ReLU(negative_slope=0.5, threshold=0.7),
    "RMSNormalization": layers.RMSNormalization,
    "Rescaling": lambda: layers.Rescaling(0.5, 0.3),
    "Softmax": layers.Softmax,
    "SpatialDropout2D": lambda: layers.SpatialDropout2D(0.2),
    "UnitNormalization": layers.UnitNormalization,
}
OPERATIONS = {
    "Absolute": ops.abs,
    "Cast": lambda x: ops.cast(ops.cast(x, "float64"), "float32"),
    "Clip": lambda x: ops.clip(x, 0.3, 0.9),
    "Elu": ops.elu,
    "Gelu": ops.gelu,
    "GetItem": lambda x: x[..., 1:3],
    "HardSigmoid": ops.hard_sigmoid,
    "HardSilu": ops.hard_silu,
    "LeakyRelu": ops.leaky_relu,
    "LogSigmoid": ops.log_sigmoid,
    "LogSoftmax": ops.log_softmax,
    "Max": lambda x: ops.max(x, axis=-1, keepdims=True),
    "Mean": lambda x: ops.mean(x, axis=-1, keepdims=True),
    "Negative": ops.negative,
    "ReLU": lambda x: keras.activations.relu(x, 0.5, threshold=0.7),
    "Relu": ops.relu,
    "Relu6": ops.relu6,
    "Selu": ops.selu,
    "Sigmoid": ops.sigmoid,
    "Silu": ops.silu,
    "Softmax": ops.softmax,
    "Softplus": ops.softplus,
    "Split": lambda x: ops.split(x, [1], axis=-1)[1],
    "Square": ops.square,
    "Tanh": ops.tanh,
    "slice of cells": lambda x: x[:, 1:-2, ::2, :3],
    "slices of a focus": lambda x: ops.concatenate([x[:, ::2, 1::2], x[:, 1::2, ::2]], axis=-1),
}
NEXT = {
    "convolution": lambda: layers.Conv2D(3, 3, padding="same", use_bias=False),
    "strided convolution": lambda: layers.Conv2D(3, 4, 2, padding="same", use_bias=False),
    "max pooling": lambda: layers.MaxPooling2D(3, 1, padding="same"),
    "average pooling": lambda: layers.AveragePooling2D(3, 2, padding="same"),
    "zeros": lambda: layers.ZeroPadding2D(((2, 0), (1, 1))),
}


@pytest.mark.parametrize(
    "following",
    [
        pytest.param(name, marks=[pytest.mark.integration] * (name != "convolution"))
        for name in NEXT
    ],
)
def test_what_lies_beyond_images_stays_known(following):
    """Behind zeros, which a rule may say to stay; all layers are outputs of one network."""
    inputs = keras.Input((None, None, 4))
    x = layers.ZeroPadding2D(1)(layers.Conv2D(4, 3, padding="same")(inputs))
    calls = {**{name: make() for name, make in LAYERS.items()}, **OPERATIONS}
    outputs = {name: NEXT[following]()(call(x)) for name, call in calls.items()}
    model = cases.randomize(keras.Model(inputs, outputs), side=(16, 18))
    converted = any_size(model)
    images = cases.make_images(((8, 12), (12, 6), (10, 10), (6, 8)), 4)
    rules = find_entrance(converted).canvas_rules

    for differences in cases.compare_outputs(model, converted, images, rules):
        wrong = {
            name: difference
            for name, difference in zip(sorted(outputs), differences, strict=True)
            if difference > 3e-6
        }
        assert not wrong


def test_each_rule_of_a_cellwise_operation_is_tried_above():
    rules = {
        name
        for name, rule in rule_table._OPERATIONS.items()
        if rule.__module__.endswith("cellwise_rules")
    }

    assert rules <= set(OPERATIONS)


@pytest.mark.parametrize("name", sorted(_ZERO_AT_ZERO))
def test_functions_that_are_said_to_be_zero_at_zero_are(name):
    assert float(keras.activations.get(name)(ops.zeros((1,)))[0]) == 0
