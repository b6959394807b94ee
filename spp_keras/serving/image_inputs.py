"""The kinds of images that are accepted: paths, bytes of files, PIL images and arrays."""

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from spp_keras.data import image_conversion, image_rules

_ORIENTATION = 0x0112

ImageLike: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | np.ndarray


def encode_image(
    image: ImageLike,
    limits: image_rules.ImageLimits = image_rules.ImageLimits(),  # noqa: B008  immutable
) -> bytes:
    """Turns an image into the bytes of an image file.

    Args:
        image: Path of a file; bytes of one; a PIL image; or an array of RGB pixels,
            uint8 `(height, width, 3)`.
        limits: Limits on the size of an AVIF, TIFF or HEIC file. Defaults to `ImageLimits()`.

    Returns:
        The content of the file, unchecked; for AVIF, TIFF and HEIC files, a PIL image or an
        array a BMP file, which is lossless and quick, or a PNG file if the image has alpha or
        an EXIF orientation, which some models follow and others ignore.

    Raises:
        ConversionError: An AVIF, TIFF or HEIC file cannot be converted.

    Example:

    >>> encode_image(np.zeros((2, 3, 3), "uint8"))[:2]
    b'BM'
    """
    if isinstance(image, str | os.PathLike):
        return image_conversion.convert_image(Path(image).read_bytes(), limits)
    if isinstance(image, bytes | bytearray | memoryview):
        return image_conversion.convert_image(bytes(image), limits)
    if not isinstance(image, Image.Image):
        pixels = check_pixels(image, "image")
        if pixels.dtype != np.uint8:
            raise ValueError(
                "`image` must be uint8 if it is an array: "
                f"`pixels.round().astype('uint8')` of values 0 to 255. Received: {pixels.dtype}."
            )
        image = Image.fromarray(pixels)
    orientation = image.getexif().get(_ORIENTATION, 1)
    return image_conversion.encode_pil_image(image_conversion.reduce_to_8_bits(image), orientation)


def convert_to_rgb(image: Image.Image) -> Image.Image:
    """Converts a PIL image as its file is decoded: upright by its EXIF orientation, RGB, 8 bits.

    A transparent image is drawn on white.

    Args:
        image: A PIL image of any mode but 32-bit integers and floats.

    Example:

    >>> convert_to_rgb(Image.new("LA", (3, 2))).mode
    'RGB'
    """
    image = image_conversion.reduce_to_8_bits(ImageOps.exif_transpose(image))
    if image.mode == "RGB":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def check_pixels(pixels: Any, name: str) -> np.ndarray:
    """Returns an array of RGB pixels, or raises.

    Args:
        pixels: An array, or what NumPy makes one of.
        name: Name of the argument, for errors.

    Example:

    >>> check_pixels([[[1, 2, 3]]], "image").shape
    (1, 1, 3)
    """
    pixels = np.asarray(pixels)
    if pixels.dtype.kind not in "uif":
        raise TypeError(
            f"`{name}` must be a path, the bytes of a file, a PIL image or an array of numbers. "
            f"Received: an array of {pixels.dtype}."
        )
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ValueError(
            f"`{name}` must be (height, width, 3), RGB, if it is an array: "
            "`np.stack([gray] * 3, axis=-1)` makes it of a gray image (height, width), and "
            f"`pixels[..., :3]` of RGBA. Received: shape {pixels.shape}."
        )
    return pixels
