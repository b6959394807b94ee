"""Writing functions of a model as a SavedModel."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf


class Signature(NamedTuple):
    """A function that a server calls by name.

    Args:
        call: From tensors to a dictionary of tensors.
        inputs: A `tf.TensorSpec` for each argument; its name is the name of the input.
    """

    call: Callable[..., dict[str, Any]]
    inputs: tuple[tf.TensorSpec, ...]


def write_graph(
    model: keras.Model, signatures: Mapping[str, Signature], folder: str | Path
) -> None:
    """Writes a SavedModel.

    `keras.export.ExportArchive` does the same and traces every function twice.

    Args:
        model: Model whose variables the signatures use.
        signatures: The signatures by name.
        folder: Folder to write into.
    """
    root = tf.Module()
    root.variables_of_the_model = [variable.value for variable in model.variables]
    functions = {
        name: tf.function(call, inputs, autograph=False).get_concrete_function()
        for name, (call, inputs) in signatures.items()
    }
    tf.saved_model.save(root, str(folder), functions)
