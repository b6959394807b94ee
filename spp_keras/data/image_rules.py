"""The rules for usable images: limits, and a code and a sentence for each fault.

`inspection` applies them to the images of a data set, `safe_decoding` inside graphs.
"""

from typing import Any, NamedTuple

from spp_keras.data import image_formats

# Codes of the answers of exported models: `OK`, or the kind of fault.
OK, NOT_AN_IMAGE, DAMAGED, TOO_LARGE, TOO_SMALL, ASPECT_TOO_LARGE, UNSUPPORTED = range(7)


class ImageLimits(NamedTuple):
    """Limits on the size of an image.

    Args:
        min_side: Minimum length of the shorter side in pixels. Defaults to `16`.
        max_pixels: Maximum number of pixels. Of an image with more, only the header is
            read. Defaults to `64_000_000`.
        max_aspect: Maximum ratio of the longer side to the shorter side. Defaults to `16`.
    """

    min_side: int = 16
    max_pixels: int = 64_000_000
    max_aspect: float = 16


class Fault(NamedTuple):
    """Why an image cannot be used.

    Args:
        code: The kind of fault.
        reason: What the image is like; a name before it makes it a sentence.
    """

    code: int
    reason: str


EMPTY = Fault(NOT_AN_IMAGE, "is empty")
UNKNOWN_FORMAT = Fault(NOT_AN_IMAGE, f"is no {image_formats.NAMES} image: convert it to JPEG")
BROKEN = Fault(DAMAGED, "is cut short or damaged")
UNSUPPORTED_BMP = Fault(
    UNSUPPORTED, "is a BMP image of a kind TensorFlow gets wrong: convert it to JPEG"
)
ANIMATED_AVIF = Fault(UNSUPPORTED, "is an animated AVIF image: convert it to JPEG")
ANIMATED_WEBP = Fault(UNSUPPORTED, "is an animated WebP image: convert it to JPEG")
CONVERTED = {
    image_format.name: Fault(
        UNSUPPORTED, f"is {image_formats.describe(image_format)}: convert it to JPEG"
    )
    for image_format in image_formats.CONVERTED
}
# The beginning of the reasons below; braces for height and width.
SIZE_PREFIX = "has {}x{} pixels, "


def list_size_faults(height: Any, width: Any, limits: ImageLimits) -> list[tuple[Any, Fault]]:
    """Whether each rule on the size of an image is broken, and the fault if it is.

    Args:
        height: Height of the image, an int or a float64 tensor.
        width: Width of the image, likewise.
        limits: The limits.

    Returns:
        A list of pairs; the first broken rule is the one to report.

    Example:

    >>> faults = list_size_faults(8, 600, ImageLimits())
    >>> [fault.reason for broken, fault in faults if broken]
    ['fewer than 16 on a side', 'one side over 16 times the other']
    """
    min_side, max_pixels, max_aspect = limits
    return [
        (height * width > max_pixels, Fault(TOO_LARGE, f"more than {max_pixels}")),
        (
            (height < min_side) | (width < min_side),
            Fault(TOO_SMALL, f"fewer than {min_side} on a side"),
        ),
        (
            (height > max_aspect * width) | (width > max_aspect * height),
            Fault(ASPECT_TOO_LARGE, f"one side over {max_aspect} times the other"),
        ),
    ]


def find_size_fault(size: tuple[int, int], limits: ImageLimits) -> Fault | None:
    """The fault of an image by its size, or `None`.

    Args:
        size: Height and width.
        limits: The limits.

    Example:

    >>> find_size_fault((8, 600), ImageLimits()).reason
    'has 8x600 pixels, fewer than 16 on a side'
    """
    for broken, fault in list_size_faults(*size, limits):
        if broken:
            return fault._replace(reason=SIZE_PREFIX.format(*size) + fault.reason)
    return None


def find_length_fault(length: int, limits: ImageLimits) -> Fault | None:
    """The fault of a file by its length in bytes, or `None`.

    Example:

    >>> find_length_fault(900, ImageLimits(max_pixels=100)).reason
    'has 900 bytes, too many for 100 pixels'
    """
    # Eight bytes a pixel: uncompressed 16-bit RGBA, the longest form.
    if length <= 8 * limits.max_pixels:
        return None
    return Fault(TOO_LARGE, f"has {length} bytes, too many for {limits.max_pixels} pixels")
