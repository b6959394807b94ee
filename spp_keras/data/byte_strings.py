"""Bytes of strings, and integers in them, inside graphs."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def read_bytes(encoded: Any, offset: Any, count: Any) -> tf.Tensor:
    """Reads bytes of a string from an offset on, and zeros after its end.

    Args:
        encoded: Scalar string tensor.
        offset: int64 scalar, index of the first byte.
        count: Number of bytes, 1 or more.

    Returns:
        uint8 `(count,)`.

    Example:

    >>> read_bytes(tf.constant("abc"), 1, 3).numpy().tolist()
    [98, 99, 0]
    """
    # `substr` fails after the end.
    end = tf.cast(tf.strings.length(encoded), tf.int64)
    offset = tf.minimum(tf.cast(offset, tf.int64), end)
    part = tf.strings.substr(encoded, offset, tf.cast(count, tf.int64))
    count = count if isinstance(count, int) else tf.cast(count, tf.int32)
    content = tf.io.decode_raw(part, tf.uint8, fixed_length=count)
    return tf.ensure_shape(content, (count if isinstance(count, int) else None,))


def starts_with(content: Any, prefix: bytes) -> tf.Tensor:
    """Whether bytes start with a prefix, in which `?` is any byte.

    Args:
        content: uint8 `(n,)`.
        prefix: At most n bytes.

    Example:

    >>> bool(starts_with(tf.constant([66, 77, 9], tf.uint8), b"B?"))
    True
    """
    mask, values = (tf.constant(pattern, tf.uint8) for pattern in make_pattern(prefix, len(prefix)))
    masked = tf.bitwise.bitwise_and(content[: len(prefix)], mask)
    return tf.reduce_all(masked == values)


def make_pattern(prefix: bytes, length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A mask for bytes, and the masked bytes of all strings with a prefix.

    Example:

    >>> make_pattern(b"B?", 3)
    ((255, 0, 0), (66, 0, 0))
    """
    is_known = [byte != ord("?") for byte in prefix]
    rest = (0,) * (length - len(prefix))
    mask = tuple(255 * known for known in is_known) + rest
    values = tuple(byte * known for byte, known in zip(prefix, is_known, strict=True)) + rest
    return mask, values


def read_integers(header: Any, offsets: Sequence[int], count: int, big: bool = False) -> tf.Tensor:
    """Reads unsigned integers of a number of bytes.

    Args:
        header: uint8 `(n,)`.
        offsets: Index of the first byte of each.
        count: Bytes of each, 1 to 4.
        big: Whether they are big-endian. Defaults to `False`.

    Returns:
        int64, an integer for each offset.

    Example:

    >>> read_integers(tf.constant([1, 2, 0], tf.uint8), (0, 1), 2).numpy().tolist()
    [513, 2]
    """
    powers = [256**i for i in range(count)]
    powers = tf.constant(powers[::-1] if big else powers, tf.int64)
    parts = tf.stack([header[offset : offset + count] for offset in offsets])
    return tf.reduce_sum(tf.cast(parts, tf.int64) * powers, axis=1)
