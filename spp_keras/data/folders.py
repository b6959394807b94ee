"""Images in a folder per class."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras.data.image_formats import SUFFIXES, UNUSABLE_SUFFIXES
from spp_keras.data.sources import Candidate, Contents, Source
from spp_keras.data.validation_part import choose_validation_part

_SPLITS = ("train", "validation", "val", "test")


def find_images(root: Path, split: str) -> Source:
    """Images in `root/<split>/<class>/`, or in `root/<class>/` where there are no splits.

    A folder of `root` is a split if its name is `train`, `validation`, `val`, `test` or
    `split`, and it has folders but no images in it. Where there is none, `split` may be
    `"train"` or `"validation"`: about a tenth of the images of each class, always the same
    ones, are the validation split, see `validation_part.choose_validation_part`.

    Folders within the folder of a class belong to it. Classes are sorted by
    name; they are those of `root/train` for every split if there is one, else
    those of all splits. Images are told by the ends of their names, see
    `image_formats.SUFFIXES`, in capitals or not; .jxl, .jp2 and .psd, which are not
    taken, will be skipped. Other and hidden files are ignored.

    Args:
        root: Folder of the data set.
        split: Name of the split.

    Returns:
        A `Source`.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("train/cat/1.jpg", "train/dog/old/2.jpg", "train/dog/notes.txt"):
    ...     (root / name).parent.mkdir(parents=True, exist_ok=True)
    ...     (root / name).touch()
    >>> contents = find_images(root, "train").read()
    >>> contents.classes, [candidate.id for candidate in contents.candidates]
    (('cat', 'dog'), ['train/cat/1.jpg', 'train/dog/old/2.jpg'])
    """
    splits = [
        name for name in _list_folders(root) if name in (*_SPLITS, split) and _is_split(root / name)
    ]
    if splits:
        home, classes = _choose_split(root, split, splits)
    else:
        home, classes = _choose_part(root, split)
    if len(classes) < 2:
        raise ValueError(
            f"`data` must have a folder for each of at least two classes in {str(home)!r}. "
            f"Received: data={str(root)!r}, with {list(classes)}. Without such folders it needs a "
            "table labels.csv of files and labels, beside the images."
        )
    listing = _Listing(root)
    for label, name in enumerate(classes):
        if (home / name).is_dir():
            listing.add(home / name, label)
    if not splits:
        part = choose_validation_part(listing.paths, [(label,) for label in listing.labels])
        if listing.paths and split == "validation" and not part.any():
            raise ValueError(
                f"`data` must have a class of two images or more, one of them for validation. "
                f"Received: data={str(root)!r}, with {len(listing.paths)} images of "
                f"{len(classes)} classes: add images, or make folders train and validation."
            )
        listing.keep(part == (split == "validation"))
    if not listing.paths:
        raise ValueError(
            f"`data` must have images in split {split!r}, ending in {', '.join(sorted(SUFFIXES))}. "
            f"Received: data={str(root)!r}, with none in {str(home)!r} but files ending in "
            f"{', '.join(sorted(listing.ignored)) or 'nothing'}."
        )
    return Source(
        name=f"{root} {split}",
        files=tuple(str(root / path) for path in listing.paths),
        cache_key=("folder per class", str(root), split, *classes),
        dependencies=(),
        read=lambda: Contents(classes, False, len(listing.paths), listing.candidates()),
    )


def list_images(root: Path) -> list[str]:
    """Paths of the images in a folder and the folders in it, below that folder, with `/`.

    Those that are not taken are among them, hidden ones not.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("1.jpg", "notes.txt", ".2.jpg"):
    ...     (root / name).touch()
    >>> list_images(root)
    ['1.jpg']
    """
    listing = _Listing(root)
    listing.add(root, 0)
    return [path.removeprefix("./") for path in listing.paths]


class _Listing:
    """Paths below the root, and their class indices."""

    def __init__(self, root: Path):
        self.root = root
        self.paths: list[str] = []
        self.labels: list[int] = []
        self.ignored: set[str] = set()

    def add(self, folder: Path, label: int, parents: tuple[tuple[int, int], ...] = ()) -> None:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in parents:
            raise ValueError(
                f"`data` must have no link to a folder that it is in. Received: {str(folder)!r}."
            )
        parents = (*parents, (status.st_dev, status.st_ino))
        prefix = folder.relative_to(self.root).as_posix()
        for entry in _list_entries(folder):
            if entry.is_dir():
                self.add(folder / entry.name, label, parents)
            elif is_image_name(entry.name):
                self.paths.append(f"{prefix}/{entry.name}")
                self.labels.append(label)
            else:
                self.ignored.add(Path(entry.name).suffix.lower() or "no suffix")

    def keep(self, mask: np.ndarray) -> None:
        indices = np.flatnonzero(mask)
        self.paths = [self.paths[i] for i in indices]
        self.labels = [self.labels[i] for i in indices]

    def candidates(self) -> Iterator[Candidate]:
        for index, (path, label) in enumerate(zip(self.paths, self.labels, strict=True)):
            yield make_candidate(self.root, path, index, (label,))


def is_image_name(name: str) -> bool:
    """Whether a file is listed as an image by the end of its name, one that is skipped included.

    Example:

    >>> is_image_name("cat.JPG"), is_image_name("cat.heic"), is_image_name("cat.txt")
    (True, True, False)
    """
    return Path(name).suffix.lower() in SUFFIXES | UNUSABLE_SUFFIXES


def make_candidate(
    root: Path, path: str, file_index: int, labels: Any = (), objects: Any = None
) -> Candidate:
    """Makes the candidate of an image file, from its path below `root` and its index.

    Example:

    >>> make_candidate(Path("/nowhere"), "cat/1.jpg", 0).reason
    'cannot be read: No such file or directory'
    """
    length, reason = 0, None
    try:
        path.encode()
        length = (root / path).stat().st_size
    except UnicodeEncodeError:
        path = path.encode("utf-8", "backslashreplace").decode()
        reason = "has a name that is not UTF-8; rename it"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    return Candidate(path, (file_index, 0, length), labels, objects, reason=reason)


def _choose_split(root: Path, split: str, splits: list[str]) -> tuple[Path, tuple[str, ...]]:
    alias = {"validation": "val", "val": "validation"}.get(split)
    chosen = split if split in splits else alias
    if chosen not in splits:
        raise ValueError(
            f"`split` must be one of {', '.join(repr(name) for name in splits)}, the folders of "
            f"{str(root)!r}. Received: split={split!r}."
        )
    class_splits = ["train"] if "train" in splits else splits
    classes = sorted(
        {name for class_split in class_splits for name in _list_folders(root / class_split)}
    )
    unknown = sorted(set(_list_folders(root / chosen)) - set(classes))
    if unknown:
        raise ValueError(
            f"`data` must have no classes in split {split!r} that are not in 'train'. "
            f"Received: data={str(root)!r}, where {unknown} are."
        )
    return root / chosen, tuple(classes)


def _choose_part(root: Path, split: str) -> tuple[Path, tuple[str, ...]]:
    classes = tuple(_list_folders(root))
    if classes and set(classes) <= {*_SPLITS}:
        raise ValueError(
            f"`data` must have a folder per class within that of a split. Received: "
            f"data={str(root)!r}, where {list(classes)} have none."
        )
    if split not in ("train", "validation"):
        raise ValueError(
            f"`split` must be 'train' or 'validation', since {str(root)!r} has no folders of "
            f"splits and a tenth of each class is for validation. Received: split={split!r}."
        )
    return root, classes


def _is_split(folder: Path) -> bool:
    entries = _list_entries(folder)
    return any(entry.is_dir() for entry in entries) and not any(
        is_image_name(entry.name) for entry in entries
    )


def _list_folders(folder: Path) -> list[str]:
    return [entry.name for entry in _list_entries(folder) if entry.is_dir()]


def _list_entries(folder: Path) -> list[os.DirEntry]:
    # Knows which entries are folders without a `stat` for each of perhaps a million.
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(visible, key=lambda entry: entry.name)
