import io
import re
import tracemalloc

import exif_files
import numpy as np
import pytest
import tensorflow as tf
from image_files import GIGAPIXEL, IMAGE, JPEG, PNG, RGB, UNUSABLE, USABLE
from photographs import decoded, encoded
from PIL import Image

from spp_keras.data import image_ops, image_rules, inspection
from spp_keras.data.sources import Candidate


def inspected(data, tmp_path, **limits):
    """Inspected as a file on disk, by way of the threads."""
    path = tmp_path / "image.jpg"
    path.write_bytes(data)
    candidate = Candidate("image", (0, 0, len(data)))
    [(same, inspected_image)] = inspection.inspect_images(
        [candidate], [str(path)], image_rules.ImageLimits(**limits)
    )
    assert same is candidate
    return inspected_image


@pytest.mark.parametrize("kind", USABLE)
def test_inspect_images_describes_usable_images(kind, tmp_path):
    data, converted, _, _ = USABLE[kind]
    expected = inspection.Inspection((48, 64), converted)
    assert inspected(data, tmp_path)._replace(digest=0) == expected


@pytest.mark.parametrize("kind", USABLE)
def test_usable_images_decode_to_the_right_colors(kind):
    data, _, expected, tolerance = USABLE[kind]
    if expected is None:
        expected = decoded(data)
    pixels = image_ops.decode_image(data).numpy()
    np.testing.assert_allclose(pixels.astype(int), expected.astype(int), atol=tolerance)


@pytest.mark.parametrize("kind", UNUSABLE)
def test_inspect_images_gives_reasons(kind, tmp_path):
    data, reason = UNUSABLE[kind]
    inspected_image = inspected(data, tmp_path)
    assert inspected_image.size == (0, 0)
    assert re.search(reason, inspected_image.reason), inspected_image.reason


@pytest.mark.parametrize("form", GIGAPIXEL)
def test_gigapixel_header_is_refused_without_allocation(form, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.io, "decode_image", None)
    tracemalloc.start()
    inspected_image = inspected(GIGAPIXEL[form], tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert inspected_image.reason == "has 40000x40000 pixels, more than 64000000"
    assert peak < 2e6


def test_too_long_file_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "image.jpg"
    with path.open("wb") as file:
        file.truncate(10**10)
    monkeypatch.setattr(inspection, "inspect_image", None)
    [(_, inspected_image)] = inspection.inspect_images([Candidate("", (0, 0, 10**10))], [str(path)])
    assert inspected_image.reason == "has 10000000000 bytes, too many for 64000000 pixels"


def test_missing_files_and_refused_candidates_have_reasons(tmp_path):
    missing = Candidate("a", (0, 0, 9))
    given_up = Candidate("b", (0, 0, 9), reason="has no annotation")
    inspections = inspection.inspect_images([missing, given_up], [str(tmp_path / "none.jpg")])
    assert [inspected_image.reason for _, inspected_image in inspections] == [
        "cannot be read: No such file or directory",
        "has no annotation",
    ]


@pytest.mark.parametrize(
    ("limits", "usable"),
    [
        ({"min_side": 48}, True),
        ({"min_side": 49}, False),
        ({"max_pixels": 48 * 64}, True),
        ({"max_pixels": 48 * 64 - 1}, False),
        ({"max_aspect": 64 / 48}, True),
        ({"max_aspect": 1.33}, False),
    ],
)
def test_image_limits_are_inclusive(limits, usable, tmp_path):
    assert (inspected(PNG, tmp_path, **limits).reason is None) == usable


def test_span_inside_a_file_is_inspected(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(b"before" + PNG + JPEG + b"after")
    spans = [(0, 6, len(PNG)), (0, 6 + len(PNG), len(JPEG)), (0, 0, 9)]
    inspections = inspection.inspect_images([Candidate("", span) for span in spans], [str(path)])
    assert [inspected_image.reason is None for _, inspected_image in inspections] == [
        True,
        True,
        False,
    ]


def test_inspect_images_keeps_order_and_limits_prefetching(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(PNG)
    started = []

    def candidates():
        for index in range(1000):
            started.append(index)
            yield Candidate(str(index), (0, 0, len(PNG)))

    stream = inspection.inspect_images(candidates(), [str(path)])
    first = [next(stream)[0].id for _ in range(5)]
    stream.close()
    assert first == ["0", "1", "2", "3", "4"]
    assert len(started) < 500


def test_exif_warnings_of_pillow_are_ignored(tmp_path):
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x1a\x01\x05\0\x01"
    data = encoded(IMAGE, "JPEG", exif=exif)
    with pytest.warns(UserWarning, match="EXIF"):
        Image.open(io.BytesIO(data))
    assert inspected(data, tmp_path).reason is None


def test_size_is_that_of_the_upright_image(tmp_path):
    for form in exif_files.FORMS:
        for index in exif_files.ORIENTATIONS:
            data = exif_files.file(RGB, form, index)
            inspected_image = inspected(data, tmp_path)
            assert (inspected_image.size, inspected_image.orientation) == ((48, 64), index)
            as_filed = inspection.inspect_image(data, orientation="file")
            lying = exif_files.lying(RGB, index).size[::-1]
            assert (as_filed.size, as_filed.orientation) == (lying, 1)


@pytest.mark.parametrize(
    "kind", ["JPEG", "palette PNG", "animated GIF", "gray BMP", "WebP with alpha"]
)
def test_damaged_images_never_raise(kind):
    data, random = USABLE[kind][0], np.random.default_rng(7)
    for _ in range(60):
        damaged = bytearray(data)
        for place in random.integers(0, min(len(data), 200), 3):
            damaged[place] = random.integers(256)
        inspected_image = inspection.inspect_image(
            bytes(damaged), image_rules.ImageLimits(max_pixels=10**6)
        )
        assert (inspected_image.reason is None) == (inspected_image.size != (0, 0))
