import io
import struct

import numpy as np
import pytest
from exif_files import (
    FORMS,
    ORIENTATIONS,
    file,
    orientation_tag,
    plain_orientation,
    segment,
    tiff,
)
from image_files import IMAGE, PNG, chunk
from photographs import encoded, photograph
from PIL import Image

from spp_keras.data import exif

PICTURE = photograph(20, 30)


def read(data):
    return int(exif.read_orientation_compiled(data))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_orientation_in_both_byte_orders(form, orientation):
    for order in "<>":
        data = file(PICTURE, form, orientation, orientation_tag(orientation, order))
        assert Image.open(io.BytesIO(data)).getexif()[0x0112] == orientation
        assert read(data) == orientation


def test_images_without_an_exif_block_are_upright():
    for form in ("JPEG", "PNG", "GIF", "BMP", "WEBP"):
        assert read(encoded(IMAGE, form)) == 1
    assert read(b"") == read(b"\xff\xd8\xff") == read(b"text") == 1


JPEG = encoded(IMAGE, "JPEG")
EXIF = b"Exif\0\0"
FAR = 2**32 - 1


def jpeg(*contents, before=b""):
    """A JPEG with APP1 segments."""
    return JPEG[:2] + before + b"".join(segment(0xE1, each) for each in contents) + JPEG[2:]


def png(block):
    return PNG[:33] + chunk(b"eXIf", block) + PNG[33:]


# Orientation 6 where it counts, and what it is then.
BLOCKS = {
    "0": (jpeg(EXIF + orientation_tag(0)), 1),
    "9": (jpeg(EXIF + orientation_tag(9)), 1),
    "65535": (jpeg(EXIF + orientation_tag(65535)), 1),
    "of type LONG": (jpeg(EXIF + tiff((0x0112, 4, 1, 6))), 1),
    "two values": (jpeg(EXIF + tiff((0x0112, 3, 2, 6))), 1),
    "another tag": (jpeg(EXIF + tiff((0x0113, 3, 1, 6))), 1),
    "no tags": (jpeg(EXIF + tiff()), 1),
    "no block in its segment": (jpeg(EXIF), 1),
    "no order of bytes": (jpeg(EXIF + b"XX*\0" + orientation_tag(6)[4:]), 1),
    "the directory beyond the file": (jpeg(EXIF + b"II*\0" + struct.pack("<I", FAR)), 1),
    "the directory is the header": (jpeg(EXIF + b"II*\0\0\0\0\0" + orientation_tag(6)[8:]), 1),
    "the directory beyond its segment": (
        jpeg(EXIF + b"MM\0*\0\0\1\0", EXIF + b"\0" * 240 + tiff((0x0112, 3, 1, 6), order=">")[8:]),
        1,
    ),
    "fewer tags than it says": (
        jpeg(EXIF + tiff((0x0112, 3, 1, 6))[:8] + b"\xff\xff" + tiff((0x0112, 3, 1, 6))[10:]),
        6,
    ),
    "cut within the tag": (jpeg(EXIF + orientation_tag(6)[:-6]), 1),
    "the first of two blocks": (
        jpeg(EXIF + orientation_tag(6), EXIF + orientation_tag(3)),
        6,
    ),
    "behind XMP": (jpeg(b"http://ns.adobe.com/xap/1.0/\0<x/>", EXIF + orientation_tag(6)), 6),
    "behind 60 KB": (jpeg(EXIF + orientation_tag(6), before=segment(0xE2, b"\0" * 60000)), 6),
    "behind filling": (jpeg(EXIF + orientation_tag(6), before=b"\xff\xff\xff"), 6),
    "behind 64 KB": (
        jpeg(EXIF + orientation_tag(6), before=segment(0xE2, b"\0" * 65000) * 2),
        1,
    ),
    "behind the pixels": (JPEG + segment(0xE1, EXIF + orientation_tag(6)), 1),
    "behind a length of 1": (jpeg(EXIF + orientation_tag(6), before=b"\xff\xe2\0\1"), 1),
    "behind noise": (jpeg(EXIF + orientation_tag(6), before=b"noise"), 1),
    "named in PNG, too": (png(EXIF + orientation_tag(6)), 6),
    "behind the pixels of a PNG": (PNG[:-12] + chunk(b"eXIf", orientation_tag(6)) + PNG[-12:], 6),
    "behind a PNG": (PNG + chunk(b"eXIf", orientation_tag(6)), 1),
    "behind a huge chunk": (PNG[:33] + b"\xff\xff\xff\xffabcd" + png(orientation_tag(6))[33:], 1),
    "behind endless chunks": (PNG[:33] + 9000 * chunk(b"abcd") + png(orientation_tag(6))[33:], 1),
    "behind endless filling": (b"\xff\xd8" + b"\xff" * 20_000, 1),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_invalid_or_hostile_block_is_ignored(kind):
    data, expected = BLOCKS[kind]
    assert read(data) == expected


@pytest.mark.parametrize("form", FORMS)
def test_damaged_files_agree_with_a_plain_reader(form):
    random = np.random.default_rng(5)
    content = file(PICTURE, form, 6, tiff((0x010F, 2, 4, 0), (0x0112, 3, 1, 6), order=">"))
    block = content.index(b"MM\0*")
    first = {"JPEG": 2, "PNG": 8, "WebP": 12}[form]
    found = []
    for number in range(300):
        damaged = bytearray(content)
        for place in random.integers((first, block)[number % 2], block + 36, 1 + number % 3):
            damaged[place] = random.choice([0, 1, 3, 255, random.integers(256)])
        damaged = bytes(damaged)[: random.integers(len(content)) if number % 5 == 0 else None]
        found.append(read(damaged))
        assert found[-1] == plain_orientation(damaged), (number, damaged)
    assert {1, 6} <= set(found)


def test_graph_has_tensorflow_operations_alone():
    graph = exif.read_orientation_compiled.get_concrete_function().graph.as_graph_def()
    functions = [node for one in graph.library.function for node in one.node_def]
    kinds = {node.op for node in (*graph.node, *functions)}
    assert not {kind for kind in kinds if "PyFunc" in kind}
    assert "Substr" in kinds
