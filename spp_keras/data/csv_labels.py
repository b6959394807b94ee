"""Images in a folder with a CSV file of their labels."""

import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spp_keras.data import folders
from spp_keras.data.label_tables import LabelTable, read_label_table
from spp_keras.data.sources import Candidate, Contents, Source
from spp_keras.data.validation_part import choose_validation_part

NAME = "labels.csv"
SUFFIXES = (".csv", ".tsv")


class LabeledFile(NamedTuple):
    """An image of a folder and its labels.

    Args:
        path: Path below the folder of the images, or what the row calls it if there is none.
        labels: Its class indices.
        split: Its split, or `None` where none is named.
        reason: Why the image cannot be used, if that is known already.
    """

    path: str
    labels: tuple[int, ...]
    split: str | None = None
    reason: str | None = None


def find_table(data: Path) -> Path | None:
    """The file with the labels of images: `data` itself, or `labels.csv` in the folder `data`.

    A folder that has such a file is read by it, whatever other folders are in it.

    Example:

    >>> find_table(Path("/nowhere")) is None
    True
    """
    if data.suffix.lower() in SUFFIXES and data.is_file():
        return data
    return data / NAME if (data / NAME).is_file() else None


def find_images(path: Path, split: str) -> Source:
    r"""Images in the folder of a CSV file, and in the folders within it.

    For the columns see `label_tables.read_label_table`. A row calls an image by its path below
    the folder, or by its name alone where one image has it; both with or without the suffix.

    Where there is no column `split`, `split` may be `"train"` or `"validation"`: about a tenth
    of the images of each class, see `validation_part.choose_validation_part`. Otherwise it is
    one of those in the column.

    A row without an image, and where images have one class each also one without a label, is
    listed as skipped. Images without a row are left out, with a warning.

    Args:
        path: The file.
        split: Name of the split.

    Returns:
        A `Source`, in the order of the rows.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("1.jpg", "2.jpg"):
    ...     (root / name).touch()
    >>> _ = (root / "labels.csv").write_text("file,label,split\n1,cat,train\n2.jpg,dog,val\n")
    >>> contents = find_images(root / "labels.csv", "validation").read()
    >>> contents.classes, [(image.id, image.labels) for image in contents.candidates]
    (('cat', 'dog'), [('2.jpg', (1,))])
    """
    table, root = read_label_table(path), path.parent
    files = match_files(table, folders.list_images(root))
    chosen = _choose_split(table, files, {"val": "validation"}.get(split, split))
    return Source(
        name=f"{path} {split}",
        files=tuple(str(root / file.path) for file in chosen),
        cache_key=("CSV", str(path), split),
        dependencies=(str(path),),
        read=lambda: Contents(
            table.classes, table.multi_label, len(chosen), make_candidates(root, chosen)
        ),
    )


def list_splits(path: Path) -> tuple[str, ...]:
    """Names of the splits in the column `split` of a CSV file; none without that column."""
    return read_label_table(path).splits


def match_files(table: LabelTable, paths: Sequence[str]) -> list[LabeledFile]:
    """Finds the image of each row of a table.

    Args:
        table: The table.
        paths: Paths of the images below the folder, with `/`.

    Returns:
        A list of `LabeledFile`s, in the order of the rows.
    """
    names = _Names(paths)
    files, lines = [], dict[str, int]()
    for row in table.rows:
        matches = names.find(row.file)
        if len(matches) > 1:
            raise ValueError(
                "`data` must name each image such that one has the name. Received: "
                f"{str(table.path)!r}, line {row.line}, where {row.file!r} may be "
                f"{' or '.join(map(repr, matches[:3]))}: write paths below the folder, with suffix."
            )
        path, reason = (matches or [row.file])[0], None
        if path in lines:
            raise ValueError(
                f"`data` must have one row for an image. Received: {str(table.path)!r}, line "
                f"{row.line}, which names {row.file!r} as line {lines[path]} does: remove one, "
                "and write several labels of an image into one cell, separated by |."
            )
        lines[path] = row.line
        if not matches:
            reason = f"is not there; line {row.line} of {table.path.name} names it"
        elif not row.labels and not table.multi_label:
            reason = f"has no label in line {row.line} of {table.path.name}"
        files.append(LabeledFile(path, row.labels, row.split, reason))
    _warn_about_others(table, [path for path in paths if path not in lines])
    return files


def make_candidates(root: Path, files: Sequence[LabeledFile]) -> Iterator[Candidate]:
    """Makes the candidates of images, from their folder."""
    for index, file in enumerate(files):
        candidate = folders.make_candidate(root, file.path, index, file.labels)
        yield candidate._replace(reason=file.reason or candidate.reason)


class _Names:
    """What rows may call images: paths and names, with and without their suffixes."""

    def __init__(self, paths: Sequence[str]):
        self._tiers: list[dict[str, list[str]]] = [defaultdict(list) for _ in range(4)]
        for path in paths:
            whole = _normalize(path)
            name = whole.rpartition("/")[2]
            forms = (whole, whole.rpartition(".")[0], name, name.rpartition(".")[0])
            for tier, form in zip(self._tiers, forms, strict=True):
                tier[form].append(path)

    def find(self, name: str) -> list[str]:
        """Paths of the images that are called so; by the whole path if one is."""
        name = _normalize(name)
        return next((tier[name] for tier in self._tiers if name in tier), [])


def _normalize(name: str) -> str:
    # Files on macOS have accents as letters of their own, tables mostly not.
    return unicodedata.normalize("NFC", name)


def _choose_split(table: LabelTable, files: list[LabeledFile], split: str) -> list[LabeledFile]:
    if table.splits:
        if split not in table.splits:
            raise ValueError(
                f"`split` must be one of {', '.join(map(repr, table.splits))}, those in column "
                f"'split' of {str(table.path)!r}. Received: split={split!r}."
            )
        return [file for file in files if file.split == split]
    if split not in ("train", "validation"):
        raise ValueError(
            f"`split` must be 'train' or 'validation', since {str(table.path)!r} has no column "
            f"'split' and a tenth of each class is for validation. Received: split={split!r}."
        )
    # Rows that are of no use are neither kept for validation nor do they hide.
    usable = [file.reason is None for file in files]
    part = np.zeros(len(files), bool)
    part[usable] = choose_validation_part(
        [file.path for file in files if file.reason is None],
        [file.labels for file in files if file.reason is None],
    )
    chosen = [file for file, held in zip(files, part, strict=True) if held == (split != "train")]
    if not chosen:
        raise ValueError(
            f"`data` must have a class of two images or more, one of them for validation. "
            f"Received: {str(table.path)!r} with {sum(usable)} images of {len(table.classes)} "
            "classes: add images, or a column 'split'."
        )
    return chosen


def _warn_about_others(table: LabelTable, paths: Sequence[str]) -> None:
    if paths:
        names = ", ".join(paths[:5]) + (", ..." if len(paths) > 5 else "")
        names = names.encode("utf-8", "backslashreplace").decode()
        warnings.warn(
            f"{len(paths)} images have no row in {str(table.path)!r} and are left out: {names}.",
            stacklevel=2,
        )
