"""The cases of `network.py` that run in TensorFlow: ours, and the rate of the machine."""

import functools

import keras
import network_inputs as inputs
import numpy as np
import tensorflow as tf
from network_tables import MATMUL, OURS
from worker import THREADS, Prepared, case, serve

from spp_keras.zoo import zf5_spp


@case("forward", OURS, "a `tf.function`")
def _forward(setting: str) -> Prepared:
    model = _make_model(setting)
    function = tf.function(lambda images: model(images, training=False), autograph=False)
    images = tf.constant(inputs.images())
    return Prepared(lambda: function(images), lambda scores: scores.numpy())


@case("training", OURS, "the step of `fit`, by `train_on_batch`")
def _training(setting: str) -> Prepared:
    model = _make_model(setting)
    # So small a rate that weights stay as they are however many steps are measured.
    optimizer = keras.optimizers.SGD(1e-12, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    batch = tf.constant(inputs.images()), tf.constant(inputs.labels())

    def answer(_: object) -> np.ndarray:
        # After one step a momentum is the gradient, times the rate below zero.
        gradients = [x.numpy() / np.float32(-1e-12) for x in optimizer.momentums]
        names = [variable.path.split("/")[-2:] for variable in model.trainable_variables]
        found = {tuple(name): x for name, x in zip(names, gradients, strict=True)}
        layers = inputs.list_layers(inputs.WIDTHS[setting])
        by_layer = {x.name: (found[x.name, "kernel"], found[x.name, "bias"]) for x in layers}
        return inputs.join_gradients(by_layer, inputs.WIDTHS[setting])

    return Prepared(lambda: model.train_on_batch(*batch), answer)


def _matmul(setting: str) -> Prepared:
    shape = (inputs.MATMUL, inputs.MATMUL)
    matrices = [tf.random.stateless_normal(shape, (number, 0)) for number in range(2)]
    return Prepared(functools.partial(tf.linalg.matmul, *matrices))


for section in inputs.SECTIONS:
    case(section, MATMUL, "the rate of the machine")(_matmul)


def _make_model(setting: str) -> keras.Model:
    """Without dropout, so that answers can be compared."""
    width = inputs.WIDTHS[setting]
    model = zf5_spp(inputs.CLASSES, width=width, dropout=0)
    for name, values in inputs.weights(width).items():
        model.get_layer(name).set_weights(values)
    return model


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    serve(["spp_keras", "tensorflow", "keras", "numpy"])
