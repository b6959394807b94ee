"""Operations on one image, from its encoded bytes to the pixels that are sent."""

from typing import Any

import tensorflow as tf

from spp_keras.data import byte_strings, exif, orientations, webp

# Eigenvectors (a row each) and deviations of ImageNet's pixels, RGB in 0..1, as
# used since Krizhevsky et al. (2012).
_DIRECTIONS = ((-0.5675, -0.5808, -0.5836), (0.7192, -0.0045, -0.6948), (0.4009, -0.8140, 0.4203))
_DEVIATIONS = (0.2175, 0.0188, 0.0045)
# What other programs decode by. TensorFlow's own choice is off by a level on average, by
# six at most, and takes as long.
_DCT = "INTEGER_ACCURATE"


def decode_image(encoded: Any, orientation: Any = None) -> tf.Tensor:
    """RGB pixels of a JPEG, PNG, GIF, BMP or WebP file, the right way up.

    Gray, palette and CMYK images become RGB; of an animation the first frame is
    taken, transparency is ignored.

    Args:
        encoded: Scalar string tensor, the file's bytes.
        orientation: int32 scalar, the EXIF orientation by which the pixels are turned, 1
            to 8; 1 leaves them as the file has them. Defaults to `None`, that of the
            file's EXIF block, see `exif.read_orientation`.

    Returns:
        uint8 `(height, width, 3)`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((2, 3, 1), "uint8"))
    >>> tuple(decode_image(png).shape)
    (2, 3, 3)
    """
    if orientation is None:
        orientation = exif.read_orientation(encoded)
    pixels = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method=_DCT),
        lambda: _decode_other(encoded),
    )
    return tf.ensure_shape(orientations.turn_pixels(pixels, orientation), (None, None, 3))


def decode_window(
    encoded: Any, size: Any, window: Any, target: Any, orientation: Any = None
) -> tf.Tensor:
    """A window of an image, brought to a size; decodes no more than it needs.

    Where the size is the window's own, the pixels are the image's. A JPEG that
    is to become less than half as large is decoded smaller, which averages
    pixels; other files are resized with the filter that does.

    Args:
        encoded: Scalar string tensor, the file's bytes.
        size: int32 `(2,)`, height and width of the image, upright.
        window: int32 `(4,)`, top, left, height and width in its pixels.
        target: int32 `(2,)`, height and width of what is returned.
        orientation: int32 scalar, 1 to 8, as for `decode_image`. Defaults to `None`, that of
            the file's EXIF block.

    Returns:
        uint8 `(*target, 3)`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((6, 8, 3), "uint8"))
    >>> tuple(decode_window(png, [6, 8], [0, 2, 6, 6], [3, 3]).shape)
    (3, 3, 3)
    """
    size, window, target = (tf.convert_to_tensor(x, tf.int32) for x in (size, window, target))
    if orientation is None:
        orientation = exif.read_orientation(encoded)
    # Turned before it is resized, so that nothing depends on the side it lay on.
    pixels = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _jpeg_window(encoded, size, window, target, orientation),
        lambda: _other_window(encoded, size, window, target, orientation),
    )
    same = tf.reduce_all(tf.shape(pixels)[:2] == target)
    pixels = tf.cond(same, lambda: pixels, lambda: _resized(pixels, target))
    return tf.ensure_shape(pixels, (None, None, 3))


def decode_resized(encoded: Any, size: Any, target: Any, orientation: Any = None) -> tf.Tensor:
    """All of an image, brought to a size as by `decode_window`.

    Args:
        encoded: Scalar string tensor, the file's bytes.
        size: int32 `(2,)`, height and width of the image, upright.
        target: int32 `(2,)`, height and width of what is returned.
        orientation: int32 scalar, 1 to 8, as for `decode_image`. Defaults to `None`, that of
            the file's EXIF block.

    Returns:
        uint8 `(*target, 3)`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((6, 8, 3), "uint8"))
    >>> tuple(decode_resized(png, [6, 8], [3, 4]).shape)
    (3, 4, 3)
    """
    return decode_window(encoded, size, tf.concat([[0, 0], size], axis=0), target, orientation)


def flip_horizontal(image: Any, mirrored: Any) -> tf.Tensor:
    """The image, or its mirror image where the scalar `mirrored` is true."""
    # Along no axis or along the second: a branch in the graph would cost more.
    return tf.reverse(image, tf.range(1, 1 + tf.cast(mirrored, tf.int32)))


def draw_color_shifts(factors: Any) -> tf.Tensor:
    """Light of another color: Krizhevsky's alteration along principal components.

    Args:
        factors: float32 `(n, 3)`, normally distributed; the paper's deviation is 0.1.

    Returns:
        int32 `(n, 3)`, what to add to red, green and blue.

    Example:

    >>> color_shifts([[0.5, 0.0, 0.0]]).numpy().tolist()
    [[-16, -16, -16]]
    """
    shifts = tf.matmul(tf.cast(factors, tf.float32) * _DEVIATIONS, tf.constant(_DIRECTIONS))
    return tf.cast(tf.clip_by_value(tf.round(255 * shifts), -255.0, 255.0), tf.int32)


def shift_color(image: Any, shift: Any) -> tf.Tensor:
    """Adds a number to each channel of a uint8 image; what leaves 0..255 stays at its end."""
    height, width = tf.unstack(tf.shape(image)[:2])
    up = tf.tile(tf.cast(tf.maximum(shift, 0), tf.uint8), [width])
    down = tf.tile(tf.cast(tf.maximum(-shift, 0), tf.uint8), [width])
    # Bytes that saturate, a row of the image at a time: half the time of floats.
    rows = tf.reshape(image, (height, width * 3))
    rows = tf.maximum(tf.minimum(rows, 255 - up) + up, down) - down
    return tf.reshape(rows, (height, width, 3))


def _jpeg_window(encoded: Any, size: Any, window: Any, target: Any, orientation: Any) -> tf.Tensor:
    """Decodes the window alone, at 1, 1/2, 1/4 or 1/8 of its size."""
    shrink = tf.reduce_min(window[2:] // tf.maximum(target, 1))
    steps = sum(tf.cast(shrink >= ratio, tf.int32) for ratio in (2, 4, 8))
    window = orientations.window_in_file(window, size, orientation)
    size = orientations.turn_size(size, orientation)

    def at(ratio: int) -> tf.Tensor:
        scaled = (size + ratio - 1) // ratio
        # To the nearest pixel: rounded down, all that is in the window would move up and left.
        first = tf.minimum((window[:2] + ratio // 2) // ratio, scaled - 1)
        last = tf.maximum((window[:2] + window[2:] + ratio // 2) // ratio, first + 1)
        # Colors of half the resolution are spread over pixels by their neighbors to the left
        # and right, which are not there at the edge of what is decoded.
        left, right = tf.maximum(first[1] - 1, 0), tf.minimum(last[1] + 1, scaled[1])
        crop = tf.stack([first[0], left, last[0] - first[0], right - left])
        pixels = tf.io.decode_and_crop_jpeg(encoded, crop, channels=3, ratio=ratio, dct_method=_DCT)
        return pixels[:, first[1] - left : last[1] - left]

    pixels = tf.switch_case(steps, [lambda ratio=ratio: at(ratio) for ratio in (1, 2, 4, 8)])
    return orientations.turn_pixels(pixels, orientation)


def _decode_other(encoded: Any) -> tf.Tensor:
    return tf.cond(
        webp.is_webp(byte_strings.read_bytes(encoded, 0, webp.HEADER_BYTES)),
        lambda: webp.decode_webp(encoded),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )


def _other_window(encoded: Any, size: Any, window: Any, target: Any, orientation: Any) -> tf.Tensor:
    window = orientations.window_in_file(window, size, orientation)
    top, left, height, width = tf.unstack(window)
    pixels = tf.slice(_decode_other(encoded), [top, left, 0], [height, width, 3])
    pixels = orientations.turn_pixels(pixels, orientation)
    half = tf.reduce_all(tf.shape(pixels)[:2] >= 2 * target)
    return tf.cond(half, lambda: _averaged(pixels, target), lambda: pixels)


def _averaged(pixels: Any, target: Any) -> tf.Tensor:
    return _rounded(tf.image.resize(pixels, target, antialias=True))


def _resized(pixels: Any, target: Any) -> tf.Tensor:
    # The kernel is quicker on floats by more than the cast costs.
    return _rounded(tf.image.resize(tf.cast(pixels, tf.float32), target))


def _rounded(pixels: Any) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(pixels, 0.0, 255.0) + 0.5, tf.uint8)
