"""Transparent images inside graphs, drawn on a background."""

from typing import Any

import tensorflow as tf

from spp_keras.data import byte_strings

# Where the header of a PNG tells its kind of colors, with a bit for a channel of alpha.
_COLOR_TYPE, _ALPHA = 25, 4


def may_be_transparent(png: Any) -> tf.Tensor:
    """Whether a PNG file has alpha, or says that single colors are transparent.

    It looks for the name of the chunk with these colors before the first name of one with
    pixels, much faster than walking there. An opaque file that has it by chance, in a text,
    becomes one with an alpha of 255.

    Args:
        png: Scalar string tensor, the file's bytes.

    Example:

    >>> [
    ...     bool(may_be_transparent(tf.io.encode_png(tf.zeros((2, 3, channels), "uint8"))))
    ...     for channels in (1, 2, 3, 4)
    ... ]
    [False, True, False, True]
    """
    color_type = byte_strings.read_bytes(png, _COLOR_TYPE, 1)[0]
    has_alpha = tf.bitwise.bitwise_and(color_type, _ALPHA) > 0
    before_pixels = _split_once(png, "IDAT")[0]
    return has_alpha | (tf.size(_split_once(before_pixels, "tRNS")) > 1)


def draw_on_background(pixels: Any, background: tuple[int, int, int]) -> tf.Tensor:
    """Draws pixels on a background, rounded to the nearest level.

    Args:
        pixels: uint8 `(height, width, 3)` or `(height, width, 4)`, whose last channel is alpha,
            0 where only the background is seen.
        background: Red, green and blue.

    Returns:
        uint8 `(height, width, 3)`; the same pixels if there is no alpha.

    Example:

    >>> draw_on_background([[[0, 0, 0, 0], [0, 0, 0, 255]]], (255, 128, 0)).numpy().tolist()
    [[[255, 128, 0], [0, 0, 0]]]
    """
    pixels = tf.convert_to_tensor(pixels, tf.uint8)
    return tf.cond(
        tf.equal(tf.shape(pixels)[2], 4),
        lambda: _blend(pixels, background),
        lambda: pixels[..., :3],
    )


def _split_once(content: Any, separator: str) -> Any:
    return tf.raw_ops.StringSplitV2(input=[content], sep=separator, maxsplit=1).values


def _blend(pixels: Any, background: tuple[int, int, int]) -> Any:
    # Products of two bytes, and half of 255, are below 2**16.
    color, alpha = (tf.cast(part, tf.uint16) for part in (pixels[..., :3], pixels[..., 3:]))
    behind = tf.constant(background, tf.uint16)
    blended = color * alpha + behind * (255 - alpha) + 127
    return tf.cast(blended // 255, tf.uint8)
