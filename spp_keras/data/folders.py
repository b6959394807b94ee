"""A folder per class, as images usually lie on a disk."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spp_keras.data.image_formats import SUFFIXES
from spp_keras.data.sources import Candidate, Contents, Source

# Images too: they are listed as skipped, not ignored without a word.
_UNUSABLE_SUFFIXES = frozenset((".tif", ".tiff", ".avif", ".heic", ".heif", ".jxl", ".jp2", ".psd"))
VALIDATION_FRACTION = 0.1
_SPLITS = ("train", "validation", "val", "test")


def find_images(root: Path, split: str) -> Source:
    """Images in `root/<split>/<class>/`, or in `root/<class>/` where there are no splits.

    A folder of `root` is a split if it is called `train`, `validation`, `val`
    or `test`, or as asked for, and has folders but no images in it. Where there
    is none, `split` may be `"train"` or `"validation"`: about a tenth of the
    images, always the same ones, are held back for validation, by the hash
    of their path below `root`.

    Folders within the folder of a class belong to it. Classes are sorted by
    name; they are those of `root/train` for every split if there is one, else
    those of all splits. Images end in .jpg, .jpeg, .jpe, .jfif, .png, .gif,
    .bmp or .webp, in capitals or not; .tif, .avif, .heic and other images that
    are not taken will be skipped. Other and hidden files are ignored.

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
        name for name in _folders(root) if name in (*_SPLITS, split) and _is_split(root / name)
    ]
    if splits:
        home, classes = _in_splits(root, split, splits)
    else:
        home, classes = _without_splits(root, split)
    if len(classes) < 2:
        raise ValueError(
            f"`data` must have a folder for each of at least two classes in {str(home)!r}. "
            f"Received: data={str(root)!r}, with {list(classes)}."
        )
    listing = _Listing(root)
    for number, name in enumerate(classes):
        if (home / name).is_dir():
            listing.add(home / name, number)
    if not splits:
        listing.keep(lambda path: (_share(path) < VALIDATION_FRACTION) == (split == "validation"))
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


class _Listing:
    """Paths below the root, each with the number of its class."""

    def __init__(self, root: Path):
        self.root = root
        self.paths: list[str] = []
        self.labels: list[int] = []
        self.ignored: set[str] = set()

    def add(self, folder: Path, label: int, above: tuple[tuple[int, int], ...] = ()) -> None:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in above:
            raise ValueError(
                f"`data` must have no link to a folder that it is in. Received: {str(folder)!r}."
            )
        above = (*above, (status.st_dev, status.st_ino))
        below = folder.relative_to(self.root).as_posix()
        for entry in _visible(folder):
            suffix = Path(entry.name).suffix.lower()
            if entry.is_dir():
                self.add(folder / entry.name, label, above)
            elif suffix in SUFFIXES or suffix in _UNUSABLE_SUFFIXES:
                self.paths.append(f"{below}/{entry.name}")
                self.labels.append(label)
            else:
                self.ignored.add(suffix or "no suffix")

    def keep(self, rule: Any) -> None:
        kept = [i for i, path in enumerate(self.paths) if rule(path)]
        self.paths = [self.paths[i] for i in kept]
        self.labels = [self.labels[i] for i in kept]

    def candidates(self) -> Iterator[Candidate]:
        for number, (path, label) in enumerate(zip(self.paths, self.labels, strict=True)):
            yield make_candidate(self.root, path, number, (label,))


def make_candidate(
    root: Path, path: str, number: int, labels: Any = (), objects: Any = None
) -> Candidate:
    """A whole file as a candidate, by its path below `root` and its number.

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
    return Candidate(path, (number, 0, length), labels, objects, reason=reason)


def _in_splits(root: Path, split: str, splits: list[str]) -> tuple[Path, tuple[str, ...]]:
    alias = {"validation": "val", "val": "validation"}.get(split)
    chosen = split if split in splits else alias
    if chosen not in splits:
        raise ValueError(
            f"`split` must be one of {', '.join(repr(name) for name in splits)}, the folders of "
            f"{str(root)!r}. Received: split={split!r}."
        )
    deciding = ["train"] if "train" in splits else splits
    classes = sorted({name for each in deciding for name in _folders(root / each)})
    unknown = sorted(set(_folders(root / chosen)) - set(classes))
    if unknown:
        raise ValueError(
            f"`data` must have no classes in split {split!r} that are not in 'train'. "
            f"Received: data={str(root)!r}, where {unknown} are."
        )
    return root / chosen, tuple(classes)


def _without_splits(root: Path, split: str) -> tuple[Path, tuple[str, ...]]:
    classes = tuple(_folders(root))
    if classes and set(classes) <= {*_SPLITS}:
        raise ValueError(
            f"`data` must have a folder per class within that of a split. Received: "
            f"data={str(root)!r}, where {list(classes)} have none."
        )
    if split not in ("train", "validation"):
        raise ValueError(
            f"`split` must be 'train' or 'validation', since {str(root)!r} has no folders of "
            f"splits and so a tenth is held back for validation. Received: split={split!r}."
        )
    return root, classes


def _is_split(folder: Path) -> bool:
    entries = _visible(folder)
    return any(entry.is_dir() for entry in entries) and not any(
        Path(entry.name).suffix.lower() in SUFFIXES | _UNUSABLE_SUFFIXES for entry in entries
    )


def _folders(folder: Path) -> list[str]:
    return [entry.name for entry in _visible(folder) if entry.is_dir()]


def _visible(folder: Path) -> list[os.DirEntry]:
    # Says which entries are folders without asking about each, of which there may be a million.
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(shown, key=lambda entry: entry.name)


def _share(path: str) -> float:
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) / 2**64
