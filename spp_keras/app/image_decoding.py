"""Decoding of uploaded images, with errors that tell users what to do."""

from collections.abc import Callable
from typing import Any, NamedTuple

from spp_keras.data import (
    backgrounds,
    image_conversion,
    image_rules,
    safe_decoding,
    size_policies,
)

MAX_PIXELS = image_rules.ImageLimits().max_pixels
# Twice what a training takes. A model with short sides of 256 sees two million pixels then.
_MAX_ASPECT = 32
_REMEDIES = {
    image_rules.NOT_AN_IMAGE: "send a JPEG, PNG, WebP or another image",
    image_rules.DAMAGED: "take the original, or save it again",
    image_rules.TOO_LARGE: "scale it down, or start the app with a larger --max-megapixels",
    image_rules.TOO_SMALL: "take a larger one",
    image_rules.ASPECT_TOO_LARGE: "cut it into shorter ones",
    image_rules.UNSUPPORTED: "convert it to JPEG",
}


class UnusableImage(ValueError):
    """An image or a box cannot be used; the message says why and what to do."""


class ImageInput(NamedTuple):
    """A decoded image.

    Args:
        pixels: uint8 `(height, width, 3)`, as the model sees it.
        size: Height and width of the image in the file, upright.
        decoded_size: Height and width of `pixels`.
        file: Bytes of the file, converted to a format that TensorFlow decodes.
    """

    pixels: Any
    size: tuple[int, int]
    decoded_size: tuple[int, int]
    file: bytes


def make_decoder(
    size_policy: size_policies.SizePolicy,
    min_side: int = 1,
    max_pixels: int = MAX_PIXELS,
    orientation: str = "exif",
    background: str = backgrounds.WHITE,
) -> Callable[[bytes], ImageInput]:
    """Makes a function from the bytes of an image file to an `ImageInput`.

    The function raises `UnusableImage` for a file that cannot be used.

    Args:
        size_policy: How images are sized.
        min_side: Pixels that the shorter side must have. An image that has fewer after
            sizing, such as a very long one, is scaled to so many instead. Defaults to 1.
        max_pixels: Pixels that an image may have; its header tells, before
            anything is decoded. Defaults to `MAX_PIXELS`.
        orientation: `"exif"` or `"file"`, how files are oriented. Defaults to `"exif"`.
        background: The color behind transparent images. Defaults to `"white"`.

    Example:

    >>> decode = make_decoder(size_policies.Whole(longest_side=160), min_side=29)
    >>> decode(tf.io.encode_png(tf.zeros((40, 1000, 3), "uint8")).numpy()).decoded_size
    (29, 725)
    """
    limits = image_rules.ImageLimits(max_pixels=max_pixels, max_aspect=_MAX_ASPECT)
    decode_as_trained, decode_enlarged = (
        safe_decoding.make_decoder(policy, min_side, limits, orientation, background)
        for policy in (size_policy, size_policies.Whole(short_side=min_side))
    )

    def decode(image: bytes) -> ImageInput:
        try:
            image = image_conversion.convert_image(image, limits._replace(min_side=1))
        except image_conversion.ConversionError as error:
            raise UnusableImage(_format_error(*error.fault)) from error
        decoded = decode_as_trained(image)
        if decoded.code == image_rules.TOO_SMALL:
            decoded = decode_enlarged(image)
        if decoded.code != image_rules.OK:
            reason = decoded.reason.numpy().decode()
            raise UnusableImage(_format_error(int(decoded.code), reason))
        size = tuple(decoded.size.numpy().tolist())
        return ImageInput(decoded.pixels, size, tuple(decoded.pixels.shape[:2]), image)

    return decode


def _format_error(code: int, reason: str) -> str:
    remedy = "" if "convert it" in reason else f"; {_REMEDIES[code]}"
    return f"The file {reason}{remedy}."
