"""Bytes of an encoded image and numbers in them, inside the graph."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def read_bytes(encoded: Any, place: Any, count: Any) -> tf.Tensor:
    """Bytes of a string from a place on, and zeros for those behind its end.

    Args:
        encoded: Scalar string tensor.
        place: int64 scalar, number of the first byte.
        count: How many, 1 or more.

    Returns:
        uint8 `(count,)`.

    Example:

    >>> read_bytes(tf.constant("abc"), 1, 3).numpy().tolist()
    [98, 99, 0]
    """
    # `substr` fails behind the end.
    end = tf.cast(tf.strings.length(encoded), tf.int64)
    place = tf.minimum(tf.cast(place, tf.int64), end)
    part = tf.strings.substr(encoded, place, tf.cast(count, tf.int64))
    count = count if isinstance(count, int) else tf.cast(count, tf.int32)
    content = tf.io.decode_raw(part, tf.uint8, fixed_length=count)
    return tf.ensure_shape(content, (count if isinstance(count, int) else None,))


def starts_with(content: Any, beginning: bytes) -> tf.Tensor:
    """Whether bytes begin with others, of which `?` stands for any.

    Args:
        content: uint8 `(n,)`.
        beginning: No more than n bytes.

    Example:

    >>> bool(starts_with(tf.constant([66, 77, 9], tf.uint8), b"B?"))
    True
    """
    mask, values = (tf.constant(each, tf.uint8) for each in make_pattern(beginning, len(beginning)))
    masked = tf.bitwise.bitwise_and(content[: len(beginning)], mask)
    return tf.reduce_all(masked == values)


def make_pattern(beginning: bytes, length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A mask for so many bytes, and what they are then if they begin as said.

    Example:

    >>> make_pattern(b"B?", 3)
    ((255, 0, 0), (66, 0, 0))
    """
    known = [byte != ord("?") for byte in beginning]
    rest = (0,) * (length - len(beginning))
    mask = tuple(255 * one for one in known) + rest
    values = tuple(byte * one for byte, one in zip(beginning, known, strict=True)) + rest
    return mask, values


def read_integers(header: Any, places: Sequence[int], count: int, big: bool = False) -> tf.Tensor:
    """Unsigned numbers of so many bytes.

    Args:
        header: uint8 `(n,)`.
        places: Where each begins.
        count: Bytes of each, 1 to 4.
        big: Whether the highest byte comes first. Defaults to `False`.

    Returns:
        int64, a number for each place.

    Example:

    >>> read_integers(tf.constant([1, 2, 0], tf.uint8), (0, 1), 2).numpy().tolist()
    [513, 2]
    """
    powers = [256**i for i in range(count)]
    powers = tf.constant(powers[::-1] if big else powers, tf.int64)
    parts = tf.stack([header[place : place + count] for place in places])
    return tf.reduce_sum(tf.cast(parts, tf.int64) * powers, axis=1)
