"""Photographs that people send: decoded where they can be, else refused with what to do."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras.data import image_rules, safe_decoding, size_policies

MAX_PIXELS = 25_000_000
# Twice what a training takes. A network with short sides of 256 sees two million pixels then.
_MOST_ASPECT = 32
_REMEDIES = {
    image_rules.NOT_AN_IMAGE: "send a JPEG, PNG, GIF, BMP or WebP image",
    image_rules.DAMAGED: "take the original, or save it again",
    image_rules.TOO_LARGE: "scale it down, or serve with a larger --max-megapixels",
    image_rules.TOO_SMALL: "take a larger one",
    image_rules.ASPECT_TOO_LARGE: "cut it into shorter ones",
}


class UnusableImage(ValueError):
    """What was sent cannot be answered for; the message says why, and what to do."""


class ImageInput(NamedTuple):
    """A photograph that was decoded.

    Args:
        pixels: uint8 `(height, width, 3)`, what the model sees of it.
        size: Its height and width, upright and before it is scaled.
        seen: Height and width of `pixels`.
    """

    pixels: Any
    size: tuple[int, int]
    seen: tuple[int, int]


def make_decoder(
    view: size_policies.SizePolicy,
    min_side: int = 1,
    max_pixels: int = MAX_PIXELS,
    orientation: str = "exif",
) -> Callable[[bytes], ImageInput]:
    """A function from the bytes of a file to a `ImageInput`, or to `UnusableImage`.

    Args:
        view: What the model sees of an image.
        min_side: Pixels that the shorter side must have. What has fewer in the
            view, as very long photographs may, is seen with so many instead.
            Defaults to 1.
        max_pixels: How many a photograph may have; its header tells, before
            anything is decoded. Defaults to `MAX_PIXELS`.
        orientation: `"exif"` or `"file"`, which way up it is taken. Defaults to `"exif"`.

    Returns:
        The function.

    Example:

    >>> decode = make_decoder(sizes.Whole(longest_side=160), min_side=29)
    >>> decode(tf.io.encode_png(tf.zeros((40, 1000, 3), "uint8")).numpy()).seen
    (29, 725)
    """
    limits = image_rules.ImageLimits(max_pixels=max_pixels, max_aspect=_MOST_ASPECT)
    as_trained, enlarged = (
        _in_graph(one, min_side, limits, orientation)
        for one in (view, size_policies.Whole(short_side=min_side))
    )

    def decode(image: bytes) -> ImageInput:
        decoded = as_trained(image)
        if decoded.code == image_rules.TOO_SMALL:
            decoded = enlarged(image)
        if decoded.code != image_rules.OK:
            raise UnusableImage(_words(int(decoded.code), decoded.reason.numpy().decode()))
        size = tuple(decoded.size.numpy().tolist())
        return ImageInput(decoded.pixels, size, tuple(decoded.pixels.shape[:2]))

    return decode


def _in_graph(
    view: size_policies.SizePolicy,
    min_side: int,
    limits: image_rules.ImageLimits,
    orientation: str,
) -> Callable[..., Any]:
    return tf.function(
        lambda image: safe_decoding.decode_safely(image, view, min_side, limits, orientation),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )


def _words(code: int, reason: str) -> str:
    remedy = "" if "convert it" in reason else f"; {_REMEDIES[code]}"
    return f"The file {reason}{remedy}."
