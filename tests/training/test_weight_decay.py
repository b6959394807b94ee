"""The decay of a training is Caffe's: part of the gradient, through the momentum."""

from types import SimpleNamespace

import keras
import numpy as np

from spp_keras import recipes
from spp_keras.training import trainer

RATE, MOMENTUM, DECAY, STEPS = 0.01, 0.9, 0.05, 400


def caffe(begun, gradients, decay):
    """W <- W + v with v <- momentum v - rate (g + decay W), step by step."""
    weight, velocity = begun.astype("float64"), 0.0
    for gradient in gradients:
        velocity = MOMENTUM * velocity - RATE * (gradient + decay * weight)
        weight = weight + velocity
    return weight


def test_weights_decay_as_in_caffe_and_biases_do_not():
    layer = keras.layers.Dense(4, bias_initializer="ones")
    model = keras.Sequential([keras.Input((6,)), layer])
    recipe = recipes.Recipe(learning_rate=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    classes = SimpleNamespace(classes=("a", "b", "c", "d"), multi_label=False)
    trainer._compile(model, recipe, classes)
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    begun = [weight.numpy() for weight in (layer.kernel, layer.bias)]
    rng = np.random.default_rng(0)
    gradients = [rng.normal(0, 0.1, (STEPS, *weight.shape)).astype("float32") for weight in begun]
    for pair in zip(*gradients, strict=True):
        optimizer.apply([keras.ops.convert_to_tensor(one) for one in pair])
    kernel, bias = (weight.numpy() for weight in (layer.kernel, layer.bias))

    np.testing.assert_allclose(bias, caffe(begun[1], gradients[1], 0), rtol=1e-3, atol=1e-5)
    expected = caffe(begun[0], gradients[0], DECAY)
    effect = np.linalg.norm(caffe(begun[0], gradients[0], 0) - expected)
    # To first order, once the momentum is under way: a tenth of the decay would miss nine tenths.
    assert np.linalg.norm(kernel - expected) < 0.05 * effect
