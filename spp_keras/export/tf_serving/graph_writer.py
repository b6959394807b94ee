"""Functions of a model as a SavedModel."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf


def write_graph(
    model: keras.Model,
    functions: Mapping[str, tuple[Callable[..., Any], Sequence[tf.TensorSpec]]],
    folder: str | Path,
) -> None:
    """Writes a SavedModel with a signature for each function.

    `keras.export.ExportArchive` does the same and traces every function twice.

    Args:
        model: Model whose variables the functions use.
        functions: By the name of the signature, from tensors to a dictionary of
            tensors, and the specifications of its arguments, which are named.
        folder: Folder to write into.
    """
    root = tf.Module()
    root.variables_of_the_model = [variable.value for variable in model.variables]
    signatures = {
        name: tf.function(call, inputs, autograph=False).get_concrete_function()
        for name, (call, inputs) in functions.items()
    }
    tf.saved_model.save(root, str(folder), signatures)
