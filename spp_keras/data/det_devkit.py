"""ILSVRC's detection task (DET), two hundred classes, as its archives unpack."""

from collections.abc import Iterator
from pathlib import Path

from spp_keras.data import voc_devkit
from spp_keras.data.sources import Candidate, Contents, Source

_NAMES = "devkit/data/map_det.txt"


def find_devkit(root: Path) -> Path | None:
    """The folder with `Data/DET`, `Annotations/DET` and `ImageSets/DET`, or `None`.

    Args:
        root: That folder, such as `ILSVRC`, or the one around it.

    Example:

    >>> find_devkit(Path("/nowhere")) is None
    True
    """
    around = (root, *sorted(root.glob("ILSVRC*")))
    devkits = [folder for folder in around if (folder / "ImageSets" / "DET").is_dir()]
    if len(devkits) > 1:
        names = ", ".join(repr(str(folder)) for folder in devkits)
        raise ValueError(
            f"`data` must be one year of ILSVRC, one of {names}. Received: data={str(root)!r}."
        )
    return devkits[0] if devkits else None


def find_images(root: Path, split: str) -> Source:
    """Images of a list in `ImageSets/DET`, with the objects of their annotations.

    There is a training list for each class, `train_1.txt` to `train_200.txt`, and an
    image may be in several. `"train"` is all of them, each image once, unless there is
    a `train.txt`. A training image without an annotation is a negative, one without
    objects; elsewhere each needs one. The lists also say for which class an image was
    annotated, and whether all objects of it have boxes; that is not used: a training
    image may have objects of other classes without boxes.

    No object is difficult. Boxes become fractions of height and width, as with VOC.

    Annotations name classes by WordNet ids. With `devkit/data/map_det.txt` of the
    development kit in the tree, whose lines are such as `n02672831 1 accordion`, the
    classes are its names in its order, which is that of ILSVRC's own evaluation.
    Otherwise they are the sorted WordNet ids in the annotations of all splits, all of
    which are read.

    Args:
        root: Folder with `Data`, `Annotations` and `ImageSets`.
        split: `"train"`, `"val"` (or `"validation"`) or the name of any other list,
            whose images are in the folder `train` or `val` that it begins with, such as
            `val1` for a half of `val`.

    Returns:
        A `Source`.
    """
    split = "val" if split == "validation" else split
    lists = _choose_lists(root / "ImageSets" / "DET", split)
    folder = _choose_folder(root, split)
    entries = (line.split()[0] for path in lists for line in voc_devkit.read_lines(path))
    ids = [f"{folder}/{name}" for name in dict.fromkeys(entries)]
    if not ids:
        raise ValueError(
            f"`split` must be a list with images. Received: split={split!r}, and "
            f"{str(lists[0])!r} is empty."
        )
    names = root / _NAMES
    if names.is_file():
        annotations = (names, *(_annotation_path(root, name) for name in ids))
    else:
        annotations = (names, *_list_annotations(root))
    return Source(
        name=f"{root} {split}",
        files=tuple(str(root / _image_path(name)) for name in ids),
        cache_key=("ILSVRC DET", str(root), split),
        dependencies=tuple(str(path) for path in (*lists, *annotations)),
        read=lambda: _read(root, ids),
    )


def _choose_lists(sets: Path, split: str) -> list[Path]:
    paths = {path.stem: path for path in sets.glob("*.txt")}
    numbered = [name for name in paths if name.startswith("train_") and name[6:].isdecimal()]
    if split in paths:
        return [paths[split]]
    if split == "train" and numbered:
        return [paths[name] for name in sorted(numbered, key=lambda name: int(name[6:]))]
    known = {*paths} - {*numbered} | ({"train"} if numbered else set())
    raise ValueError(
        f"`split` must be one of {', '.join(repr(name) for name in sorted(known))}, the lists in "
        f"{str(sets)!r}. Received: split={split!r}."
    )


def _choose_folder(root: Path, split: str) -> str:
    annotated = sorted(path.name for path in (root / "Annotations" / "DET").glob("*/"))
    for name in annotated:
        if split.startswith(name):
            return name
    raise ValueError(
        f"`split` must begin with the name of a folder of annotations, one of {annotated} in "
        f"{str(root / 'Annotations' / 'DET')!r}; those of the test set are not published. "
        f"Received: split={split!r}."
    )


def _image_path(name: str) -> str:
    return f"Data/DET/{name}.JPEG"


def _annotation_path(root: Path, name: str) -> Path:
    return root / "Annotations" / "DET" / f"{name}.xml"


def _list_annotations(root: Path) -> list[Path]:
    return sorted((root / "Annotations" / "DET").rglob("*.xml"))


def _read(root: Path, ids: list[str]) -> Contents:
    names = root / _NAMES
    if names.is_file():
        classes = _read_class_names(names)
    else:
        annotations = (voc_devkit.read_annotation(path) for path in _list_annotations(root))
        usable = (value for value in annotations if not isinstance(value, str))
        wordnet_ids = {name for annotation in usable for name, _, _ in annotation.objects}
        classes = {name: name for name in sorted(wordnet_ids)}
    labels = {name: label for label, name in enumerate(classes)}
    return Contents(tuple(classes.values()), True, len(ids), _make_candidates(root, ids, labels))


def _read_class_names(path: Path) -> dict[str, str]:
    """Class names by WordNet id, in the order of their numbers."""
    rows = [line.split(maxsplit=2) for line in voc_devkit.read_lines(path)]
    invalid = [row for row in rows if len(row) < 3 or not row[1].isdecimal()]
    if invalid:
        raise ValueError(
            f"`data` must have lines such as 'n02672831 1 accordion' in {str(path)!r}. "
            f"Received: {' '.join(invalid[0])!r}. Mend the file, or remove it to go by WordNet ids."
        )
    rows.sort(key=lambda row: int(row[1]))
    return {wordnet_id: name.strip() for wordnet_id, _, name in rows}


def _make_candidates(root: Path, ids: list[str], labels: dict[str, int]) -> Iterator[Candidate]:
    for i, name in enumerate(ids):
        path = _annotation_path(root, name)
        negative = name.startswith("train/") and not path.exists()
        annotation = voc_devkit.Annotation() if negative else voc_devkit.read_annotation(path)
        if not isinstance(annotation, str):
            unknown = sorted({kind for kind, _, _ in annotation.objects} - labels.keys())
            if unknown:
                annotation = f"has objects of {unknown}, which {_NAMES} does not name"
        yield voc_devkit.make_candidate(root, _image_path(name), i, annotation, labels)
