"""PASCAL VOC as its archives unpack, or another data set with the same folders."""

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
    """The annotation of an image.

    Args:
        objects: Name, box and difficulty of every object.
        size: Height and width of the image, or `None` if there is no annotation.
    """

    objects: Sequence[tuple[str, tuple[float, ...], bool]] = ()
    size: tuple[float, float] | None = None


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
    devkits = [folder for folder in (root, *around) if (folder / "ImageSets" / "Main").is_dir()]
    if len(devkits) > 1:
        names = ", ".join(repr(str(folder)) for folder in devkits)
        raise ValueError(
            f"`data` must be one year of VOC, one of {names}. Received: data={str(root)!r}."
        )
    return devkits[0] if devkits else None


def find_images(root: Path, split: str) -> Source:
    """Images of a list in `ImageSets/Main`, with the objects of their annotations.

    An image has the classes of its objects that are not difficult: it is a positive for
    these. For a class of which it has only difficult objects, see `objects`, it is neither
    a positive nor a negative by VOC's rules.

    VOC counts pixels from 1. Boxes become fractions of height and width without subtracting
    1, as in TensorFlow Datasets, and are clipped to the image.
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
    # Without the lists of one class, such as cat_train.txt.
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
        files=tuple(str(root / _image_path(name)) for name in ids),
        cache_key=("VOC", str(root), split),
        dependencies=(str(listed), *(path for path in annotations if path.endswith(".xml"))),
        read=lambda: _read(root, ids),
    )


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty."""
    return [line for line in path.read_text().splitlines() if line.strip()]


def read_annotation(path: Path) -> Annotation | str:
    """The annotation in a file, or why the file cannot be used.

    Example:

    >>> read_annotation(Path("/nowhere/000001.xml"))
    'has no annotation'
    """
    try:
        return _parse_annotation(ElementTree.parse(path).getroot())
    except FileNotFoundError:
        return "has no annotation"
    except (ElementTree.ParseError, ValueError) as error:
        return f"has an annotation that cannot be used: {error}"


def make_candidate(
    root: Path, image: str, file_index: int, annotation: Annotation | str, classes: dict[str, int]
) -> Candidate:
    """Makes the candidate of an image with an annotation.

    Args:
        root: Folder of the data set.
        image: Path of the image below it.
        file_index: Index of the image among the files of the source.
        annotation: What `read_annotation` returned: the annotation, or why the image cannot
            be used.
        classes: Class indices by the names of the objects.

    Example:

    >>> dog = Annotation([("dog", (0.0, 0.0, 0.5, 0.5), False)], (375, 500))
    >>> make_candidate(Path("/nowhere"), "1.jpg", 0, dog, {"cat": 0, "dog": 1}).labels
    (1,)
    """
    reason = annotation if isinstance(annotation, str) else None
    entries, size = Annotation() if isinstance(annotation, str) else annotation
    objects = Objects(
        np.array([box for _, box, _ in entries], np.float32).reshape(-1, 4),
        np.array([classes[name] for name, _, _ in entries], np.int32),
        np.array([difficult for _, _, difficult in entries], bool),
    )
    candidate = folders.make_candidate(root, image, file_index, objects.classes(), objects)
    return candidate._replace(reason=candidate.reason or reason, annotated_size=size)


def _image_path(name: str) -> str:
    return f"JPEGImages/{name}.jpg"


def _read(root: Path, ids: list[str]) -> Contents:
    paths = sorted((root / "Annotations").glob("*.xml"))
    annotations = {path.stem: read_annotation(path) for path in paths}
    usable = (value for value in annotations.values() if not isinstance(value, str))
    classes = {name for annotation in usable for name, _, _ in annotation.objects}
    names = CLASSES if classes <= set(CLASSES) else tuple(sorted(classes))
    return Contents(names, True, len(ids), _make_candidates(root, ids, annotations, names))


def _make_candidates(
    root: Path, ids: list[str], annotations: dict, classes: tuple[str, ...]
) -> Iterator[Candidate]:
    labels = {name: label for label, name in enumerate(classes)}
    for i, name in enumerate(ids):
        annotation = annotations.get(name, "has no annotation")
        yield make_candidate(root, _image_path(name), i, annotation, labels)


def _parse_annotation(tree: ElementTree.Element) -> Annotation:
    height, width = (_read_number(tree, f"size/{side}") for side in ("height", "width"))
    if height <= 0 or width <= 0:
        raise ValueError(f"it says that the image has {height:g}x{width:g} pixels")
    objects = []
    for item in tree.findall("object"):
        name = (item.findtext("name") or "").strip().lower()
        if not name:
            raise ValueError("an object has no name")
        edges = [_read_number(item, f"bndbox/{edge}") for edge in ("ymin", "xmin", "ymax", "xmax")]
        box = tuple(
            min(max(edge / side, 0.0), 1.0)
            for edge, side in zip(edges, (height, width) * 2, strict=True)
        )
        if box[0] >= box[2] or box[1] >= box[3]:
            raise ValueError(f"the box {edges} of {name!r} has no pixel of the image in it")
        objects.append((name, box, (item.findtext("difficult") or "0").strip() == "1"))
    return Annotation(objects, (height, width))


def _read_number(element: ElementTree.Element, path: str) -> float:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"<{path}> is missing")
    return float(text)
