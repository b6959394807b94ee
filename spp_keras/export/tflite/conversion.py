"""What all TFLite files have in common: how they are converted, and what lies beside them."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from spp_keras import _checks, _files
from spp_keras.export.tf_serving import graph_writer


@contextlib.contextmanager
def make_converter(
    model: keras.Model,
    call: Callable[..., dict[str, Any]],
    signature: Sequence[tf.TensorSpec],
    form: str,
) -> Iterator[Any]:
    """A converter of a function of a model, which is its signature `serving_default`.

    Args:
        model: Model whose variables the function uses.
        call: From tensors to a dictionary of tensors.
        signature: The specifications of its arguments, which are named.
        form: What the weights become, see `export_tflite`.
    """
    with tempfile.TemporaryDirectory() as folder:
        graph_writer.write_graph(model, {"serving_default": (call, signature)}, folder)
        # Not `from_concrete_functions`: what that converts answers NaN.
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        # All else fails here, not on the device.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if form != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if form == "float16":
            converter.target_spec.supported_types = [tf.float16]
        yield converter


def write_tflite(content: bytes, to: Path, labels: Sequence[str]) -> Path:
    """Writes a file and the labels beside it, and returns its path."""
    _files.write_file(to.with_suffix(".labels.txt"), "".join(f"{label}\n" for label in labels))
    _files.write_file(to, content)
    return to


def check_tflite_path(to: str | Path) -> Path:
    """The path, if it can be that of a file."""
    to = Path(to)
    if to.suffix != ".tflite" or to.is_dir():
        raise ValueError(
            "`to` must be a path of a file that ends in .tflite; for a folder that TensorFlow "
            f"Serving loads, call `export_saved_model` or `export_detector`. Received: to={str(to)!r}."
        )
    return to


def resolve_image_shape(
    own: Sequence[Any], size: Any, least: int
) -> tuple[int | None, int | None, int]:
    """Height, width and channels of a file's images, where a model has some of its own."""
    height, width, channels = own
    if size is None:
        return height, width, channels
    try:
        sides = tuple(_checks.at_least(side, least, "size") for side in size)
    except (TypeError, ValueError):
        sides = ()
    fits = [it in (None, side) for it, side in zip((height, width), sides, strict=False)]
    if len(sides) != 2 or not all(fits):
        raise ValueError(
            f"`size` must be None or (height, width), ints >= {least} and such as the model takes, "
            f"{(height, width)}. Received: size={size!r}."
        )
    return (*sides, channels)
