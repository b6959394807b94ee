"""Real photographs that packages bring, and the classes that a person would accept for each.

`photographs.tsv` names them all: where a picture is from, its name there, its classes. It was
written by looking at the pictures, before any network had seen them; of several pictures of one
scene one is taken. A drawing is none of them, and neither is what shows no class of ImageNet.
"""

import importlib.util
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from spp_keras.zoo import imagenet

# Folders of Debian's packages: apt-get install tuxpaint-stamps-default gcompris-qt-data
STAMPS = Path("/usr/share/tuxpaint/stamps")
ACTIVITIES = Path("/usr/share/gcompris-qt/rcc")
_LIST = Path(__file__).with_name("photographs.tsv")


class Photograph(NamedTuple):
    """A picture.

    Args:
        group: `"photographs"`, or `"cut-outs"`, which lie on white.
        name: Package and name in it.
        classes: Indices of the classes that count as right.
        file: Bytes of a PNG file, RGB.
        size: Height and width.
    """

    group: str
    name: str
    classes: tuple[int, ...]
    file: bytes
    size: tuple[int, int]


def read_photographs(
    stamps: Path = STAMPS, activities: Path = ACTIVITIES
) -> tuple[list[Photograph], list[str]]:
    """All pictures that are there, and the packages that are not.

    Args:
        stamps: Folder with the pictures of `tuxpaint-stamps-default`.
        activities: Folder with the files of `gcompris-qt-data`.
    """
    rows = [line.split("\t") for line in _LIST.read_text(encoding="utf-8").splitlines()]
    indices = {label: i for i, label in enumerate(imagenet.list_labels())}
    readers = {
        "scikit-image": lambda: _find_in_module("skimage", "data"),
        "scikit-learn": lambda: _find_in_module("sklearn", "datasets/images"),
        "gcompris": lambda: _find_in_resources(activities),
        "tuxpaint": lambda: _find_in_folder(stamps),
    }
    found, missing = [], []
    for package, find in readers.items():
        files = find()
        if not files:
            missing.append(package)
            continue
        for source, name, classes in rows:
            if source == package:
                group = "cut-outs" if package == "tuxpaint" else "photographs"
                right = tuple(indices[label] for label in classes.split(", "))
                file, size = _convert(files[name])
                found.append(Photograph(group, f"{package} {name}", right, file, size))
    return found, missing


def _convert(content: bytes) -> tuple[bytes, tuple[int, int]]:
    """A picture as RGB on white, and its height and width."""
    picture = Image.open(io.BytesIO(content)).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    file = io.BytesIO()
    white.convert("RGB").save(file, "PNG")
    return file.getvalue(), (picture.height, picture.width)


def _find_in_module(module: str, folder: str) -> dict[str, bytes]:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return {}
    paths = (Path(next(iter(spec.submodule_search_locations))) / folder).iterdir()
    return {path.name: path.read_bytes() for path in paths if path.suffix in (".png", ".jpg")}


def _find_in_folder(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path.read_bytes()
        for path in folder.rglob("*.png")
    }


def _find_in_resources(folder: Path) -> dict[str, bytes]:
    """Pictures by activity and name: their folders below the activity are left out."""
    files = {}
    for path in sorted([*folder.glob("explore_*.rcc"), *folder.glob("categorization.rcc")]):
        for name, content in _read_resources(path.read_bytes()):
            if name.endswith(".webp"):
                files[f"{path.stem}/{Path(name).stem}"] = content
    return files


def _read_resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in a resource file of Qt."""
    magic, version, tree, contents, names = struct.unpack(">4s4i", data[:20])
    if magic != b"qres":
        raise ValueError(f"It must be a resource file of Qt. It begins with {magic!r}.")
    entry_size = 22 if version >= 2 else 14
    pending = [0]
    while pending:
        entry = tree + entry_size * pending.pop()
        name, flags = struct.unpack(">iH", data[entry : entry + 6])
        if flags & 2:
            count, first = struct.unpack(">2i", data[entry + 6 : entry + 14])
            pending += range(first, first + count)
            continue
        (start,) = struct.unpack(">i", data[entry + 10 : entry + 14])
        (length,) = struct.unpack(">i", data[contents + start : contents + start + 4])
        content = data[contents + start + 4 : contents + start + 4 + length]
        (letters,) = struct.unpack(">H", data[names + name : names + name + 2])
        text = data[names + name + 6 : names + name + 6 + 2 * letters].decode("utf-16-be")
        yield text, zlib.decompress(content[4:]) if flags & 1 else content
