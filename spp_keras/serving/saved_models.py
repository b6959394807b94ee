"""What `spp-keras export` writes for TensorFlow Serving, asked without a server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from spp_keras import model_repository


def find_version(path: Path) -> Path | None:
    """The SavedModel that a path means: itself, or the highest version in it; `None` if neither.

    Args:
        path: A SavedModel, a folder of its versions, or anything else.
    """
    found = path if (path / "saved_model.pb").is_file() else model_repository.latest_version(path)
    return found if found is not None and (found / "saved_model.pb").is_file() else None


def call_signature(
    signature: Callable[..., dict[str, Any]], **sent: Any
) -> tuple[dict[str, Any], str | None]:
    """What a signature answers for the only image that is sent, and why it does not.

    Args:
        signature: One that gets `image_bytes`.
        **sent: What to send for that image, without the axis of the batch.
    """
    try:
        found = signature(**{name: tf.convert_to_tensor(x)[tf.newaxis] for name, x in sent.items()})
    except tf.errors.InvalidArgumentError as error:
        return {}, _reason(error.message)
    found = {name: value[0].numpy() for name, value in found.items()}
    if found.get("errors"):
        return {}, found["errors"].decode()
    return found, None


def _reason(message: str) -> str:
    """What the graph says of the only image, without the words around it."""
    return message.partition("`image_bytes` 0 ")[2].partition("]")[0] or message
