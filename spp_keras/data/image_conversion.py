"""Conversion by Pillow of the image files that TensorFlow does not decode."""

import importlib.util
import io
from typing import Any

import numpy as np
from PIL import AvifImagePlugin, Image, TiffImagePlugin

from spp_keras import _extras
from spp_keras.data import avif_sizes, image_formats, image_rules
from spp_keras.data.image_formats import ImageFormat
from spp_keras.data.image_rules import Fault, ImageLimits

_ORIENTATION = 0x0112
# Width and height of the tiles of a TIFF.
_TILE_TAGS = (0x0142, 0x0143)
# What makes the pixels in a file of the upright ones, by the orientation.
_LYING = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


class ConversionError(ValueError):
    """An image file cannot be converted.

    Args:
        fault: Why not.
    """

    def __init__(self, fault: Fault):
        super().__init__(fault.reason)
        self.fault = fault


def convert_image(
    image: bytes,
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    *,
    compress: bool = False,
) -> bytes:
    """Converts an AVIF, TIFF or HEIC file to one that TensorFlow decodes.

    Its pixels stay as they lie in the file, with the EXIF orientation that turns them; a HEIC
    image is turned as its container says. Of several images in a file the first is taken.

    Args:
        image: Bytes of an image file.
        limits: Limits on the size of the image, which the header tells before memory is
            allocated. Defaults to `ImageLimits()`.
        compress: Whether to make a PNG file in any case, and not a BMP file, which is larger
            and quicker. Defaults to `False`.

    Returns:
        Bytes of a file of 8 bits a color, RGB or RGBA; those of another format are returned
        as they are.

    Raises:
        ConversionError: It is larger than the limits, damaged, of a kind that Pillow does not
            read, or its package is missing.

    Example:

    >>> convert_image(b"<html>")
    b'<html>'
    """
    image_format = image_formats.detect_format(image)
    if image_format not in image_formats.CONVERTED:
        return image
    if image.startswith(b"avis", 8):
        raise ConversionError(image_rules.ANIMATED_AVIF)
    _raise_fault(image_rules.find_length_fault(len(image), limits))
    try:
        header = _open(image, image_format)
        orientation = _read_orientation(header)
        turned = orientation >= 5 and image_format is not image_formats.TIFF
        size = header.size if turned else header.size[::-1]
        _raise_fault(image_rules.find_size_fault(size, limits))
        for coded_size in _list_coded_sizes(image, image_format, header):
            _check_pixels(coded_size, limits)
        pixels = reduce_to_8_bits(header)
        if image_format is image_formats.TIFF and orientation in _LYING:
            # Pillow turns this format alone.
            pixels = pixels.transpose(_LYING[orientation])
        return encode_pil_image(pixels, orientation, compress=compress)
    except (ConversionError, MemoryError):
        raise
    except ImportError as error:
        raise ConversionError(_make_fault(image_rules.UNSUPPORTED, image_format, error)) from error
    # Damaged bytes raise whatever they happen to hit, struct.error and IndexError too.
    except Exception as error:
        raise ConversionError(_make_fault(image_rules.DAMAGED, image_format, error)) from error


def describe_converters() -> tuple[bool, ...]:
    """What decides which files can be converted, as a part of keys of caches."""
    return AvifImagePlugin.SUPPORTED, importlib.util.find_spec("pillow_heif") is not None


def reduce_to_8_bits(image: Image.Image) -> Image.Image:
    """Converts a PIL image to RGB, or to RGBA if it may be transparent.

    Args:
        image: A PIL image of any mode but 32-bit integers and floats. Of 16 bits the upper
            eight are taken.

    Example:

    >>> [reduce_to_8_bits(Image.new(mode, (3, 2))).mode for mode in ("L", "LA", "CMYK")]
    ['RGB', 'RGBA', 'RGB']
    """
    if image.mode.startswith("I;16"):
        # Pillow would clip values above 255.
        image = Image.fromarray((np.asarray(image) >> 8).astype("uint8"))
    if image.mode in ("I", "F"):
        raise ValueError(
            "`image` must have 8 or 16 bits a color if it is a PIL image: scale its values to 0 to "
            f"255 and convert it to RGB. Received: a PIL image of mode {image.mode!r}."
        )
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def encode_pil_image(image: Image.Image, orientation: int = 1, *, compress: bool = False) -> bytes:
    """Encodes a PIL image without loss.

    Args:
        image: An RGB or RGBA image.
        orientation: EXIF orientation by which it has to be turned, 1 to 8. Defaults to 1.
        compress: As for `convert_image`. Defaults to `False`.

    Returns:
        A BMP file; a PNG file if it is to be compressed, has alpha or has to be turned.

    Example:

    >>> encode_pil_image(Image.new("RGB", (3, 2)))[:2]
    b'BM'
    """
    file, exif = io.BytesIO(), Image.Exif()
    if not compress and orientation == 1 and image.mode == "RGB":
        image.save(file, "BMP")
    else:
        exif[_ORIENTATION] = orientation
        # None of its own, such as color profiles.
        image.info = {}
        image.save(file, "PNG", exif=exif, compress_level=6 if compress else 1)
    return file.getvalue()


def _open(image: bytes, image_format: ImageFormat) -> Any:
    """Reads the header alone."""
    # The classes and not `PIL.Image.open`, which warns of large images before it tells their size.
    if image_format is image_formats.TIFF:
        return TiffImagePlugin.TiffImageFile(io.BytesIO(image))
    if image_format is image_formats.AVIF:
        return AvifImagePlugin.AvifImageFile(io.BytesIO(image))
    pillow_heif = _extras.import_package("pillow_heif", "heic", "Reading it")
    return pillow_heif.HeifImageFile(io.BytesIO(image))


def _read_orientation(header: Any) -> int:
    orientation = header.getexif().get(_ORIENTATION, 1)
    return orientation if orientation in _LYING else 1


def _list_coded_sizes(image: bytes, image_format: ImageFormat, header: Any) -> list[Any]:
    """Heights and widths that decoding allocates besides that of the image."""
    if image_format is image_formats.AVIF:
        return avif_sizes.list_frame_sizes(image)
    # The library that reads HEIC refuses frames that are larger than the container says.
    if image_format is image_formats.TIFF:
        tile_width, tile_length = (header.tag_v2.get(tag, 0) for tag in _TILE_TAGS)
        return [(tile_length, tile_width)]
    return []


def _raise_fault(fault: Fault | None) -> None:
    if fault is not None:
        raise ConversionError(fault)


def _check_pixels(size: tuple[int, int], limits: ImageLimits) -> None:
    _raise_fault(image_rules.find_size_fault(size, ImageLimits(0, limits.max_pixels, float("inf"))))


def _make_fault(code: int, image_format: ImageFormat, error: Exception) -> Fault:
    kind, message = image_formats.describe(image_format), " ".join(str(error).split())
    return Fault(code, f"is {kind} that cannot be converted: {message.rstrip('.')}")
