"""Decoding inside graphs that reports a broken image instead of raising an error."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras import _checks
from spp_keras.data import (
    backgrounds,
    byte_strings,
    exif,
    image_formats,
    image_ops,
    image_rules,
    orientations,
    size_policies,
    webp,
)
from spp_keras.data.image_rules import Fault, ImageLimits

_HEADER_BYTES = 32
_BMP_HEADER = 54
_GRAYS = [value for gray in range(256) for value in (gray, gray, gray, 0)]


class DecodedImage(NamedTuple):
    """A decoded image, or why it could not be decoded.

    Args:
        pixels: uint8 `(height, width, 3)`, as the size policy says; one black pixel where
            `code` is not `OK`.
        code: int32, `image_rules.OK` or the kind of fault.
        reason: string, why the image cannot be used; empty if it can.
        size: int32 `(2,)`, height and width of the image, upright and before it is scaled;
            zeros where `code` is not `OK`.
    """

    pixels: Any
    code: Any
    reason: Any
    size: Any


def decode_safely(
    image: Any,
    size_policy: size_policies.SizePolicy,
    min_side: int = 1,
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
    background: str = backgrounds.WHITE,
) -> DecodedImage:
    """Decodes an image as training does, or tells why that is not possible.

    Refuses the images that `inspection.inspect_image` refuses, in TensorFlow operations
    alone. The header bounds the memory that decoding takes.

    Args:
        image: Scalar string tensor, bytes of a JPEG, PNG, GIF, BMP or WebP image.
        size_policy: Size policy that says which part of the image is returned, at which size.
        min_side: Minimum length in pixels of the shorter side after that. Defaults to 1.
        limits: Limits on the size of the image. Defaults to `ImageLimits()`.
        orientation: `"exif"` turns the image as its EXIF orientation says; `"file"` takes
            its pixels as they lie in the file. Defaults to `"exif"`.
        background: The color behind transparent images, a name or `"#rrggbb"`. Defaults to
            `"white"`.

    Returns:
        A `DecodedImage`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((40, 60, 3), "uint8"))
    >>> tuple(decode_safely(png, size_policies.Whole(short_side=20)).pixels.shape)
    (20, 30, 3)
    >>> decode_safely(tf.constant("Not found"), size_policies.Whole()).reason.numpy()
    b'is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG'
    """
    return _catch_errors(
        lambda file: decode_or_raise(file, size_policy, min_side, limits, orientation, background),
        image,
    )


def decode_or_raise(
    image: Any,
    size_policy: size_policies.SizePolicy,
    min_side: int = 1,
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
    background: str = backgrounds.WHITE,
) -> DecodedImage:
    """Decodes an image as `decode_safely` does, but fails if the file is damaged.

    For code that catches the errors of several images together.

    Args:
        image: See `decode_safely`, as the others.
        size_policy: Size policy.
        min_side: Minimum length of the shorter side. Defaults to 1.
        limits: Limits on the size of the image. Defaults to `ImageLimits()`.
        orientation: `"exif"` or `"file"`. Defaults to `"exif"`.
        background: The color behind transparent images. Defaults to `"white"`.

    Example:

    >>> decode_or_raise(tf.constant(""), size_policies.Whole()).reason.numpy()
    b'is empty'
    """
    _checks.one_of(orientation, orientations.ORIENTATIONS, "orientation")
    backgrounds.parse_background(background)
    header = byte_strings.read_bytes(image, 0, _HEADER_BYTES)
    formats = [
        byte_strings.starts_with(header, image_format.magic)
        for image_format in image_formats.FORMATS
    ]

    def decode() -> DecodedImage:
        return _decode_known_format(
            image, header, formats, size_policy, min_side, limits, orientation, background
        )

    def refuse() -> DecodedImage:
        faults = [(tf.equal(tf.strings.length(image), 0), image_rules.EMPTY)]
        for image_format in image_formats.CONVERTED:
            matches = [byte_strings.starts_with(header, magic) for magic in image_format.magics]
            faults.append((tf.reduce_any(matches), image_rules.CONVERTED[image_format.name]))
        code, reason = image_rules.UNKNOWN_FORMAT
        for is_so, fault in faults:
            code = tf.where(is_so, fault.code, code)
            reason = tf.where(is_so, fault.reason, reason)
        return _refuse(code, reason)

    return tf.cond(tf.reduce_any(formats), decode, refuse)


def make_options() -> tf.data.Options:
    """Options of a small dataset: optimizing it costs more than it gains."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return options


def make_decoder(
    size_policy: size_policies.SizePolicy,
    min_side: int = 1,
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
    background: str = backgrounds.WHITE,
) -> Callable[[bytes], DecodedImage]:
    """Makes a function from the bytes of an image file to a `DecodedImage`.

    For eager code: the graph is traced once.

    Args:
        size_policy: How images are sized.
        min_side: Pixels that the shorter side must have after sizing. Defaults to 1.
        limits: Limits for files. Defaults to `ImageLimits()`.
        orientation: `"exif"` or `"file"`, how files are oriented. Defaults to `"exif"`.
        background: The color behind transparent images. Defaults to `"white"`.

    Example:

    >>> decode = make_decoder(size_policies.Whole(short_side=20))
    >>> png = tf.io.encode_png(tf.zeros((40, 60, 3), "uint8")).numpy()
    >>> tuple(decode(png).pixels.shape)
    (20, 30, 3)
    """
    return tf.function(
        lambda image: decode_safely(image, size_policy, min_side, limits, orientation, background),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )


def _catch_errors(decode: Callable[[Any], DecodedImage], image: Any) -> DecodedImage:
    """The result of `decode`, or a refusal if it raises an error.

    After an operation that failed, a graph can go on only by a dataset that leaves such
    elements out.
    """
    damaged = tf.data.Dataset.from_tensors(_refuse(*image_rules.BROKEN))
    decoded = tf.data.Dataset.from_tensors(image).map(decode).ignore_errors()
    result = decoded.concatenate(damaged).take(1)
    return result.with_options(make_options()).get_single_element()


def _decode_known_format(
    image: Any,
    header: Any,
    formats: list[Any],
    size_policy: size_policies.SizePolicy,
    min_side: int,
    limits: ImageLimits,
    orientation: str,
    background: str,
) -> DecodedImage:
    is_jpeg, is_png, is_gif, is_bmp, is_webp = formats
    size = tf.case(
        [
            (is_jpeg, lambda: tf.image.extract_jpeg_shape(image)[:2]),
            (is_png, lambda: _read_size(header, (20, 16), 4, big=True)),
            (is_gif, lambda: _read_size(header, (8, 6), 2)),
            (is_webp, lambda: webp.read_size(header)),
        ],
        # A negative height says that rows come from the top down.
        default=lambda: tf.abs(_read_size(header, (22, 18), 4)),
    )
    turn = tf.constant(1) if orientation == "file" else exif.read_orientation(image)
    size = orientations.turn_size(size, turn)
    window, target = size_policy.window_and_size(size)
    code, reason = _check_size(size, target, min_side, limits)
    for broken, fault in (
        (is_bmp & ~_has_true_colors(image, header), image_rules.UNSUPPORTED_BMP),
        (is_webp & webp.is_animated(header), image_rules.ANIMATED_WEBP),
    ):
        code = tf.where(broken, fault.code, code)
        reason = tf.where(broken, fault.reason, reason)
    return tf.cond(
        tf.equal(code, image_rules.OK),
        lambda: DecodedImage(
            image_ops.decode_window(image, size, window, target, turn, background),
            code,
            reason,
            size,
        ),
        lambda: DecodedImage(_make_black_pixel(), code, reason, tf.zeros_like(size)),
    )


def _check_size(size: Any, target: Any, min_side: int, limits: ImageLimits) -> Any:
    """Code and reason for an image of a size, before its pixels are read."""
    height, width = tf.unstack(tf.cast(size, tf.float64))
    faults = [
        *image_rules.list_size_faults(height, width, limits),
        (
            tf.reduce_min(target) < min_side,
            Fault(
                image_rules.TOO_SMALL,
                f"which leaves fewer than the {min_side} on a side that the network can map",
            ),
        ),
    ]
    prefix = tf.strings.format(image_rules.SIZE_PREFIX, tuple(tf.unstack(size)))
    code, reason = tf.constant(image_rules.OK), tf.constant("")
    for broken, fault in reversed(faults):
        code = tf.where(broken, fault.code, code)
        reason = tf.where(broken, tf.strings.join([prefix, fault.reason]), reason)
    return code, reason


def _has_true_colors(image: Any, header: Any) -> Any:
    """Whether a BMP has colors in its pixels, or a palette of all grays in order."""
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


def _refuse(code: Any, reason: Any) -> DecodedImage:
    size = tf.zeros((2,), tf.int32)
    code, reason = tf.convert_to_tensor(code), tf.convert_to_tensor(reason)
    return DecodedImage(_make_black_pixel(), code, reason, size)


def _make_black_pixel() -> Any:
    return tf.zeros((1, 1, 3), tf.uint8)


def _read_size(header: Any, offsets: tuple[int, int], count: int, big: bool = False) -> Any:
    """Height and width, each an integer of `count` bytes."""
    # Above 2**31 the height of a BMP is negative, and any other side is wrong.
    sides = byte_strings.read_integers(header, offsets, count, big)
    return tf.bitcast(tf.cast(sides, tf.uint32), tf.int32)
