"""Layers and operations that may mix images: refused by their names, none is silently wrong."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from spp_keras import any_size


class Scaled(layers.Layer):
    """A layer without a rule that has weights."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],))

    def call(self, inputs):
        return ops.multiply(inputs, self.scale)


class Trained(layers.Layer):
    """A layer without a rule that does other things in training."""

    def call(self, inputs, training=None):
        return inputs - ops.mean(inputs, axis=-1, keepdims=True) if training else inputs * 2


def attend(x):
    return layers.MultiHeadAttention(2, 2, attention_axes=(1, 2), name="wrong")(x, x)


CUSTOM = {
    "Attention": lambda x: layers.Attention(name="wrong")([x, x]),
    "MultiHeadAttention": attend,
    "Lambda": layers.Lambda(lambda x: x, name="wrong"),
    "Conv2DTranspose": layers.Conv2DTranspose(4, 3, name="wrong"),
    "SpectralNormalization": layers.SpectralNormalization(layers.Conv2D(4, 3), name="wrong"),
    "EinsumDense": layers.EinsumDense("bhwc,cd->bhwd", (None, None, 4), name="wrong"),
    "UpSampling2D": layers.UpSampling2D(interpolation="bilinear", name="wrong"),
    "Resizing": layers.Resizing(8, 8, name="wrong"),
    "CenterCrop": layers.CenterCrop(4, 4, name="wrong"),
    "RandomFlip": layers.RandomFlip(name="wrong"),
    "ActivityRegularization": layers.ActivityRegularization(l2=0.1, name="wrong"),
    "activity_regularizer": layers.Conv2D(4, 3, activity_regularizer="l2", name="wrong"),
    "synchronized": layers.BatchNormalization(synchronized=True, name="wrong"),
    "weights of its own": Scaled(name="wrong"),
    "other things in training": Trained(name="wrong"),
    "channels first": layers.GlobalAveragePooling2D("channels_first", name="wrong"),
    "moments of rows": layers.LayerNormalization((1, 3), name="wrong"),
    "weights for each cell": layers.LayerNormalization((1, 2, 3), name="wrong"),
    "slopes for each cell": layers.PReLU(name="wrong"),
    "softmax of cells": layers.Softmax((1, 2), name="wrong"),
    "activation of a mean": layers.Activation(lambda x: x - ops.mean(x), name="wrong"),
    "activation of TensorFlow": layers.Dense(4, activation=lambda x: tf.tanh(x), name="wrong"),
    "activation with slopes": layers.Conv2D(4, 3, activation=layers.PReLU(), name="wrong"),
    "reshape to cells": layers.Reshape((64, 4), name="wrong"),
}
OPERATIONS = {
    "sum": lambda x: ops.sum(x, axis=(1, 2)),
    "transpose": lambda x: ops.transpose(x, (0, 2, 1, 3)),
    "flip": lambda x: ops.flip(x, 1),
    "roll": lambda x: ops.roll(x, 1, axis=1),
    "get_item of some rows": lambda x: x[:, 2:5],
    "get_item from the last row": lambda x: x[:, -3:],
    "get_item backwards": lambda x: x[:, ::-1],
    "get_item of images": lambda x: x[1:, :],
    "get_item of channels": lambda x: x[:, 0, :, :2],
    "split": lambda x: ops.split(x, 2, axis=1),
    "softmax": lambda x: ops.softmax(x, axis=1),
    "max": lambda x: ops.max(x, axis=(1, 2), initial=3.0),
    "mean": lambda x: ops.mean(x),
    "mean of rows": lambda x: ops.mean(x, axis=1, keepdims=True),
    "concatenate": lambda x: ops.concatenate([x, x], axis=1),
    "reshape": lambda x: ops.reshape(x, (-1, 4)),
    "resize": lambda x: ops.image.resize(x, (8, 8)),
    "conv": lambda x: ops.conv(x, np.ones((3, 3, 4, 4), "float32")),
}


@pytest.mark.parametrize("call", CUSTOM.values(), ids=CUSTOM.keys())
def test_a_layer_that_may_see_other_images_is_refused_by_its_name(call):
    with pytest.raises(ValueError, match="'wrong'"):
        any_size(make_model(call))


@pytest.mark.parametrize("name", OPERATIONS)
def test_so_is_an_operation(name):
    with pytest.raises(ValueError, match=f"'{name.split()[0]}"):
        any_size(make_model(OPERATIONS[name]))


@pytest.mark.parametrize(
    "activation",
    [
        None,
        "swish",
        "softmax",
        ops.relu,
        tf.nn.relu,
        layers.LeakyReLU(0.2),
        lambda x: x * ops.sigmoid(1.7 * x),
    ],
)
def test_activations_of_cells_are_accepted(activation):
    model = make_model(layers.Conv2D(4, 3, activation=activation))
    images = np.ones((1, 8, 8, 4), "float32")

    np.testing.assert_array_equal(any_size(model)(images), model(images))


def make_model(call):
    inputs = keras.Input((8, 8, 4))
    return keras.Model(inputs, call(inputs))
