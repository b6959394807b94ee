"""Operations on one image, from its encoded bytes to the pixels that are sent.

Whatever is drawn follows from a key alone, so that an image looks the same
however many threads or machines share the work.
"""

from typing import Any

import tensorflow as tf

# Eigenvectors (a row each) and deviations of ImageNet's pixels, RGB in 0..1, as
# used since Krizhevsky et al. (2012).
_DIRECTIONS = ((-0.5675, -0.5808, -0.5836), (0.7192, -0.0045, -0.6948), (0.4009, -0.8140, 0.4203))
_DEVIATIONS = (0.2175, 0.0188, 0.0045)


def decode(encoded: Any) -> tf.Tensor:
    """RGB pixels of a JPEG, PNG, GIF or BMP file.

    Grey, palette and CMYK images become RGB; of an animation the first frame is
    taken, transparency and the camera's orientation mark are ignored.

    Args:
        encoded: Scalar string tensor, the file's bytes.

    Returns:
        uint8 `(height, width, 3)`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((2, 3, 1), "uint8"))
    >>> tuple(decode(png).shape)
    (2, 3, 3)
    """
    return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def view(encoded: Any, size: Any, window: Any, target: Any) -> tf.Tensor:
    """A window of an image, brought to a size; decodes no more than it needs.

    Where the size is the window's own, the pixels are the image's. A JPEG that
    is to become less than half as large is decoded smaller, which averages
    pixels; other files are resized with the filter that does.

    Args:
        encoded: Scalar string tensor, the file's bytes.
        size: int32 `(2,)`, height and width of the image.
        window: int32 `(4,)`, top, left, height and width in its pixels.
        target: int32 `(2,)`, height and width of what is returned.

    Returns:
        uint8 `(*target, 3)`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((6, 8, 3), "uint8"))
    >>> tuple(view(png, [6, 8], [0, 2, 6, 6], [3, 3]).shape)
    (3, 3, 3)
    """
    size, window, target = (tf.convert_to_tensor(x, tf.int32) for x in (size, window, target))
    pixels = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _jpeg_window(encoded, size, window, target),
        lambda: _any_window(encoded, window, target),
    )
    same = tf.reduce_all(tf.shape(pixels)[:2] == target)
    pixels = tf.cond(same, lambda: pixels, lambda: _resized(pixels, target))
    return tf.ensure_shape(pixels, (None, None, 3))


def flip(image: Any, key: Any) -> tf.Tensor:
    """The image, or its mirror image, each half the time."""
    mirrored = tf.random.stateless_uniform((), key) < 0.5
    return tf.cond(mirrored, lambda: tf.reverse(image, axis=[1]), lambda: image)


def colour(image: Any, key: Any, deviation: float) -> tf.Tensor:
    """Light of another colour: Krizhevsky's alteration along principal components.

    Args:
        image: uint8 `(height, width, 3)`.
        key: int32 `(2,)`, seed.
        deviation: Standard deviation of the three factors; the paper's is 0.1.

    Returns:
        uint8 of the same shape.
    """
    factors = tf.random.stateless_normal((3,), key, stddev=deviation) * _DEVIATIONS
    shift = tf.linalg.matvec(tf.constant(_DIRECTIONS), factors, transpose_a=True)
    shift = tf.clip_by_value(tf.round(255 * shift), -255.0, 255.0)
    height, width = tf.unstack(tf.shape(image)[:2])
    up = tf.tile(tf.cast(tf.maximum(shift, 0), tf.uint8), [width])
    down = tf.tile(tf.cast(tf.maximum(-shift, 0), tf.uint8), [width])
    # Bytes that saturate, a row of the image at a time: half the time of floats.
    rows = tf.reshape(image, (height, width * 3))
    rows = tf.maximum(tf.minimum(rows, 255 - up) + up, down) - down
    return tf.reshape(rows, (height, width, 3))


def _jpeg_window(encoded: Any, size: Any, window: Any, target: Any) -> tf.Tensor:
    """Decodes the window alone, at 1, 1/2, 1/4 or 1/8 of its size."""
    shrink = tf.cast(tf.reduce_min(window[2:] // tf.maximum(target, 1)), tf.int32)
    steps = sum(tf.cast(shrink >= ratio, tf.int32) for ratio in (2, 4, 8))

    def at(ratio: int) -> tf.Tensor:
        scaled = (size + ratio - 1) // ratio
        corner = tf.minimum(window[:2] // ratio, scaled - 1)
        extent = tf.minimum(tf.maximum(window[2:] // ratio, 1), scaled - corner)
        crop = tf.concat([corner, extent], axis=0)
        return tf.io.decode_and_crop_jpeg(encoded, crop, channels=3, ratio=ratio)

    return tf.switch_case(steps, [lambda ratio=ratio: at(ratio) for ratio in (1, 2, 4, 8)])


def _any_window(encoded: Any, window: Any, target: Any) -> tf.Tensor:
    top, left, height, width = tf.unstack(window)
    pixels = tf.slice(decode(encoded), [top, left, 0], [height, width, 3])
    half = tf.reduce_all(tf.shape(pixels)[:2] >= 2 * target)
    return tf.cond(half, lambda: _averaged(pixels, target), lambda: pixels)


def _averaged(pixels: Any, target: Any) -> tf.Tensor:
    return _rounded(tf.image.resize(pixels, target, antialias=True))


def _resized(pixels: Any, target: Any) -> tf.Tensor:
    # The kernel is quicker on floats by more than the cast costs.
    return _rounded(tf.image.resize(tf.cast(pixels, tf.float32), target))


def _rounded(pixels: Any) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(pixels, 0.0, 255.0) + 0.5, tf.uint8)
