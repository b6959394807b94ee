"""WebP images inside graphs."""

from typing import Any

import tensorflow as tf

from spp_keras.data import byte_strings, image_formats

# First bytes of a file, which `is_webp`, `is_animated` and `read_size` look at.
HEADER_BYTES = 32
_ANIMATION = 2


def is_webp(header: Any) -> tf.Tensor:
    r"""Whether a file is a WebP image, by its first bytes.

    Args:
        header: uint8 `(n,)`, 32 or more.

    Example:

    >>> bool(is_webp(byte_strings.read_bytes(tf.constant(b"RIFF\x1a\0\0\0WEBPVP8L"), 0, 32)))
    True
    """
    return byte_strings.starts_with(header, image_formats.WEBP.magic)


def is_animated(header: Any) -> tf.Tensor:
    """Whether a WebP image is animated, by its first bytes.

    TensorFlow 2.21 writes past the end of its memory when it decodes one without
    transparency, so none may get that far.
    """
    extended = byte_strings.starts_with(header[12:], b"VP8X")
    return extended & (tf.bitwise.bitwise_and(header[20], _ANIMATION) > 0)


def read_size(header: Any) -> tf.Tensor:
    """Height and width of a WebP image as its file has them, as for `is_webp`.

    Returns:
        int32 `(2,)`; zeros where the file is damaged.
    """
    simple, lossless, extended = (
        byte_strings.starts_with(header[12:], kind) for kind in (b"VP8 ", b"VP8L", b"VP8X")
    )
    # The lossy form has 14 bits of each and a scale for whoever shows the image; the lossless
    # one 14 bits of each less 1, one behind the other; the extended one 24 bits of each less 1.
    lossy_size = byte_strings.read_integers(header, (28, 26), 2) % 2**14
    bits = byte_strings.read_integers(header, (21,), 4)[0]
    lossless_size = tf.stack([bits // 2**14 % 2**14, bits % 2**14]) + 1
    extended_size = byte_strings.read_integers(header, (27, 24), 3) + 1
    size = tf.where(simple, lossy_size, tf.zeros_like(lossy_size))
    size = tf.where(lossless, lossless_size, size)
    return tf.cast(tf.where(extended, extended_size, size), tf.int32)


def decode_webp(encoded: Any) -> tf.Tensor:
    """Pixels of a WebP image.

    Args:
        encoded: Scalar string tensor, the file's bytes.

    Returns:
        uint8 `(height, width, 3)`, or `(height, width, 4)` with alpha, as the file has them.
    """
    header = byte_strings.read_bytes(encoded, 0, HEADER_BYTES)
    still = tf.debugging.Assert(~is_animated(header), ["A WebP image must not be animated."])
    with tf.control_dependencies([still]):
        # Not `decode_webp`: servers older than this operation would not load the model at all.
        # An image with alpha must be asked for all of its channels.
        pixels = tf.io.decode_image(tf.identity(encoded), channels=0, expand_animations=False)
    return tf.ensure_shape(pixels, (None, None, None))
