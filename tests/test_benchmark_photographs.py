"""What the benchmark on photographs reads and counts; its figures are made by running it."""

import importlib
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def resources(files):
    """A resource file of Qt with files in a folder; every second one is compressed."""
    names, contents = b"", b""
    entries = [(0, 2, len(files), 1)]
    for number, (name, content) in enumerate(files.items()):
        flags = number % 2
        if flags:
            content = struct.pack(">I", len(content)) + zlib.compress(content)
        entries.append((len(names), flags, None, len(contents)))
        encoded = name.encode("utf-16-be")
        names += struct.pack(">HI", len(encoded) // 2, 0) + encoded
        contents += struct.pack(">i", len(content)) + content
    tree = b""
    for name, flags, count, start in entries:
        if count is None:
            tree += struct.pack(">iHHHiq", name, flags, 0, 0, start, 0)
        else:
            tree += struct.pack(">iHiiq", name, flags, count, start, 0)
    offsets = (20, 20 + len(tree), 20 + len(tree) + len(contents))
    return b"qres" + struct.pack(">4i", 2, *offsets) + tree + contents + names


def test_files_of_a_resource_file_are_read_with_their_names(load):
    files = {"bison.webp": b"one" * 100, "äpfel.png": b"two", "c": b""}
    found = dict(load("photograph_files")._read_resources(resources(files)))
    assert found == files


def test_another_file_is_refused(load):
    with pytest.raises(ValueError, match="resource file of Qt"):
        list(load("photograph_files")._read_resources(b"PK" + bytes(30)))


def test_pictures_lie_on_white(load):
    picture = Image.new("RGBA", (3, 2), (10, 20, 30, 0))
    picture.putpixel((1, 0), (10, 20, 30, 255))
    file = io.BytesIO()
    picture.save(file, "PNG")
    converted, size = load("photograph_files")._convert(file.getvalue())
    pixels = np.asarray(Image.open(io.BytesIO(converted)))
    assert size == (2, 3) == pixels.shape[:2]
    assert pixels[0, 1].tolist() == [10, 20, 30]
    assert (pixels[1] == 255).all()


def test_every_line_of_the_list_has_classes(load):
    lines = (BENCHMARKS / "photographs.tsv").read_text().splitlines()
    labels = load("spp_keras.zoo.imagenet").list_labels()
    rows = [line.split("\t") for line in lines]
    assert all(label in labels for *_, classes in rows for label in classes.split(", "))
    assert len({(package, name) for package, name, _ in rows}) == len(rows)


def test_pictures_of_installed_packages_are_found(load, tmp_path):
    pytest.importorskip("skimage")
    found, missing = load("photograph_files").read_photographs(tmp_path, tmp_path)
    assert {"gcompris", "tuxpaint"} <= set(missing)
    (cat,) = [picture for picture in found if picture.name == "scikit-image chelsea.png"]
    assert (cat.group, cat.size, cat.classes) == ("photographs", (300, 451), (281, 282, 285))


def rows_of(answers):
    """Pictures of one network with two protocols; an answer is a rank and a probability."""
    return [
        {
            "group": "photographs",
            "name": f"p {i}",
            "classes": [1],
            "size": [200, 300],
            "answers": {"efficientnet_lite0": {"short side 224": a, "area 224x224": b}},
        }
        for i, (a, b) in enumerate(answers)
    ]


def test_the_rule_has_the_best_log_score_on_every_second_picture(load):
    tables = load("photograph_scales_tables")
    rows = rows_of([((1, 0.5), (2, 0.4)), ((9, 0), (1, 1)), ((2, 0.3), (1, 0.3))])
    assert tables.choose("efficientnet_lite0", rows) == "short side 224"
    assert tables.choose("efficientnet_lite0", rows[1:]) == "area 224x224"
    top1, top5, log, probability = tables._measure("efficientnet_lite0", "short side 224", rows)
    assert (top1, top5) == (1 / 3, 2 / 3)
    assert log == pytest.approx((math.log(0.5) + math.log(5e-5) + math.log(0.3)) / 3)
    assert probability == pytest.approx(0.8 / 3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("own size", 200 * 300),
        ("short side 256", 256 * 384),
        ("area 192x192", 192**2),
        ("warp", 224**2),
        ("short side, mean of 192, 256", (192**2 + 256**2) * 1.5),
        ("area, mean of 192, 256", 192**2 + 256**2),
        ("10-view-map", 2 * 256 * 384),
    ],
)
def test_pixels_are_counted(load, name, expected):
    tables = load("photograph_scales_tables")
    assert tables._count_pixels("efficientnet_lite0", name, (200, 300)) == expected


def test_cells_of_a_view_are_those_centered_in_it(load):
    find = load("photograph_scales")._find_cells
    assert find(8, 256, 0, 256) == slice(0, 8)
    assert find(8, 256, 16, 241) == slice(0, 8)
    assert find(8, 256, 17, 241) == slice(1, 8)
    assert find(8, 256, 0, 224) == slice(0, 7)
