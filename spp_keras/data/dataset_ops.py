"""Stages of the input pipeline that need nothing of the records."""

import itertools

import numpy as np
import tensorflow as tf


def batch_rows(window: tf.data.Dataset, length: tf.Tensor, ragged: bool) -> tf.data.Dataset:
    """Batches the rows of a window of a dataset."""
    return window.ragged_batch(length) if ragged else window.padded_batch(length)


def format_batch(
    batch: dict, mixed: bool, ragged: bool, weights: bool, may_be_empty: bool
) -> tuple:
    """Formats a batch as Keras takes it: `(x, labels)` or `(x, labels, weights)`."""
    label, weight = (
        x.to_tensor() if isinstance(x, tf.RaggedTensor) else x
        for x in (batch["label"], batch["weight"])
    )
    x = batch["image"]
    if mixed and not ragged:
        x = {"images": x, "sizes": batch["size"]}
    if may_be_empty:
        count = tf.math.count_nonzero(weight, dtype=tf.int32)
        x, label = tf.nest.map_structure(lambda value: value[:count], (x, label))
    return (x, label, weight) if weights else (x, label)


def count_iterations(first: int) -> tf.data.Dataset:
    """A dataset of one number, which is one more whenever the dataset is iterated again."""
    # Counted at the first element, not by iterators: Keras makes more of them than it uses.
    counter = itertools.count(first)
    return tf.data.Dataset.from_tensors(0).map(
        lambda _: tf.ensure_shape(
            tf.numpy_function(lambda: np.int64(next(counter)), [], tf.int64), ()
        )
    )
