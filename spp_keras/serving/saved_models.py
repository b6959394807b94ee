"""SavedModels that `export_model` wrote, called without a server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from spp_keras import model_repository


def find_version(path: Path) -> Path | None:
    """The SavedModel of a path: itself, or the highest version in it; `None` if neither.

    Args:
        path: A SavedModel, a folder of its versions, or anything else.
    """
    version = path if (path / "saved_model.pb").is_file() else model_repository.latest_version(path)
    return version if version is not None and (version / "saved_model.pb").is_file() else None


def call_signature(
    signature: Callable[..., dict[str, Any]], **inputs: Any
) -> tuple[dict[str, Any], str | None]:
    """Calls a signature with one image file.

    Args:
        signature: A signature that takes `image_bytes`.
        **inputs: The inputs, without the batch axis.

    Returns:
        The outputs without the batch axis, and what is wrong with the file or `None`.
    """
    batch = {name: tf.convert_to_tensor(value)[tf.newaxis] for name, value in inputs.items()}
    try:
        outputs = signature(**batch)
    except tf.errors.InvalidArgumentError as error:
        return {}, _extract_reason(error.message)
    row = {name: value[0].numpy() for name, value in outputs.items()}
    if row.get("errors"):
        return {}, row["errors"].decode()
    return row, None


def _extract_reason(message: str) -> str:
    """The words of the graph about the only image, without those of TensorFlow around them."""
    return message.partition("`image_bytes` 0 ")[2].partition("]")[0] or message
