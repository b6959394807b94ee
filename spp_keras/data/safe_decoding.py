"""Encoded images to pixels inside the graph, where one that is broken spoils no other."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras import _checks
from spp_keras.data import (
    byte_strings,
    exif,
    image_formats,
    image_ops,
    inspection,
    orientations,
    size_policies,
    webp,
)

# What an image is when it has been answered for, or what is wrong with it.
OK, NOT_AN_IMAGE, DAMAGED, TOO_LARGE, TOO_SMALL, ASPECT_TOO_LARGE, UNSUPPORTED = range(7)

_HEADER_BYTES = 32
_BMP_HEADER = 54
_GRAYS = [value for gray in range(256) for value in (gray, gray, gray, 0)]


class DecodedImage(NamedTuple):
    """What became of an encoded image.

    Args:
        pixels: uint8 `(height, width, 3)`, as the view wants them; one black
            pixel where `code` is not `OK`.
        code: int32, `OK` or what is wrong.
        reason: string, the same for people to read; empty if nothing is.
        size: int32 `(2,)`, height and width of the image, upright and before it is scaled;
            zeros where `code` is not `OK`.
    """

    pixels: Any
    code: Any
    reason: Any
    size: Any


def decode_safely(
    image: Any,
    view: size_policies.SizePolicy,
    min_side: int = 1,
    limits: inspection.ImageLimits = inspection.ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
) -> DecodedImage:
    """Decodes an image as training does, or says why it cannot be.

    Refuses what `data.inspection.inspect` refuses, with operations of TensorFlow
    alone. The header bounds what is decoded.

    Args:
        image: Scalar string tensor, bytes of a JPEG, PNG, GIF, BMP or WebP image.
        view: What part of the image is wanted, at what size.
        min_side: Pixels that the shorter side must have in that view.
            Defaults to 1.
        limits: What the image must be. Defaults to `Limits()`.
        orientation: `"exif"` turns the image as its EXIF orientation says; `"file"` takes
            its pixels as they lie in the file. Defaults to `"exif"`.

    Returns:
        A `DecodedImage`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((40, 60, 3), "uint8"))
    >>> tuple(decode_safely(png, sizes.Whole(short_side=20)).pixels.shape)
    (20, 30, 3)
    >>> decode_safely(tf.constant("Not found"), sizes.Whole()).reason.numpy()
    b'is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG'
    """
    _checks.one_of(orientation, orientations.ORIENTATIONS, "orientation")
    header = byte_strings.read_bytes(image, 0, _HEADER_BYTES)
    kinds = [
        byte_strings.starts_with(header, beginning)
        for beginning in image_formats.MAGIC_BYTES.values()
    ]

    def known() -> DecodedImage:
        return _attempt(
            image,
            lambda x: _decode_known(x, header, kinds, view, min_side, limits, orientation),
        )

    nothing = tf.equal(tf.strings.length(image), 0)
    reason = tf.where(nothing, "is empty", image_formats.REFUSAL)
    return tf.cond(tf.reduce_any(kinds), known, lambda: _refused(NOT_AN_IMAGE, reason))


def _attempt(image: Any, decode: Callable[[Any], DecodedImage]) -> DecodedImage:
    """The result of `decode_safely`, or a refusal where it raises.

    A graph has no other way to go on behind an operation that failed than a data
    set that leaves such elements out.
    """
    damaged = tf.data.Dataset.from_tensors(_refused(DAMAGED, "is cut short or damaged"))
    decoded = tf.data.Dataset.from_tensors(image).map(decode).ignore_errors()
    result = decoded.concatenate(damaged).take(1)
    options = tf.data.Options()
    # One element, so that there is nothing to gain by work on the data set itself.
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return result.with_options(options).get_single_element()


def _decode_known(
    image: Any,
    header: Any,
    kinds: list[Any],
    view: size_policies.SizePolicy,
    min_side: int,
    limits: inspection.ImageLimits,
    orientation: str,
) -> DecodedImage:
    is_jpeg, is_png, is_gif, is_bmp, is_webp = kinds
    size = tf.case(
        [
            (is_jpeg, lambda: tf.image.extract_jpeg_shape(image)[:2]),
            (is_png, lambda: _sides(header, (20, 16), 4, big=True)),
            (is_gif, lambda: _sides(header, (8, 6), 2)),
            (is_webp, lambda: webp.read_size(header)),
        ],
        # A negative height says that rows come from the top down.
        default=lambda: tf.abs(_sides(header, (22, 18), 4)),
    )
    turn = tf.constant(1) if orientation == "file" else exif.read_orientation(image)
    size = orientations.turn_size(size, turn)
    window, target = view.window_and_size(size)
    code, reason = _verdict(size, target, min_side, limits)
    for wrong, words in (
        (is_bmp & ~_is_right_bmp(image, header), inspection.UNSUPPORTED_BMP),
        (is_webp & webp.is_animated(header), inspection.ANIMATED_WEBP),
    ):
        code, reason = tf.where(wrong, UNSUPPORTED, code), tf.where(wrong, words, reason)
    return tf.cond(
        tf.equal(code, OK),
        lambda: DecodedImage(
            image_ops.decode_window(image, size, window, target, turn), code, reason, size
        ),
        lambda: DecodedImage(_one_pixel(), code, reason, tf.zeros_like(size)),
    )


def _verdict(size: Any, target: Any, min_side: int, limits: inspection.ImageLimits) -> Any:
    """Code and reason for an image of so many pixels, which are not read yet."""
    height, width = tf.unstack(tf.cast(size, tf.int64))
    shorter, longer = tf.minimum(height, width), tf.maximum(height, width)
    least = tf.cast(tf.reduce_min(target), tf.int64)
    pixels = tf.strings.format("has {}x{} pixels", (height, width))
    # The first that holds is said.
    faults = [
        (height * width > limits.max_pixels, TOO_LARGE, f", more than {limits.max_pixels}"),
        (
            shorter < limits.min_side,
            TOO_SMALL,
            f", fewer than {limits.min_side} on a side",
        ),
        (
            tf.cast(longer, tf.float64) > limits.max_aspect * tf.cast(shorter, tf.float64),
            ASPECT_TOO_LARGE,
            f", one side over {limits.max_aspect} times the other",
        ),
        (
            least < min_side,
            TOO_SMALL,
            f", which leaves fewer than the {min_side} on a side that the network can map",
        ),
    ]
    code, reason = tf.constant(OK), tf.constant("")
    for holds, its_code, words in reversed(faults):
        code = tf.where(holds, its_code, code)
        reason = tf.where(holds, tf.strings.join([pixels, words]), reason)
    return code, reason


def _is_right_bmp(image: Any, header: Any) -> Any:
    """Whether colors are in the pixels, or in a palette that is all the grays in order."""
    bits = tf.cast(header[28], tf.int32)
    palette = tf.cond(
        tf.equal(bits, 8),
        lambda: tf.io.decode_raw(
            tf.strings.substr(image, _BMP_HEADER, len(_GRAYS)), tf.uint8, fixed_length=len(_GRAYS)
        ),
        lambda: tf.zeros(len(_GRAYS), tf.uint8),
    )
    gray = tf.reduce_all(palette == tf.constant(_GRAYS, tf.uint8))
    return tf.logical_or(tf.logical_or(tf.equal(bits, 24), tf.equal(bits, 32)), gray)


def _refused(code: int, reason: Any) -> DecodedImage:
    size = tf.zeros((2,), tf.int32)
    return DecodedImage(_one_pixel(), tf.constant(code), tf.convert_to_tensor(reason), size)


def _one_pixel() -> Any:
    return tf.zeros((1, 1, 3), tf.uint8)


def _sides(header: Any, places: tuple[int, int], count: int, big: bool = False) -> Any:
    """Height and width, of so many bytes each."""
    # Above 2**31 a BMP's height is negative, and any other side a lie.
    sides = byte_strings.read_integers(header, places, count, big)
    return tf.bitcast(tf.cast(sides, tf.uint32), tf.int32)
