"""The images of a directory and their labels, by the rules of Keras."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras.data.csv_labels import LabeledFile, match_files
from spp_keras.data.image_formats import SUFFIXES
from spp_keras.data.label_tables import read_label_table


@dataclass(frozen=True)
class DirectoryIndex:
    """The images of a directory and their labels.

    Args:
        files: The images, in Keras' order.
        class_names: Names of the classes, or `None` without labels.
        multi_label: Whether an image may have any number of classes.
        splits: Names of the splits, where the labels say which image is in which.
    """

    files: tuple[LabeledFile, ...]
    class_names: list[str] | None
    multi_label: bool = False
    splits: tuple[str, ...] = ()


def index_directory(
    directory: str, labels: Any, class_names: Sequence[str] | None, follow_links: bool
) -> DirectoryIndex:
    """Lists the images of a directory, folder by folder, and their labels.

    Args:
        directory: Path of the directory.
        labels: `"inferred"` from the folders in it, `None`, class indices of the images in
            order, or the path of a CSV file, see `label_tables.read_label_table`.
        class_names: Folders to take, in the order of the classes. `None` for all, by name.
        follow_links: Whether to follow links to folders.

    Returns:
        A `DirectoryIndex`.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("cat/1.jpg", "dog/2.jpg", "dog/old/1.jpg"):
    ...     (root / name).parent.mkdir(exist_ok=True)
    ...     (root / name).touch()
    >>> index = index_directory(str(root), "inferred", None, False)
    >>> index.class_names, [(file.path, file.labels) for file in index.files][1:]
    (['cat', 'dog'], [('dog/2.jpg', (1,)), ('dog/old/1.jpg', (1,))])
    """
    if isinstance(labels, str) and labels == "inferred":
        names = _choose_folders(directory, class_names)
        files = [
            LabeledFile(path, (label,))
            for label, name in enumerate(names)
            for path in _walk(directory, name, follow_links)
        ]
        return DirectoryIndex(tuple(files), names)
    if class_names is not None:
        raise ValueError(
            "`class_names` must be None unless `labels` is 'inferred' from the names of folders. "
            f"Received: class_names={class_names!r} with labels={_describe(labels)}."
        )
    paths = _walk(directory, "", follow_links)
    if labels is None:
        return DirectoryIndex(tuple(LabeledFile(path, (0,)) for path in paths), None)
    if isinstance(labels, str | os.PathLike):
        return _index_by_table(Path(labels), paths)
    classes = _check_labels(labels, paths, directory)
    files = [LabeledFile(path, (int(label),)) for path, label in zip(paths, labels, strict=True)]
    return DirectoryIndex(tuple(files), [str(label) for label in range(classes)])


def _choose_folders(directory: str, class_names: Sequence[str] | None) -> list[str]:
    with os.scandir(directory) as entries:
        folders = sorted(
            entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")
        )
    unknown = [name for name in class_names or () if name not in folders]
    if unknown:
        raise ValueError(
            f"`class_names` must be names of folders in {directory!r}, such as {folders[:10]}. "
            f"Received: class_names={list(class_names or ())}, of which {unknown} are not there."
        )
    return folders if class_names is None else list(class_names)


def _walk(directory: str, folder: str, follow_links: bool) -> list[str]:
    """Paths of images below the directory, with `/`, in the order that Keras has them."""
    paths = []
    top = Path(directory, folder)
    for parent, folders, names in os.walk(top, followlinks=follow_links):
        folders[:] = [name for name in folders if not name.startswith(".")]
        prefix = os.path.relpath(parent, directory).replace(os.sep, "/")
        for name in sorted(names):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                paths.append((parent, name if prefix == "." else f"{prefix}/{name}"))
    # By folder alone, the files of each as they are.
    return [path for _, path in sorted(paths, key=lambda pair: pair[0])]


def _index_by_table(table_path: Path, paths: Sequence[str]) -> DirectoryIndex:
    if not table_path.is_file():
        raise ValueError(
            "`labels` must be 'inferred', None, a list of class indices or the path of a CSV "
            f"file. Received: labels={str(table_path)!r}, which is no file."
        )
    table = read_label_table(table_path)
    by_path = {file.path: file for file in match_files(table, paths)}
    files = [by_path.pop(path) for path in paths if path in by_path]
    if by_path:
        reasons = [f"{file.path} {file.reason}" for file in by_path.values()]
        more = f", and {len(reasons) - 5} more" if len(reasons) > 5 else ""
        warnings.warn(
            f"{len(reasons)} rows of {str(table_path)!r} are left out, since their images are not "
            f"there: {', '.join(reasons[:5])}{more}.",
            stacklevel=2,
        )
    return DirectoryIndex(tuple(files), list(table.classes), table.multi_label, table.splits)


def _check_labels(labels: Any, paths: Sequence[str], directory: str) -> int:
    """The number of classes of a list of labels."""
    rule = "`labels` must be 'inferred', None, the path of a CSV file or a list of class indices"
    if not isinstance(labels, list | tuple | np.ndarray):
        raise ValueError(f"{rule}. Received: labels={labels!r}.")
    if len(labels) != len(paths):
        raise ValueError(
            f"{rule}, one for each of the {len(paths)} images in {directory!r}, in the order of "
            f"their paths. Received: labels={_describe(labels)}."
        )
    values = np.asarray(labels)
    if values.ndim != 1 or (len(values) and not np.issubdtype(values.dtype, np.integer)):
        raise ValueError(f"{rule}, ints. Received: labels={_describe(labels)}.")
    distinct = np.unique(values)
    if not np.array_equal(distinct, np.arange(len(distinct))):
        raise ValueError(
            f"{rule}, from 0 to the number of classes - 1. "
            f"Received: labels with the values {distinct[:10].tolist()}."
        )
    return len(distinct)


def _describe(labels: Any) -> str:
    if isinstance(labels, list | tuple | np.ndarray):
        return f"[{', '.join(str(label) for label in labels[:5])}, ...] of length {len(labels)}"
    return repr(labels)
