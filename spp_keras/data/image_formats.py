"""The image formats, recognized by their first bytes and not by their names."""

from typing import NamedTuple


class ImageFormat(NamedTuple):
    """An image format.

    Args:
        name: Its name.
        magics: First bytes of a file, one or more alternatives; `?` is any byte.
        suffixes: Endings of file names, in small letters.
    """

    name: str
    magics: tuple[bytes, ...]
    suffixes: tuple[str, ...]

    @property
    def magic(self) -> bytes:
        """First bytes of a file, where there is one alternative."""
        (magic,) = self.magics
        return magic


JPEG = ImageFormat("JPEG", (b"\xff\xd8\xff",), (".jpg", ".jpeg", ".jpe", ".jfif"))
PNG = ImageFormat("PNG", (b"\x89PNG\r\n\x1a\n",), (".png",))
GIF = ImageFormat("GIF", (b"GIF8",), (".gif",))
BMP = ImageFormat("BMP", (b"BM",), (".bmp",))
WEBP = ImageFormat("WebP", (b"RIFF????WEBP",), (".webp",))
AVIF = ImageFormat("AVIF", (b"????ftypavif", b"????ftypavis"), (".avif",))
# The second pair is that of files of more than 4 GB.
TIFF = ImageFormat("TIFF", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), (".tif", ".tiff"))
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HEIC = ImageFormat(
    "HEIC", tuple(b"????ftyp" + brand for brand in _HEIC_BRANDS), (".heic", ".heif", ".hif")
)
# As `tf.io.decode_image` recognizes them.
FORMATS = (JPEG, PNG, GIF, BMP, WEBP)
# Converted by Pillow, see `image_conversion`; a SavedModel refuses them.
CONVERTED = (AVIF, TIFF, HEIC)
NAMES = f"{', '.join(format.name for format in FORMATS[:-1])} or {FORMATS[-1].name}"
SUFFIXES = frozenset(suffix for format in FORMATS + CONVERTED for suffix in format.suffixes)
# Images too: in a folder they are listed as skipped, not ignored without a word.
UNUSABLE_SUFFIXES = frozenset((".jxl", ".jp2", ".psd"))


def detect_format(image: bytes) -> ImageFormat | None:
    r"""The format of an encoded image, or `None` if it is not known.

    Example:

    >>> detect_format(b"BM6").name, detect_format(b"MM\0*\0").name, detect_format(b"<html>")
    ('BMP', 'TIFF', None)
    """
    for image_format in FORMATS + CONVERTED:
        if any(_starts_with(image, magic) for magic in image_format.magics):
            return image_format
    return None


def describe(image_format: ImageFormat) -> str:
    """The format with its article.

    Example:

    >>> describe(AVIF), describe(TIFF)
    ('an AVIF image', 'a TIFF image')
    """
    return f"{'an' if image_format.name[0] in 'AEIOU' else 'a'} {image_format.name} image"


def _starts_with(image: bytes, magic: bytes) -> bool:
    start = image[: len(magic)]
    return len(start) == len(magic) and all(
        expected in (byte, ord("?")) for byte, expected in zip(start, magic, strict=True)
    )
