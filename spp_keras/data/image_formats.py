"""The accepted image formats, recognized by their first bytes and not by their names."""

from typing import NamedTuple


class ImageFormat(NamedTuple):
    """An accepted image format.

    Args:
        name: Its name.
        magic: First bytes of a file; `?` is any byte.
        suffixes: Endings of file names, in small letters.
    """

    name: str
    magic: bytes
    suffixes: tuple[str, ...]


JPEG = ImageFormat("JPEG", b"\xff\xd8\xff", (".jpg", ".jpeg", ".jpe", ".jfif"))
PNG = ImageFormat("PNG", b"\x89PNG\r\n\x1a\n", (".png",))
GIF = ImageFormat("GIF", b"GIF8", (".gif",))
BMP = ImageFormat("BMP", b"BM", (".bmp",))
WEBP = ImageFormat("WebP", b"RIFF????WEBP", (".webp",))
# As `tf.io.decode_image` recognizes them.
FORMATS = (JPEG, PNG, GIF, BMP, WEBP)
NAMES = f"{', '.join(format.name for format in FORMATS[:-1])} or {FORMATS[-1].name}"
SUFFIXES = frozenset(suffix for format in FORMATS for suffix in format.suffixes)


def detect_format(image: bytes) -> ImageFormat | None:
    """The format of an encoded image, or `None` if it is not accepted.

    Example:

    >>> detect_format(b"BM6").name, detect_format(b"<html>")
    ('BMP', None)
    """
    for image_format in FORMATS:
        start = image[: len(image_format.magic)]
        if len(start) == len(image_format.magic) and all(
            expected in (byte, ord("?"))
            for byte, expected in zip(start, image_format.magic, strict=True)
        ):
            return image_format
    return None
