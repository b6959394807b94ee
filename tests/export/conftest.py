"""Small models, exported once for the tests of this folder."""

from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import served_detectors
import small_detectors
import tensorflow as tf
from photographs import photograph

from spp_keras import export, zoo

CLASSES = 7
LABELS = ["cat", "dog", "größe", "a b", "x", "y", "z"]


class Exported(NamedTuple):
    model: keras.Model
    folder: Any
    """Of the version."""


def distinct(model):
    """The model with a last layer by which photographs differ in their scores."""
    last = model.layers[-1]
    vectors = keras.Model(model.input, last.input)
    height, width = (side or 100 for side in model.input_shape[1:3])
    first, second = (vectors(photograph(height, width, seed)[np.newaxis]) for seed in (7, 8))
    kernel = np.random.default_rng(0).normal(0, 1, last.kernel.shape)
    kernel /= np.std((first - second) @ kernel)
    last.kernel.assign(kernel)
    last.bias.assign(-((first + second) @ kernel)[0] / 2)
    return model


def with_backbone():
    images = keras.Input((None, None, 3))
    maps = keras.layers.Rescaling(1 / 255)(images)
    maps = keras.layers.Conv2D(4, 5, strides=4, activation="relu")(maps)
    backbone = keras.Model(images, maps)
    return zoo.spp_classifier(backbone, classes=CLASSES, levels=(2, 1), units=(8,))


@pytest.fixture(scope="session")
def exported(made_once):
    """Classifiers by name; `reporting` answers beside broken files, the others fail."""
    keras.utils.set_random_seed(1)
    any_size = distinct(zoo.zf5_spp(classes=CLASSES, width=0.0625))
    models = {
        "any_size": any_size,
        "reporting": any_size,
        "one_size": distinct(zoo.zf5(classes=CLASSES, width=0.0625)),
        "backbone": distinct(with_backbone()),
    }

    def make(repository):
        for name, model in models.items():
            on_error = "report" if name == "reporting" else "fail"
            export.export_model(model, repository / name, labels=LABELS, on_error=on_error)

    repository = made_once("exported", make)
    return {name: Exported(model, repository / name / "1") for name, model in models.items()}


class ExportedDetector(NamedTuple):
    model: keras.Model
    folder: Any
    """Of the version."""
    loaded: Any
    """The SavedModel in this process."""

    def call(self, signature, request):
        """What a signature answers to a request, as arrays."""
        function = self.loaded.signatures[signature]
        specs = function.structured_input_signature[1]
        tensors = {name: tf.constant(x, specs[name].dtype) for name, x in request.items()}
        return {name: value.numpy() for name, value in function(**tensors).items()}


@pytest.fixture(scope="session")
def exported_detectors(made_once):
    """A detector with all options that fails for broken files, and one with none that reports."""
    models = {
        "proposing": small_detectors.detector(small_detectors.THREE_SCALES, rpn=True),
        "given": small_detectors.detector(deltas=False),
    }

    def make(repository):
        for name, model in models.items():
            on_error = {"proposing": "fail", "given": "report"}[name]
            longest_side = served_detectors.LONGEST_SIDE
            export.export_model(
                model, repository / name, on_error=on_error, longest_side=longest_side
            )

    repository = made_once("exported_detectors", make)
    folders = {name: repository / name / "1" for name in models}
    return {
        name: ExportedDetector(model, folders[name], tf.saved_model.load(folders[name]))
        for name, model in models.items()
    }
