"""AVIF, TIFF and HEIC files become files that TensorFlow decodes to the same pixels."""

import io
import struct
import sys

import exif_files
import numpy as np
import pytest
from image_files import CONVERTED, DEEP, IMAGE, PALETTE, RGB, WITH_ALPHA
from photographs import decoded, encoded, photograph
from PIL import AvifImagePlugin, Image

from spp_keras.data import avif_sizes, image_conversion, image_ops
from spp_keras.data.image_conversion import ConversionError, convert_image
from spp_keras.data.image_rules import ImageLimits

# The best that this format has for pixels that are compared.
FINE = {"quality": 100, "subsampling": "4:4:4"}


def deep_tiff(pixels, order="<", *more, claimed_width=None):
    """An uncompressed TIFF of 16 bits a color, which Pillow reads and does not write."""
    content = pixels.astype(order + "u2").tobytes()
    height, width, _ = pixels.shape
    tags = [
        *((0x0100, 4, 1, claimed_width or width), (0x0101, 4, 1, height)),
        *((0x0102, 3, 3, 8), (0x0103, 3, 1, 1, 0), (0x0106, 3, 1, 2, 0), (0x0111, 4, 1, 14)),
        *((0x0115, 3, 1, 3, 0), (0x0116, 4, 1, height), (0x0117, 4, 1, len(content))),
        *more,
    ]
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 14 + len(content))
    rows = [
        struct.pack(order + "HHI", tag, kind, count)
        + struct.pack(order + ("HH" if (kind, count) == (3, 1) else "I"), *values)
        for tag, kind, count, *values in tags
    ]
    bits = struct.pack(order + "3H", *(16,) * 3)
    return head + bits + content + struct.pack(order + "H", len(rows)) + b"".join(rows) + b"\0" * 4


FILES = {
    "TIFF": encoded(IMAGE, "TIFF"),
    "compressed TIFF": encoded(IMAGE, "TIFF", compression="tiff_lzw"),
    "gray TIFF": encoded(IMAGE.convert("L"), "TIFF"),
    "black and white TIFF": encoded(IMAGE.convert("1"), "TIFF", compression="group4"),
    "palette TIFF": encoded(PALETTE, "TIFF"),
    "CMYK TIFF": encoded(IMAGE.convert("CMYK"), "TIFF"),
    "RGBA TIFF": encoded(WITH_ALPHA, "TIFF"),
    "AVIF": encoded(IMAGE, "AVIF"),
    "gray AVIF": encoded(IMAGE.convert("L"), "AVIF"),
    "AVIF with alpha": encoded(WITH_ALPHA, "AVIF"),
}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", FILES)
def test_pixels_are_those_that_pillow_reads(kind, compress):
    converted = convert_image(FILES[kind], compress=compress)
    is_png = compress or "alpha" in kind or "RGBA" in kind
    assert converted.startswith(b"\x89PNG" if is_png else b"BM")
    pixels = image_ops.decode_image(converted).numpy()
    np.testing.assert_allclose(pixels.astype(int), decoded(FILES[kind]).astype(int), atol=1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_become_the_upper_eight(order):
    deep = np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1]])
    pixels = image_ops.decode_image(convert_image(deep_tiff(deep, order)))
    np.testing.assert_array_equal(pixels, deep >> 8)
    pixels = image_ops.decode_image(convert_image(encoded(Image.fromarray(DEEP), "TIFF")))
    np.testing.assert_array_equal(pixels, np.dstack([DEEP >> 8] * 3))


@pytest.mark.parametrize("orientation", exif_files.ORIENTATIONS)
@pytest.mark.parametrize("form", ["TIFF", "AVIF"])
def test_the_orientation_stays_beside_the_pixels_of_the_file(form, orientation):
    upright = photograph(40, 60)
    lying, exif = exif_files.lying(upright, orientation), Image.Exif()
    exif[0x0112] = orientation
    options = FINE if form == "AVIF" else {"tiffinfo": {0x0112: orientation}}
    converted = convert_image(encoded(lying, form, exif=exif, **options))
    tolerance = 6 if form == "AVIF" else 0
    for turn, expected in ((None, upright), (1, np.asarray(lying))):
        pixels = image_ops.decode_image(converted, turn).numpy()
        np.testing.assert_allclose(pixels.astype(int), expected.astype(int), atol=tolerance)


def heic(image):
    file = io.BytesIO()
    pytest.importorskip("pillow_heif").from_pillow(image).save(file, quality=-1)
    return file.getvalue()


def test_heic_is_read_by_its_package():
    pixels = image_ops.decode_image(convert_image(heic(IMAGE))).numpy()
    np.testing.assert_allclose(pixels.astype(int), RGB.astype(int), atol=6)


def test_a_heic_whose_frame_is_larger_than_it_says_is_refused():
    data = bytearray(heic(Image.new("RGB", (800, 600), "navy")))
    place = data.index(b"ispe") + 8
    data[place : place + 8] = struct.pack(">II", 60, 50)
    with pytest.raises(ConversionError, match=r"cannot be converted: .*limit exceeded"):
        convert_image(bytes(data))


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(
        ConversionError, match=r"^is a HEIC image .* `pillow_heif`\. Install it with"
    ):
        convert_image(CONVERTED["a HEIC"])


def test_files_of_other_formats_are_returned_as_they_are():
    for content in (encoded(IMAGE), b"", b"<html>"):
        assert convert_image(content) is content


def avif_claiming(height, width):
    """An AVIF whose container says so; its frame is of 1200 x 1600 pixels."""
    data = bytearray(encoded(Image.new("RGB", (1600, 1200), "navy"), "AVIF", speed=10))
    place = data.index(b"ispe") + 8
    data[place : place + 8] = struct.pack(">II", width, height)
    return bytes(data)


SQUARE = np.zeros((20, 20, 3))
LARGE = {
    "TIFF": (deep_tiff(SQUARE, claimed_width=60_000), "^has 20x60000 pixels, more than 1000000$"),
    "tiles of a TIFF": (
        deep_tiff(SQUARE, "<", (0x0142, 4, 1, 2**30), (0x0143, 4, 1, 16)),
        "^has 16x1073741824 pixels, more than 1000000$",
    ),
    "AVIF": (avif_claiming(12_000, 9_000), "^has 12000x9000 pixels, more than 1000000$"),
    "frame of an AVIF": (avif_claiming(60, 80), "^has 1200x1600 pixels, more than 1000000$"),
}


@pytest.mark.parametrize("kind", LARGE)
def test_pixels_are_counted_before_memory_is_allocated(kind, monkeypatch):
    monkeypatch.setattr(image_conversion, "reduce_to_8_bits", None)
    file, message = LARGE[kind]
    with pytest.raises(ConversionError, match=message):
        convert_image(file, ImageLimits(max_pixels=1_000_000))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min_side": 49}, "^has 48x64 pixels, fewer than 49 on a side$"),
        ({"max_aspect": 1.3}, r"^has 48x64 pixels, one side over 1\.3 times the other$"),
        ({"max_pixels": 1000}, "too many for 1000 pixels$"),
    ],
)
def test_limits_hold(limits, message):
    with pytest.raises(ConversionError, match=message):
        convert_image(FILES["TIFF"], ImageLimits(**limits))


def test_frames_have_the_size_of_their_image():
    assert avif_sizes.list_frame_sizes(FILES["AVIF"]) == [(48, 64)]
    assert avif_sizes.list_frame_sizes(FILES["AVIF with alpha"]) == [(48, 64)] * 2


def test_what_has_no_colors_or_moves_is_refused():
    numbers = Image.fromarray(np.zeros((48, 64), "float32"))
    with pytest.raises(ConversionError, match=r"^is a TIFF image that cannot be converted: .*'F'$"):
        convert_image(encoded(numbers, "TIFF"))
    moving = encoded(IMAGE, "AVIF", save_all=True, append_images=[IMAGE.rotate(180)])
    with pytest.raises(ConversionError, match=r"^is an animated AVIF image: convert it to JPEG$"):
        convert_image(moving)
    pages = encoded(IMAGE, "TIFF", save_all=True, append_images=[IMAGE.rotate(180)])
    np.testing.assert_array_equal(image_ops.decode_image(convert_image(pages)), RGB)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["compressed TIFF", "RGBA TIFF", "AVIF with alpha"])
def test_damage_is_a_reason_and_no_other_error(kind):
    file, drawn, reasons = FILES[kind], np.random.default_rng(0), set()
    for _ in range(40):
        damaged = bytearray(file[: drawn.integers(12, len(file))])
        damaged[drawn.integers(12, len(damaged))] ^= drawn.integers(1, 256)
        try:
            convert_image(bytes(damaged), ImageLimits(max_pixels=10**6))
        except ConversionError as error:
            reasons.add(error.fault.reason)
    assert reasons
    assert "\n" not in "".join(reasons)


def test_without_avif_in_pillow_it_says_so(monkeypatch):
    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    with pytest.raises(ConversionError, match=r"^is an AVIF image .*support not installed"):
        convert_image(FILES["AVIF"])
