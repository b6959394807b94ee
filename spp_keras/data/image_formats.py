"""The formats of images that are taken, known by their first bytes and not by their names."""

# As `tf.io.decode_image` goes; `?` is any byte.
MAGIC_BYTES = {
    "JPEG": b"\xff\xd8\xff",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "GIF": b"GIF8",
    "BMP": b"BM",
    "WebP": b"RIFF????WEBP",
}
# What is said of all others.
REFUSAL = "is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG"


def detect_format(image: bytes) -> str | None:
    """The format of an encoded image, or `None` if it is none of these.

    Example:

    >>> detect_format(b"BM6"), detect_format(b"<html>")
    ('BMP', None)
    """
    for name, beginning in MAGIC_BYTES.items():
        start = image[: len(beginning)]
        if len(start) == len(beginning) and all(
            known in (byte, ord("?")) for byte, known in zip(start, beginning, strict=True)
        ):
            return name
    return None
