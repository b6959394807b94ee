"""Copies of image files that TensorFlow does not decode, as PNG files in the cache."""

import contextlib
from pathlib import Path

from spp_keras import _cache, _files
from spp_keras.data import image_conversion
from spp_keras.data.image_rules import ImageLimits

# Part of the names: another number when the same file is converted otherwise.
_VERSION = 1
# The last bytes of a PNG file.
_END = b"IEND\xaeB`\x82"


def convert_into_cache(image: bytes, limits: ImageLimits) -> tuple[Path, bytes]:
    """Path and content of the converted copy of an image file, which is made if there is none.

    Args:
        image: Bytes of an AVIF, TIFF or HEIC file.
        limits: Limits on its size.

    Raises:
        ConversionError: See `image_conversion.convert_image`.
        OSError: The cache cannot be written.
    """
    key = _cache.make_key(_VERSION, *image_conversion.describe_converters(), image)
    path = _cache.user_folder("converted") / key[:2] / f"{key[2:]}.png"
    with contextlib.suppress(FileNotFoundError):
        content = path.read_bytes()
        if content.endswith(_END):
            return path, content
    content = image_conversion.convert_image(image, limits, compress=True)
    _files.write_file(path, content)
    return path, content
