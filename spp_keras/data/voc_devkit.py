"""A tree of PASCAL VOC as its archives unpack, or another data set laid out like it."""

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spp_keras.data import folders
from spp_keras.data.sources import Candidate, Contents, Objects, Source

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


class Annotation(NamedTuple):
    """What the annotation of an image says.

    Args:
        objects: Name, box and difficulty of every object.
        frame: Height and width of the image, or `None` if there is no annotation.
    """

    objects: Sequence[tuple[str, tuple[float, ...], bool]] = ()
    frame: tuple[float, float] | None = None


def find_devkit(root: Path) -> Path | None:
    """The folder with `JPEGImages`, `Annotations` and `ImageSets`, or `None`.

    Args:
        root: That folder, or the folder `VOCdevkit` around it, or the one
            around that.

    Example:

    >>> find_devkit(Path("/nowhere")) is None
    True
    """
    around = (*sorted(root.glob("VOC*")), *sorted(root.glob("VOCdevkit/VOC*")))
    found = [folder for folder in (root, *around) if (folder / "ImageSets" / "Main").is_dir()]
    if len(found) > 1:
        names = ", ".join(repr(str(folder)) for folder in found)
        raise ValueError(
            f"`data` must be one year of VOC, one of {names}. Received: data={str(root)!r}."
        )
    return found[0] if found else None


def find_images(root: Path, split: str) -> Source:
    """Images of a list in `ImageSets/Main`, with the objects of their annotations.

    An image has the classes of its objects that are not difficult: VOC counts
    it as a positive for these. For a class of which it has difficult objects
    only it is neither positive nor negative by VOC's rules; `objects` tells.

    VOC numbers pixels from 1. Boxes become shares of height and width with no 1
    taken off, as TensorFlow Datasets does, and are cut off at the image's edges.
    The classes are VOC's twenty in VOC's order, or the sorted names that the
    annotations of all splits have, in small letters, if there are others.

    Args:
        root: Folder with `JPEGImages`, `Annotations` and `ImageSets`.
        split: `"train"`, `"val"` (or `"validation"`), `"trainval"`, `"test"`
            or the name of any other list there.

    Returns:
        A `Source`.
    """
    sets = root / "ImageSets" / "Main"
    listed = sets / f"{'val' if split == 'validation' else split}.txt"
    # The lists of one class, such as cat_train.txt, are not worth naming.
    names = sorted(path.stem for path in sets.glob("*.txt") if "_" not in path.stem)
    if not listed.is_file():
        raise ValueError(
            f"`split` must be one of {', '.join(repr(name) for name in names)}, the lists in "
            f"{str(sets)!r}. Received: split={split!r}."
        )
    ids = list(dict.fromkeys(line.split()[0] for line in read_lines(listed)))
    if not ids:
        raise ValueError(
            f"`split` must be a list with images. Received: split={split!r}, and {str(listed)!r} "
            f"is empty."
        )
    annotations = sorted(entry.path for entry in os.scandir(root / "Annotations"))
    return Source(
        name=f"{root} {split}",
        files=tuple(str(root / _image(name)) for name in ids),
        cache_key=("VOC", str(root), split),
        dependencies=(str(listed), *(path for path in annotations if path.endswith(".xml"))),
        read=lambda: _read(root, ids),
    )


def read_lines(path: Path) -> list[str]:
    """The lines of a list of images that have something in them."""
    return [line for line in path.read_text().splitlines() if line.strip()]


def read_annotation(path: Path) -> Annotation | str:
    """What the annotation in a file says, or why the file cannot be used.

    Example:

    >>> read_annotation(Path("/nowhere/000001.xml"))
    'has no annotation'
    """
    try:
        return _annotation(ElementTree.parse(path).getroot())
    except FileNotFoundError:
        return "has no annotation"
    except (ElementTree.ParseError, ValueError) as error:
        return f"has an annotation that cannot be used: {error}"


def make_candidate(
    root: Path, image: str, place: int, found: Annotation | str, classes: dict[str, int]
) -> Candidate:
    """An image and what `read_annotation` found for it.

    Args:
        root: Folder of the data set.
        image: Path of the image below it.
        place: Number of the image among the files of the source.
        found: The annotation, or why the image cannot be used.
        classes: Numbers of the classes by the names of the objects.

    Example:

    >>> found = Annotation([("dog", (0.0, 0.0, 0.5, 0.5), False)], (375, 500))
    >>> make_candidate(Path("/nowhere"), "1.jpg", 0, found, {"cat": 0, "dog": 1}).labels
    (1,)
    """
    unusable = found if isinstance(found, str) else None
    listed, frame = Annotation() if isinstance(found, str) else found
    objects = Objects(
        np.array([box for _, box, _ in listed], np.float32).reshape(-1, 4),
        np.array([classes[name] for name, _, _ in listed], np.int32),
        np.array([difficult for _, _, difficult in listed], bool),
    )
    whole = folders.make_candidate(root, image, place, objects.classes(), objects)
    return whole._replace(reason=whole.reason or unusable, frame=frame)


def _image(name: str) -> str:
    return f"JPEGImages/{name}.jpg"


def _read(root: Path, ids: list[str]) -> Contents:
    paths = sorted((root / "Annotations").glob("*.xml"))
    annotations = {path.stem: read_annotation(path) for path in paths}
    usable = (found for found in annotations.values() if not isinstance(found, str))
    classes = {name for found in usable for name, _, _ in found.objects}
    names = CLASSES if classes <= set(CLASSES) else tuple(sorted(classes))
    return Contents(names, True, len(ids), _candidates(root, ids, annotations, names))


def _candidates(
    root: Path, ids: list[str], annotations: dict, classes: tuple[str, ...]
) -> Iterator[Candidate]:
    numbers = {name: number for number, name in enumerate(classes)}
    for i, name in enumerate(ids):
        found = annotations.get(name, "has no annotation")
        yield make_candidate(root, _image(name), i, found, numbers)


def _annotation(tree: ElementTree.Element) -> Annotation:
    height, width = (_number(tree, f"size/{side}") for side in ("height", "width"))
    if height <= 0 or width <= 0:
        raise ValueError(f"it says that the image has {height:g}x{width:g} pixels")
    found = []
    for item in tree.findall("object"):
        name = (item.findtext("name") or "").strip().lower()
        if not name:
            raise ValueError("an object has no name")
        edges = [_number(item, f"bndbox/{edge}") for edge in ("ymin", "xmin", "ymax", "xmax")]
        box = tuple(
            min(max(edge / side, 0.0), 1.0)
            for edge, side in zip(edges, (height, width) * 2, strict=True)
        )
        if box[0] >= box[2] or box[1] >= box[3]:
            raise ValueError(f"the box {edges} of {name!r} has no pixel of the image in it")
        found.append((name, box, (item.findtext("difficult") or "0").strip() == "1"))
    return Annotation(found, (height, width))


def _number(element: ElementTree.Element, path: str) -> float:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"<{path}> is missing")
    return float(text)
