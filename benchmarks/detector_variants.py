"""Variants of detectors that only benchmarks use: bfloat16, and heads without box deltas."""

import keras

from spp_keras.detection import heads
from spp_keras.detection.detector import Detector


def cast_to_bfloat16(detector: Detector) -> Detector:
    """The detector with convolutions, pooling and hidden layers in bfloat16.

    That is 8 bits of precision instead of 24: half the memory traffic, and twice the
    multiplications a second where the processor has them. The output layers stay in float32.
    """
    return detector.replace(
        trunk=_clone_in_bfloat16(detector.trunk),
        head=heads.build_head(heads.get_dense_layers(detector.head), "bfloat16"),
    )


def remove_box_regression(head: keras.Model) -> keras.Model:
    """The head without box deltas: RoIs are scored and stay where they are."""
    layers = heads.get_dense_layers(head)
    return heads.build_head(
        [layer for layer in layers if layer.name not in ("deltas", "regression")]
    )


def _clone_in_bfloat16(model: keras.Model) -> keras.Model:
    def clone_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": "bfloat16"})

    clone = keras.models.clone_model(model, clone_function=clone_layer)
    clone.set_weights(model.get_weights())
    return clone
