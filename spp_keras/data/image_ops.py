"""Operations on one image, from its encoded bytes to augmented pixels."""

from typing import Any

import tensorflow as tf

from spp_keras.data import (
    backgrounds,
    byte_strings,
    exif,
    image_formats,
    orientations,
    transparency,
    webp,
)

# Eigenvectors (a row each) and deviations of ImageNet's pixels, RGB in 0..1, as
# used since Krizhevsky et al. (2012).
_DIRECTIONS = ((-0.5675, -0.5808, -0.5836), (0.7192, -0.0045, -0.6948), (0.4009, -0.8140, 0.4203))
_DEVIATIONS = (0.2175, 0.0188, 0.0045)
# As other programs decode. TensorFlow's default differs by one level on average, by six at
# most, and takes as long.
_DCT = "INTEGER_ACCURATE"


def decode_image(
    encoded: Any, orientation: Any = None, background: str = backgrounds.WHITE
) -> tf.Tensor:
    """RGB pixels of a JPEG, PNG, GIF, BMP or WebP file, the right way up.

    Gray, palette and CMYK images become RGB; of an animation the first frame is
    taken. Transparent PNG and WebP images are drawn on the background; transparent pixels of
    a GIF are black. Color profiles are ignored: values are taken to be sRGB.

    Args:
        encoded: Scalar string tensor, the file's bytes.
        orientation: int32 scalar, the EXIF orientation by which the pixels are turned, 1
            to 8; 1 leaves them as the file has them. Defaults to `None`, that of the
            file's EXIF block, see `exif.read_orientation`.
        background: The color behind transparent images, a name or `"#rrggbb"`. Defaults to
            `"white"`.

    Returns:
        uint8 `(height, width, 3)`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((2, 3, 1), "uint8"))
    >>> tuple(decode_image(png).shape)
    (2, 3, 3)
    """
    color = backgrounds.parse_background(background)
    if orientation is None:
        orientation = exif.read_orientation(encoded)
    pixels = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method=_DCT),
        lambda: transparency.draw_on_background(_decode_other(encoded), color),
    )
    return tf.ensure_shape(orientations.turn_pixels(pixels, orientation), (None, None, 3))


def decode_window(
    encoded: Any,
    size: Any,
    window: Any,
    target: Any,
    orientation: Any = None,
    background: str = backgrounds.WHITE,
) -> tf.Tensor:
    """Decodes a window of an image and resizes it; decodes no more than necessary.

    If the size is that of the window, pixels are unchanged. A JPEG that becomes less than
    half as large is decoded at a smaller scale, which averages pixels; other files are
    resized with antialiasing.

    Args:
        encoded: Scalar string tensor, the file's bytes.
        size: int32 `(2,)`, height and width of the image, upright.
        window: int32 `(4,)`, top, left, height and width in its pixels.
        target: int32 `(2,)`, height and width of the result.
        orientation: int32 scalar, 1 to 8, as for `decode_image`. Defaults to `None`, that of
            the file's EXIF block.
        background: As for `decode_image`. Defaults to `"white"`.

    Returns:
        uint8 `(*target, 3)`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((6, 8, 3), "uint8"))
    >>> tuple(decode_window(png, [6, 8], [0, 2, 6, 6], [3, 3]).shape)
    (3, 3, 3)
    """
    color = backgrounds.parse_background(background)
    size, window, target = (tf.convert_to_tensor(x, tf.int32) for x in (size, window, target))
    if orientation is None:
        orientation = exif.read_orientation(encoded)
    # Turned before resizing, so that the result does not depend on the orientation in the file.
    pixels = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _decode_jpeg_window(encoded, size, window, target, orientation),
        lambda: _decode_other_window(encoded, size, window, target, orientation, color),
    )
    same = tf.reduce_all(tf.shape(pixels)[:2] == target)
    pixels = tf.cond(same, lambda: pixels, lambda: _resize(pixels, target))
    return tf.ensure_shape(pixels, (None, None, 3))


def decode_resized(
    encoded: Any,
    size: Any,
    target: Any,
    orientation: Any = None,
    background: str = backgrounds.WHITE,
) -> tf.Tensor:
    """Decodes and resizes a whole image, as `decode_window` does.

    Args:
        encoded: Scalar string tensor, the file's bytes.
        size: int32 `(2,)`, height and width of the image, upright.
        target: int32 `(2,)`, height and width of the result.
        orientation: int32 scalar, 1 to 8, as for `decode_image`. Defaults to `None`, that of
            the file's EXIF block.
        background: As for `decode_image`. Defaults to `"white"`.

    Returns:
        uint8 `(*target, 3)`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((6, 8, 3), "uint8"))
    >>> tuple(decode_resized(png, [6, 8], [3, 4]).shape)
    (3, 4, 3)
    """
    window = tf.concat([[0, 0], size], axis=0)
    return decode_window(encoded, size, window, target, orientation, background)


def flip_horizontal(image: Any, mirrored: Any) -> tf.Tensor:
    """The image, or its mirror image if the scalar `mirrored` is true."""
    # Reversed along no axis or along the second: a branch in the graph would cost more.
    return tf.reverse(image, tf.range(1, 1 + tf.cast(mirrored, tf.int32)))


def draw_color_shifts(factors: Any) -> tf.Tensor:
    """Color shifts along the principal components of pixels, by Krizhevsky et al. (2012).

    Args:
        factors: float32 `(n, 3)`, normally distributed; the paper's deviation is 0.1.

    Returns:
        int32 `(n, 3)`, to be added to red, green and blue.

    Example:

    >>> draw_color_shifts([[0.5, 0.0, 0.0]]).numpy().tolist()
    [[-16, -16, -16]]
    """
    shifts = tf.matmul(tf.cast(factors, tf.float32) * _DEVIATIONS, tf.constant(_DIRECTIONS))
    return tf.cast(tf.clip_by_value(tf.round(255 * shifts), -255.0, 255.0), tf.int32)


def shift_color(image: Any, shift: Any) -> tf.Tensor:
    """Adds a number to each channel of a uint8 image, clipped to 0..255."""
    height, width = tf.unstack(tf.shape(image)[:2])
    up = tf.tile(tf.cast(tf.maximum(shift, 0), tf.uint8), [width])
    down = tf.tile(tf.cast(tf.maximum(-shift, 0), tf.uint8), [width])
    # Saturating arithmetic on bytes, a row of the image at a time: half the time of floats.
    rows = tf.reshape(image, (height, width * 3))
    rows = tf.maximum(tf.minimum(rows, 255 - up) + up, down) - down
    return tf.reshape(rows, (height, width, 3))


def _decode_jpeg_window(
    encoded: Any, size: Any, window: Any, target: Any, orientation: Any
) -> tf.Tensor:
    """Decodes the window alone, at 1, 1/2, 1/4 or 1/8 of its size."""
    factor = tf.reduce_min(window[2:] // tf.maximum(target, 1))
    branch = sum(tf.cast(factor >= ratio, tf.int32) for ratio in (2, 4, 8))
    window = orientations.window_in_file(window, size, orientation)
    size = orientations.turn_size(size, orientation)

    def decode_at(ratio: int) -> tf.Tensor:
        scaled = (size + ratio - 1) // ratio
        # Rounded to the nearest pixel: rounding down would move the content up and left.
        first = tf.minimum((window[:2] + ratio // 2) // ratio, scaled - 1)
        last = tf.maximum((window[:2] + window[2:] + ratio // 2) // ratio, first + 1)
        # Colors of half the resolution are interpolated from neighbors to the left and right,
        # which are missing at the edge of the decoded part.
        left, right = tf.maximum(first[1] - 1, 0), tf.minimum(last[1] + 1, scaled[1])
        crop = tf.stack([first[0], left, last[0] - first[0], right - left])
        pixels = tf.io.decode_and_crop_jpeg(encoded, crop, channels=3, ratio=ratio, dct_method=_DCT)
        return pixels[:, first[1] - left : last[1] - left]

    pixels = tf.switch_case(
        branch, [lambda ratio=ratio: decode_at(ratio) for ratio in (1, 2, 4, 8)]
    )
    return orientations.turn_pixels(pixels, orientation)


def _decode_other(encoded: Any) -> tf.Tensor:
    """Pixels as the file has them, RGB or RGBA."""
    header = byte_strings.read_bytes(encoded, 0, webp.HEADER_BYTES)

    def decode(channels: int) -> tf.Tensor:
        pixels = tf.io.decode_image(encoded, channels, expand_animations=False)
        return tf.ensure_shape(pixels, (None, None, None))

    is_transparent_png = tf.cond(
        byte_strings.starts_with(header, image_formats.PNG.magic),
        lambda: transparency.may_be_transparent(encoded),
        lambda: tf.constant(False),
    )
    return tf.case(
        [
            (webp.is_webp(header), lambda: webp.decode_webp(encoded)),
            (is_transparent_png, lambda: decode(4)),
        ],
        default=lambda: decode(3),
    )


def _decode_other_window(
    encoded: Any,
    size: Any,
    window: Any,
    target: Any,
    orientation: Any,
    background: tuple[int, int, int],
) -> tf.Tensor:
    window = orientations.window_in_file(window, size, orientation)
    top, left, height, width = tf.unstack(window)
    pixels = tf.slice(_decode_other(encoded), [top, left, 0], [height, width, -1])
    pixels = transparency.draw_on_background(pixels, background)
    pixels = orientations.turn_pixels(pixels, orientation)
    half = tf.reduce_all(tf.shape(pixels)[:2] >= 2 * target)
    return tf.cond(half, lambda: _resize_antialiased(pixels, target), lambda: pixels)


def _resize_antialiased(pixels: Any, target: Any) -> tf.Tensor:
    return _round(tf.image.resize(pixels, target, antialias=True))


def _resize(pixels: Any, target: Any) -> tf.Tensor:
    # The kernel is faster on floats by more than the cast costs.
    return _round(tf.image.resize(tf.cast(pixels, tf.float32), target))


def _round(pixels: Any) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(pixels, 0.0, 255.0) + 0.5, tf.uint8)
