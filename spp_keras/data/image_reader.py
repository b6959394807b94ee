"""Random access to encoded images, in files of their own or inside larger files.

TFDS data sources have random access to array_record files alone, and `grain` reads in Python; this
reads the TFRecord files that are prepared already, in a graph.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


class ImageReader:
    """Reads encoded images, in TensorFlow operations.

    Args:
        files: Image files, or files with images in them (TFRecord shards).
        spans: int64 `(n, 3)`: for each image its file index, offset and length.
    """

    def __init__(self, files: Sequence[str], spans: np.ndarray):
        # Others may be missing, or have names that TensorFlow does not take.
        used, places = np.unique(np.asarray(spans, "int64")[:, 0], return_inverse=True)
        files = [files[index] for index in used]
        spans = np.column_stack([places, np.asarray(spans, "int64")[:, 1:]])
        lengths = [tf.io.gfile.stat(file).length for file in files]
        self._is_one_file_each = bool(
            np.all((spans[:, 1] == 0) & (spans[:, 2] == np.array(lengths, "int64")[spans[:, 0]]))
        )
        # Columns with a row for each image, for `read`.
        if self._is_one_file_each:
            self.table = {"path": tf.gather(tf.constant(files), spans[:, 0])}
        else:
            self.table = {
                "file": tf.constant(spans[:, 0], tf.int32),
                "offset": tf.constant(spans[:, 1:2]),
                "length": tf.constant(spans[:, 2:]),
            }
            self._memory = _map_files(files, lengths)

    def row(self, index: int) -> dict[str, tf.Tensor]:
        """The row of the table of an image, by its index."""
        return {name: values[index] for name, values in self.table.items()}

    def read(self, row: Mapping[str, Any]) -> tf.Tensor:
        """Reads the bytes of an image from its row of the table: a scalar string."""
        if self._is_one_file_each:
            return tf.io.read_file(row["path"])
        memory = tf.raw_ops.TensorListGetItem(
            input_handle=self._memory,
            index=row["file"],
            element_shape=[-1],
            element_dtype=tf.uint8,
        )
        # A serialized tensor ends with its bytes, which makes a string of them without a loop.
        serialized = tf.io.serialize_tensor(tf.slice(memory, row["offset"], row["length"]))
        length = tf.reshape(row["length"], ())
        return tf.strings.substr(serialized, -length, length)


def read_span(files: Sequence[str], span: Sequence[int]) -> bytes:
    """Reads the bytes of an image in plain Python, without tensors.

    Args:
        files: As for `ImageReader`.
        span: File index, offset and length.
    """
    file_index, offset, length = span
    with Path(files[file_index]).open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _map_files(files: Sequence[str], lengths: Sequence[int]) -> tf.Tensor:
    """Maps files into memory, as one list of tensors.

    Ten times as fast as a dataset of one record, the other way of TensorFlow to read from
    the middle of a file.
    """
    memory = tf.raw_ops.EmptyTensorList(
        element_shape=[-1], max_num_elements=len(files), element_dtype=tf.uint8
    )
    for file, length in zip(files, lengths, strict=True):
        mapped = tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=[length], memory_region_name=file)
        memory = tf.raw_ops.TensorListPushBack(input_handle=memory, tensor=mapped)
    return memory
