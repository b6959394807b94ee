"""Max pooling of sequences of different lengths into bins, by one `tf.math.segment_max`.

Bins of one sequence overlap by one entry at most. So a bin is the maximum of the entries that
come before the next bin begins, which are segments of a table of all entries, and of its own
last entry. Nothing is padded, and no sequence needs a call of its own.
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras import geometry


class Sequences(NamedTuple):
    """Sequences of entries, one after the other in a table of entries.

    Attributes:
        items: `(entries,)`, the number of each entry's sequence, in order.
        positions: `(entries,)`, the position of each entry in its sequence.
        firsts: `(sequences,)`, the number of each sequence's first entry.
        lengths: `(sequences,)`, how many of its entries count, 1 or more.
    """

    items: tf.Tensor
    positions: tf.Tensor
    firsts: tf.Tensor
    lengths: tf.Tensor


def ragged_sequences(lengths: tf.Tensor) -> Sequences:
    """Sequences of these lengths, without gaps between them."""
    ranges = tf.ragged.range(lengths)
    items = tf.cast(ranges.value_rowids(), tf.int32)
    return Sequences(items, ranges.values, tf.cast(ranges.row_starts(), tf.int32), lengths)


def padded_sequences(lengths: tf.Tensor, padded: tf.Tensor) -> Sequences:
    """Sequences of these lengths, all padded to one."""
    count = tf.shape(lengths)[0]
    items = tf.repeat(tf.range(count), padded)
    positions = tf.tile(tf.range(padded), (count,))
    return Sequences(items, positions, tf.range(count) * padded, lengths)


def bin_maxima(entries: tf.Tensor, bins: int, sequences: Sequences) -> tf.Tensor:
    """Maxima over the bins of each sequence: `(entries, depth)` to `(sequences, bins, depth)`."""
    items, positions, firsts, lengths = sequences
    starts, stops = geometry.bin_edges(np.arange(bins, dtype="int32"), lengths[:, None], bins)
    entry_lengths = tf.gather(lengths, items)
    # What does not count is a segment of its own.
    last_bins = tf.where(positions < entry_lengths, _last_bin(positions, entry_lengths, bins), bins)
    segments = tf.math.segment_max(entries, items * (bins + 1) + last_bins)
    numbers = tf.range(tf.shape(lengths)[0])[:, None] * (bins + 1)
    begun = tf.gather(segments, numbers + _last_bin(starts, lengths[:, None], bins))
    return tf.maximum(begun, tf.gather(entries, firsts[:, None] + stops - 1))


def _last_bin(position: Any, length: Any, bins: int) -> Any:
    """The last bin that has begun at a position."""
    return ((position + 1) * bins - 1) // length
