"""The encoded bytes of any image at once, from files of their own or from inside larger ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


class ImageReader:
    """Reads encoded images, in TensorFlow operations.

    Args:
        files: Image files, or files with images in them (TFRecord shards).
        spans: int64 `(n, 3)`: for each image the number of its file, its offset
            in it and its length.
    """

    def __init__(self, files: Sequence[str], spans: np.ndarray):
        lengths = [tf.io.gfile.stat(file).length for file in files]
        spans = np.asarray(spans, "int64")
        self._whole = bool(
            np.all((spans[:, 1] == 0) & (spans[:, 2] == np.array(lengths, "int64")[spans[:, 0]]))
        )
        # What `read` needs to know of each image, by name.
        if self._whole:
            self.table = {"path": tf.gather(tf.constant(list(files)), spans[:, 0])}
        else:
            self.table = {
                "file": tf.constant(spans[:, 0], tf.int32),
                "offset": tf.constant(spans[:, 1:2]),
                "length": tf.constant(spans[:, 2:]),
            }
            self._memory = _mapped(files, lengths)

    def row(self, number: int) -> dict[str, tf.Tensor]:
        """The row of the table of one image, by its number."""
        return {name: values[number] for name, values in self.table.items()}

    def read(self, row: Mapping[str, Any]) -> tf.Tensor:
        """The bytes of an image, of its row of the table: a scalar string."""
        if self._whole:
            return tf.io.read_file(row["path"])
        memory = tf.raw_ops.TensorListGetItem(
            input_handle=self._memory,
            index=row["file"],
            element_shape=[-1],
            element_dtype=tf.uint8,
        )
        # A serialized tensor ends with its bytes: that makes a string of them without a loop.
        serialized = tf.io.serialize_tensor(tf.slice(memory, row["offset"], row["length"]))
        length = tf.reshape(row["length"], ())
        return tf.strings.substr(serialized, -length, length)


def read_span(files: Sequence[str], span: Sequence[int]) -> bytes:
    """The bytes of an image in plain Python, for those who need no tensor.

    Args:
        files: As for `ImageReader`.
        span: Number of the file, offset and length.
    """
    number, offset, length = span
    with Path(files[number]).open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _mapped(files: Sequence[str], lengths: Sequence[int]) -> tf.Tensor:
    """Files that the system maps into memory, as one list of tensors.

    Ten times as quick as a dataset of one record, the other way that TensorFlow
    has to read from the middle of a file.
    """
    memory = tf.raw_ops.EmptyTensorList(
        element_shape=[-1], max_num_elements=len(files), element_dtype=tf.uint8
    )
    for file, length in zip(files, lengths, strict=True):
        mapped = tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=[length], memory_region_name=file)
        memory = tf.raw_ops.TensorListPushBack(input_handle=memory, tensor=mapped)
    return memory
