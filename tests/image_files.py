"""Files of every kind that comes along, whole and broken, and why the broken ones are."""

import struct
import zlib

import numpy as np
from photographs import encoded
from PIL import Image

ROWS, COLUMNS = np.mgrid[:48, :64]
RGB = np.stack([ROWS * 5, COLUMNS * 3, (ROWS + COLUMNS) * 2], -1).astype(np.uint8)
GRAY = RGB[..., 0]
DEEP = (np.arange(48 * 64).reshape(48, 64) * 21).astype(np.uint16)
IMAGE = Image.fromarray(RGB)
PALETTE = IMAGE.quantize(32)
ON_WHITE = np.rint(RGB * (GRAY / 255.0)[..., None] + 255 * (1 - GRAY / 255.0)[..., None])
WITH_ALPHA = Image.fromarray(np.dstack([RGB, GRAY]))


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(height, width, depth, colors, data):
    header = struct.pack(">IIBBBBB", width, height, depth, colors, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND"))
    )


def deep_png(pixels, colors):
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png(*pixels.shape[:2], 16, colors, rows)


def jpeg_claiming(height, width):
    """A JPEG whose frame header says so; its pixels are those of another."""
    data = bytearray(encoded(IMAGE, "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp_with_palette():
    return encoded(PALETTE, "BMP")


def gif_whose_frame_is_smaller_than_its_canvas():
    data = bytearray(encoded(PALETTE, "GIF"))
    data[6:10] = struct.pack("<HH", 100, 90)
    return bytes(data)


def animated_webp():
    return encoded(IMAGE, "WEBP", save_all=True, append_images=[IMAGE.rotate(180)])


def webp_claiming(height, width):
    """An extended WebP whose header says so; its pixels are those of another."""
    data = bytearray(encoded(WITH_ALPHA, "WEBP"))
    data[24:30] = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return bytes(data)


LOSSY = 6
REFUSAL = "is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG"
USABLE = {
    "JPEG": (encoded(IMAGE, "JPEG", quality=95), None, RGB, LOSSY),
    "progressive JPEG": (encoded(IMAGE, "JPEG", quality=95, progressive=True), None, RGB, LOSSY),
    "gray JPEG": (encoded(IMAGE.convert("L"), "JPEG", quality=95), "gray", None, LOSSY),
    "CMYK JPEG": (encoded(IMAGE.convert("CMYK"), "JPEG", quality=95), "CMYK", RGB, LOSSY),
    "PNG": (encoded(IMAGE, "PNG"), None, RGB, 0),
    "gray PNG": (encoded(Image.fromarray(GRAY), "PNG"), "gray", np.dstack([GRAY] * 3), 0),
    "black and white PNG": (encoded(IMAGE.convert("1"), "PNG"), "gray", None, 0),
    "palette PNG": (encoded(PALETTE, "PNG"), "palette", None, 0),
    "palette PNG with alpha": (encoded(PALETTE, "PNG", transparency=3), "palette", None, 1),
    "RGBA PNG": (encoded(WITH_ALPHA, "PNG"), "alpha", ON_WHITE, 1),
    "gray PNG with alpha": (encoded(WITH_ALPHA.convert("LA"), "PNG"), "alpha", None, 1),
    # Pillow cuts 16-bit gray off at 255, so the upper byte is the oracle.
    "16-bit gray PNG": (deep_png(DEEP, 0), "16-bit", np.dstack([DEEP >> 8] * 3), 0),
    "16-bit RGB PNG": (
        deep_png(np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1]]), 2),
        "16-bit",
        np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1]]) >> 8,
        0,
    ),
    "animated PNG": (
        encoded(IMAGE, "PNG", save_all=True, append_images=[IMAGE.rotate(180)]),
        "animated",
        RGB,
        0,
    ),
    "GIF": (encoded(PALETTE, "GIF"), "palette", None, 0),
    "animated GIF": (
        encoded(PALETTE, "GIF", save_all=True, append_images=[PALETTE.rotate(180)]),
        "animated",
        None,
        0,
    ),
    "BMP": (encoded(IMAGE, "BMP"), None, RGB, 0),
    "gray BMP": (encoded(Image.fromarray(GRAY), "BMP"), "gray", None, 0),
    "WebP": (encoded(IMAGE, "WEBP", quality=95), None, None, 0),
    "lossless WebP": (encoded(IMAGE, "WEBP", lossless=True), None, RGB, 0),
    "gray WebP": (encoded(IMAGE.convert("L"), "WEBP", lossless=True), None, None, 0),
    "WebP with alpha": (encoded(WITH_ALPHA, "WEBP"), "alpha", None, 1),
    "lossless WebP with alpha": (
        encoded(WITH_ALPHA, "WEBP", lossless=True, exact=True),
        "alpha",
        ON_WHITE,
        1,
    ),
}
JPEG = USABLE["JPEG"][0]
PNG = USABLE["PNG"][0]
UNUSABLE = {
    "nothing in it": (b"", "^is empty$"),
    "text": (b"<html>Not found</html>", f"^{REFUSAL}$"),
    "animated WebP": (animated_webp(), "^is an animated WebP image: convert it to JPEG$"),
    "half a WebP": (USABLE["WebP"][0][:150], "is cut short or damaged: "),
    "a JPEG cut within its pixels": (JPEG[:-200], "^is cut short or damaged: .*JPEG"),
    "a JPEG but for its last byte": (JPEG[:-1], "^is cut short or damaged: .*JPEG"),
    "half a PNG": (PNG[: len(PNG) // 2], "^is cut short or damaged: Invalid PNG data"),
    "half a GIF": (USABLE["GIF"][0][:450], "^is cut short or damaged: Invalid GIF data"),
    "half a BMP": (USABLE["BMP"][0][:4000], "^is cut short or damaged: "),
    "a JPEG cut within its header": (JPEG[:300], "^has a header that is cut short or damaged: "),
    "three bytes of JPEG": (JPEG[:3], "^has a header that is cut short or damaged: "),
    "1x1": (encoded(IMAGE.resize((1, 1)), "PNG"), "^has 1x1 pixels, fewer than 16 on a side$"),
    "15x64": (encoded(IMAGE.resize((64, 15)), "PNG"), "^has 15x64 pixels, fewer than 16"),
    "20x30000": (
        encoded(IMAGE.resize((30000, 20)), "PNG"),
        "^has 20x30000 pixels, one side over 16 times the other$",
    ),
    "a palette in BMP": (bmp_with_palette(), "^is a BMP image of a kind TensorFlow gets wrong"),
    "a frame in a larger GIF": (
        gif_whose_frame_is_smaller_than_its_canvas(),
        "^has 90x100 pixels, of which TensorFlow decodes 48x64: convert it to JPEG$",
    ),
}
# What graphs refuse by name, and Pillow converts; of HEIC, which it cannot write, the beginning.
CONVERTED = {
    "a TIFF": encoded(IMAGE, "TIFF"),
    "an AVIF": encoded(IMAGE, "AVIF"),
    "a HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64,
}
GIGAPIXEL = {
    "PNG": png(40_000, 40_000, 8, 2, b"\0"),
    "JPEG": jpeg_claiming(40_000, 40_000),
    "WebP": webp_claiming(40_000, 40_000),
}
