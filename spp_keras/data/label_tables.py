"""Tables of image files and their labels: CSV files, as people and programs write them."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from spp_keras.data.image_formats import SUFFIXES

# Names of columns, of which a table may have several: the first of these counts.
FILE_COLUMNS = (
    *("file", "filename", "file_name", "filepath", "file_path", "path"),
    *("image", "image_file", "image_name", "image_path", "img", "image_id", "id", "id_code"),
    "name",
)
LABEL_COLUMNS = (
    *("label", "labels", "class", "classes", "class_name", "category", "categories"),
    *("target", "targets", "tag", "tags"),
)
_SPLIT_ALIASES = {"training": "train", "val": "validation", "valid": "validation"}
_TRUTH = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
_SEPARATORS = "|;"


class Row(NamedTuple):
    """A row of a table.

    Args:
        line: Number of its line in the file, from 1 on.
        file: What it calls the image, with `/` between folders.
        labels: Class indices; none where the table has no label for the image.
        split: Name of its split, or `None` where the table has no such column.
    """

    line: int
    file: str
    labels: tuple[int, ...]
    split: str | None


@dataclass(frozen=True)
class LabelTable:
    """A table of image files and their labels.

    Args:
        path: Its file.
        classes: Names of the classes.
        multi_label: Whether an image may have any number of classes.
        rows: Its rows, in their order.
    """

    path: Path
    classes: tuple[str, ...]
    multi_label: bool
    rows: tuple[Row, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits in the order of their first rows; none without such a column."""
        return tuple(dict.fromkeys(row.split for row in self.rows if row.split is not None))


def read_label_table(path: Path) -> LabelTable:
    r"""Reads a table of images and labels from a CSV file.

    The first line names the columns, in capitals or not: one with the image files, see
    `FILE_COLUMNS`; the labels; and perhaps `split`. Labels are in one column, see
    `LABEL_COLUMNS`, or the only one besides; or in several columns, one for each class, of 0 and 1.
    Several columns, and several labels in a cell, separated by `|` or `;`, make the set
    multi-label. Where there is a column of labels, others are ignored.

    The text is UTF-8, with or without a byte order mark; cells are separated by commas,
    semicolons or tabs, whichever the first line has most of. Classes are the columns in their
    order, or the labels sorted by name, by number where all are whole numbers. `val` and
    `valid` are the split `validation`.

    Args:
        path: The file.

    Returns:
        A `LabelTable`.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.csv"
    >>> _ = path.write_text("File;Label\n1.jpg;cat\n2.jpg;dog\n")
    >>> table = read_label_table(path)
    >>> table.classes, [(row.line, row.file, row.labels) for row in table.rows]
    (('cat', 'dog'), [(2, '1.jpg', (0,)), (3, '2.jpg', (1,))])
    """
    lines = _read_lines(path)
    _, header = next(lines)
    names = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in header]
    file_column = _find_file_column(path, header, names)
    split_column = names.index("split") if "split" in names else None
    columns = _find_label_columns(path, names, {file_column, split_column})
    rows = list(lines)
    if not rows:
        raise ValueError(f"`data` must be a table with rows. Received: {str(path)!r}, without any.")
    cells = [[row[column] for column in columns] for _, row in rows]
    if len(columns) > 1:
        classes = [header[column].strip() for column in columns]
        labels = [
            _read_marks(path, line, marks, classes)
            for (line, _), marks in zip(rows, cells, strict=True)
        ]
        multi_label = True
    else:
        classes, labels, multi_label = _read_labels([cell[0] for cell in cells])
    if len(set(classes)) < len(classes) or "" in classes:
        raise ValueError(
            "`data` must be a table whose columns of classes have different names. "
            f"Received: {str(path)!r}, with {classes}."
        )
    if len(classes) < 2:
        raise ValueError(
            f"`data` must have labels of at least two classes. Received: {str(path)!r}, with "
            f"{classes} in column {header[columns[0]]!r}."
        )
    return LabelTable(
        path,
        tuple(classes),
        multi_label,
        tuple(
            Row(line, _read_file(path, line, row[file_column]), own, split)
            for (line, row), own, split in zip(
                rows, labels, _read_splits(path, rows, split_column), strict=True
            )
        ),
    )


def _read_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that has any, and its number."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"`data` must be a table in UTF-8. Received: {str(path)!r}, whose line {line} is not: "
            "save it as 'CSV UTF-8'."
        ) from error
    first = next((line for line in io.StringIO(text) if line.strip()), None)
    if first is None:
        raise ValueError(f"`data` must be a table. Received: {str(path)!r}, which is empty.")
    delimiter = max(",;\t", key=lambda mark: len(next(csv.reader([first], delimiter=mark))))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    width = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            width = width or len(row)
            if len(row) != width:
                raise ValueError(
                    f"`data` must be a table with as many cells in each line as in the first, "
                    f"{width}. Received: {str(path)!r}, line {reader.line_num} with {len(row)}: "
                    f"{delimiter.join(row)!r}. Cells with {delimiter!r} in them need quotes."
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(
            f"`data` must be a CSV file. Received: {str(path)!r}, line {reader.line_num}: {error}."
        ) from error


def _find_file_column(path: Path, header: Sequence[str], names: Sequence[str]) -> int:
    column = next((names.index(name) for name in FILE_COLUMNS if name in names), None)
    if column is not None:
        return column
    is_row = any(Path(cell.strip()).suffix.lower() in SUFFIXES for cell in header)
    fault = "begins with an image" if is_row else "has none of them"
    raise ValueError(
        "`data` must be a table whose first line names its columns, such as file,label. That of "
        f"the images may be {', '.join(FILE_COLUMNS)}. Received: {str(path)!r}, whose first line "
        f"{fault}: {list(header)}."
    )


def _find_label_columns(path: Path, names: Sequence[str], others: set[int | None]) -> list[int]:
    for name in LABEL_COLUMNS:
        if name in names and names.index(name) not in others:
            return [names.index(name)]
    # pandas writes the numbers of rows into a column without a name.
    rest = [i for i, name in enumerate(names) if i not in others and name not in ("", "unnamed:_0")]
    if not rest:
        raise ValueError(
            "`data` must be a table with a column of labels, such as label, or with one for each "
            f"class. Received: {str(path)!r}, with the columns {list(names)}."
        )
    return rest


def _read_marks(path: Path, line: int, cells: Sequence[str], classes: list[str]) -> tuple[int, ...]:
    """Indices of the columns that have a 1."""
    for cell, name in zip(cells, classes, strict=True):
        if cell.strip().lower() not in _TRUTH:
            raise ValueError(
                f"`data` must have one column of labels, named {', '.join(LABEL_COLUMNS)}, or "
                f"columns of 0 and 1 for the classes. Received: {str(path)!r}, line {line}, with "
                f"{cell!r} in column {name!r}."
            )
    return tuple(i for i, cell in enumerate(cells) if _TRUTH[cell.strip().lower()])


def _read_labels(cells: Sequence[str]) -> tuple[list[str], list[tuple[int, ...]], bool]:
    """Classes, class indices of each cell, and whether a cell may have several."""
    multi_label = any(mark in cell for cell in cells for mark in _SEPARATORS)
    named = [
        [label for part in re.split(f"[{_SEPARATORS}]", cell) if (label := part.strip())]
        for cell in cells
    ]
    classes = sorted({label for labels in named for label in labels})
    if all(re.fullmatch("-?[0-9]+", label) for label in classes):
        classes.sort(key=lambda label: (int(label), label))
    indices = {label: index for index, label in enumerate(classes)}
    return classes, [tuple(sorted({indices[x] for x in labels})) for labels in named], multi_label


def _read_file(path: Path, line: int, cell: str) -> str:
    name = cell.strip().replace("\\", "/")
    while name.startswith("./"):
        name = name[2:]
    if not name:
        raise ValueError(
            f"`data` must name an image in each row. Received: {str(path)!r}, line {line} "
            "without any."
        )
    return name


def _read_splits(
    path: Path, rows: Sequence[tuple[int, list[str]]], column: int | None
) -> Iterator[str | None]:
    for line, row in rows:
        split = None if column is None else row[column].strip().lower()
        if split == "":
            raise ValueError(
                "`data` must name a split in each row, or have no column 'split'. "
                f"Received: {str(path)!r}, line {line} without any."
            )
        yield None if split is None else _SPLIT_ALIASES.get(split, split)
