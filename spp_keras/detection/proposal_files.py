"""Files of proposals: JSON Lines, and the MATLAB files published for R-CNN."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from spp_keras import _extras, _files
from spp_keras.data.records import Records

_LINE = '{"id": "2007/000005", "boxes": [[left, top, right, bottom], ...]}'


def read_proposals(path: str | Path, records: Records) -> list[np.ndarray]:
    """Reads the proposals of images from a file of JSON Lines or MATLAB.

    A line of JSON has an image's id and its boxes, left, top, right and bottom in pixels,
    ends exclusive: `{"id": "cat/1.png", "boxes": [[0, 0, 20, 30]]}`. A `.mat` file is as
    published for R-CNN: cell arrays `images`, file names without their suffixes, and
    `boxes`, top, left, bottom and right, where the first pixel is 1 and ends are inclusive.
    Proposals of other images are ignored.

    Args:
        path: Path of the file; the suffix `.mat` tells MATLAB files.
        records: The images.

    Returns:
        For each image float32 `(n, 4)`, left, top, right and bottom in pixels, ends
        exclusive, clipped to the image, in the order of the file.

    Example:

    >>> import tempfile
    >>> from spp_keras.data.records import load_records
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("cat", "dog"):
    ...     (root / "train" / name).mkdir(parents=True)
    ...     image = np.full((20, 30, 3), 255, "uint8")
    ...     keras.utils.save_img(root / "train" / name / "1.png", image)
    >>> records = load_records(root, "train")
    >>> boxes = [np.array([[5, 5, 40, 15]]), np.zeros((0, 4))]
    >>> write_proposals(root / "proposals.jsonl", records.ids, boxes)
    >>> [boxes.tolist() for boxes in read_proposals(root / "proposals.jsonl", records)]
    [[[5.0, 5.0, 30.0, 15.0]], []]
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"`path` must be an existing file. Received: path={str(path)!r}.")
    ids = records.ids.tolist()
    if path.suffix == ".mat":
        indices, entries = _index_by_stem(records), _read_matlab(path)
    else:
        indices, entries = {id: i for i, id in enumerate(ids)}, _read_json(path)
    boxes: list[np.ndarray | None] = [None] * len(records)
    unknown: list[str] = []
    for place, name, value in entries:
        index = indices.get(name)
        if index is None:
            unknown.append(name)
            continue
        where = f"{path}, {place}, image {name!r}"
        if boxes[index] is not None:
            raise ValueError(f"`path` must have an image once. Received: {where}, once more.")
        boxes[index] = _clip_boxes(value, records.sizes[index].tolist(), where)
    missing = [id for id, array in zip(ids, boxes, strict=True) if array is None]
    if missing:
        _raise_missing(path, records, missing, unknown)
    return [array for array in boxes if array is not None]


def write_proposals(path: str | Path, ids: Sequence[str], boxes: Sequence[np.ndarray]) -> None:
    """Writes proposals as JSON Lines, for `read_proposals`.

    Args:
        path: Path of the file to write or replace.
        ids: Id of each image.
        boxes: Proposals of each image, `(n, 4)`, left, top, right and bottom in pixels,
            ends exclusive.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "proposals.jsonl"
    >>> write_proposals(path, ["cat/1.png"], [np.array([[0, 0, 20, 30]])])
    >>> print(path.read_text().strip())
    {"id": "cat/1.png", "boxes": [[0, 0, 20, 30]]}
    """
    if Path(path).suffix == ".mat":
        raise ValueError(f"`path` must not end with .mat, for JSON. Received: path={str(path)!r}.")
    ids = [str(id) for id in ids]
    if len(ids) != len(boxes) or len(set(ids)) < len(ids):
        raise ValueError(
            f"`ids` must be as many as `boxes`, and none twice. Received: {len(ids)} ids, "
            f"{len(set(ids))} of them different, and boxes of {len(boxes)} images."
        )
    with _files.replace_file(path) as beside, beside.open("w", encoding="utf-8") as file:
        for id, value in zip(ids, boxes, strict=True):
            _check_boxes(value, f"boxes of image {id!r}")
            # Integers stay integers, which halves the file.
            rows = np.asarray(value).tolist() if np.size(value) else []
            file.write(json.dumps({"id": id, "boxes": rows}) + "\n")


def _read_json(path: Path) -> Iterator[tuple[str, str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}, where line {number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(
                    f"`path` must have a line of JSON for each image, such as {_LINE}. "
                    f"Received: {where} is cut short or no JSON: {error}."
                ) from None
            if (
                not isinstance(row, dict)
                or not isinstance(row.get("id"), str)
                or "boxes" not in row
            ):
                raise ValueError(
                    f"`path` must have a line for each image with its id and its boxes, such as "
                    f"{_LINE}. Received: {where} is {line[:80].decode(errors='replace').strip()}"
                )
            yield f"line {number}", row["id"], row["boxes"]


def _read_matlab(path: Path) -> Iterator[tuple[str, str, Any]]:
    io = _extras.import_package("scipy.io", "detection", "A MATLAB file")
    try:
        content = io.loadmat(path, variable_names=("images", "boxes"))
    # SciPy raises all kinds of errors for damaged files.
    except Exception as error:
        raise ValueError(
            f"`path` must be a file that MATLAB wrote with -v7 or older. Received: {path}, "
            f"which cannot be read: {error}"
        ) from error
    names, boxes = (content.get(name, np.zeros(0)).ravel() for name in ("images", "boxes"))
    if names.dtype != object or boxes.dtype != object or len(names) != len(boxes):
        raise ValueError(
            f"`path` must have two cell arrays, `images` and `boxes`, of the same length. "
            f"Received: {path}, with {len(names)} images and {len(boxes)} boxes of types "
            f"{names.dtype} and {boxes.dtype}."
        )
    for number, (name, value) in enumerate(zip(names, boxes, strict=True), start=1):
        # An empty cell is a matrix without columns.
        if isinstance(value, np.ndarray) and value.size and value.shape[1:] == (4,):
            value = value[:, [1, 0, 3, 2]] - (1, 1, 0, 0)
        yield f"cell {number}", str(np.asarray(name).item()) if np.size(name) == 1 else "", value


def _index_by_stem(records: Records) -> dict[str, int]:
    indices: dict[str, int] = {}
    for index, id in enumerate(records.ids.tolist()):
        stem = PurePosixPath(id).stem
        if stem in indices:
            raise ValueError(
                f"`records` must have no two files of the same name with proposals from MATLAB, "
                f"which have no folders. Received: {records.name}, with "
                f"{str(records.ids[indices[stem]])!r} and {id!r}. Write the proposals as JSON."
            )
        indices[stem] = index
    return indices


def _clip_boxes(value: Any, size: tuple[int, int], where: str) -> np.ndarray:
    boxes = _check_boxes(value, where)
    height, width = size
    clipped = np.clip(boxes, 0, np.array([width, height] * 2))
    outside = np.any(clipped[:, 2:] <= clipped[:, :2], axis=1)
    _check_none(outside, boxes, f"overlap its image of {height}x{width} pixels", where)
    return clipped.astype(np.float32)


def _check_boxes(value: Any, where: str) -> np.ndarray:
    """Boxes as float64 `(n, 4)`; raises a `ValueError` for anything else."""
    try:
        boxes = np.asarray(value)
        is_numeric = boxes.size == 0 or (boxes.dtype.kind in "iuf" and boxes.shape[1:] == (4,))
    # Rows of different lengths.
    except ValueError:
        is_numeric = False
    if not is_numeric or isinstance(value, str | dict):
        raise ValueError(
            f"Boxes must be lists of four numbers, left, top, right and bottom in pixels. "
            f"Received: {where}, which has others. Pass [] for an image without proposals."
        )
    boxes = boxes.astype(np.float64).reshape(-1, 4)
    _check_none(~np.isfinite(boxes).all(axis=1), boxes, "be finite", where)
    inverted = np.any(boxes[:, 2:] <= boxes[:, :2], axis=1)
    _check_none(inverted, boxes, "have left < right and top < bottom", where)
    return boxes


def _check_none(invalid: Any, boxes: np.ndarray, rule: str, where: str) -> None:
    if invalid.any():
        first = int(np.argmax(invalid))
        raise ValueError(
            f"Boxes must {rule}, as left, top, right and bottom. Received: {where}, where box "
            f"{first} is {boxes[first].tolist()}, and {int(invalid.sum())} of {len(boxes)} are "
            f"wrong. Leave them out, or correct the program that wrote them."
        )


def _raise_missing(path: Path, records: Records, missing: list[str], unknown: list[str]) -> None:
    others = f" It has {len(unknown)} of other images"
    others += f", such as {unknown[0]!r}." if unknown else "."
    raise ValueError(
        f"`path` must have a line or a cell for each image, be it empty. Received: {path}, "
        f"without {len(missing)} of the {len(records)} images of {records.name}, such as "
        f"{missing[0]!r}.{others} Write one for each of them."
    )
