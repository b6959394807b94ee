"""Conversion to TFLite, common to classifiers and detectors."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from spp_keras import _checks
from spp_keras.export import graph_writer


@contextlib.contextmanager
def make_converter(
    model: keras.Model, signature: graph_writer.Signature, quantization: str
) -> Iterator[Any]:
    """Makes the converter of a function of a model, which becomes `serving_default`.

    Args:
        model: Model whose variables the function uses.
        signature: The function and its inputs.
        quantization: See `export_tflite`.
    """
    with tempfile.TemporaryDirectory() as folder:
        graph_writer.write_graph(model, {"serving_default": signature}, folder)
        # Not `from_concrete_functions`: what that converts returns NaN.
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        # What has no built-in operation fails here, not on the device.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantization != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        yield converter


def check_tflite_path(output: str | Path) -> Path:
    """Returns the path of a TFLite file, or raises if it cannot be one."""
    path = Path(output)
    if path.suffix != ".tflite" or path.is_dir():
        raise ValueError(
            "`output` must be the path of a file that ends in .tflite; `export_model` writes "
            f"folders for TensorFlow Serving, too. Received: output={str(path)!r}."
        )
    return path


def resolve_image_shape(
    model_shape: Sequence[Any], image_size: Any, min_side: int
) -> tuple[int | None, int | None, int]:
    """Height, width and channels of a file's images; height and width may be `None`.

    Args:
        model_shape: Height, width and channels of the model's images.
        image_size: The height and width that were asked for, or `None`.
        min_side: Smallest side that the model can map.
    """
    height, width, channels = model_shape
    if image_size is None:
        return height, width, channels
    try:
        sides = tuple(_checks.at_least(side, min_side, "image_size") for side in image_size)
    except (TypeError, ValueError):
        sides = ()
    matches = [
        required in (None, side) for required, side in zip((height, width), sides, strict=False)
    ]
    if len(sides) != 2 or not all(matches):
        raise ValueError(
            f"`image_size` must be None or (height, width), ints >= {min_side} and such as the "
            f"model takes, {(height, width)}. Received: image_size={image_size!r}."
        )
    return (*sides, channels)
