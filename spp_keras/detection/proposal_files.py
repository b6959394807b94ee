"""Proposals that somebody else made, from a file, and files of ours for others."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from spp_keras import _extras, _files
from spp_keras.data import records

_LINE = '{"id": "2007/000005", "boxes": [[left, top, right, bottom], ...]}'


def read_proposals(path: str | Path, found: records.Records) -> list[np.ndarray]:
    """Proposals for each image, from a file of JSON Lines or one of MATLAB's.

    A line of JSON has an image's id and its boxes, left, top, right and bottom in
    pixels, ends exclusive: `{"id": "cat/1.png", "boxes": [[0, 0, 20, 30]]}`. A
    `.mat` file is as published for R-CNN: cell arrays `images`, names of files
    without their endings, and `boxes`, top, left, bottom and right, the first
    pixel being 1 and ends inclusive. What is there of other images is left out.

    Args:
        path: Path of the file; `.mat` at its end tells the second form.
        found: The images.

    Returns:
        For each image float32 `(n, 4)`, left, top, right and bottom in pixels, ends
        exclusive, cut off at the edges of the image, in the order of the file.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("cat", "dog"):
    ...     (root / "train" / name).mkdir(parents=True)
    ...     image = np.full((20, 30, 3), 255, "uint8")
    ...     keras.utils.save_img(root / "train" / name / "1.png", image)
    >>> found = records.load(root, "train")
    >>> boxes = [np.array([[5, 5, 40, 15]]), np.zeros((0, 4))]
    >>> write_proposals(root / "proposals.jsonl", found.ids, boxes)
    >>> [each.tolist() for each in read_proposals(root / "proposals.jsonl", found)]
    [[[5.0, 5.0, 30.0, 15.0]], []]
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"`path` must be an existing file. Received: path={str(path)!r}.")
    of_matlab = path.suffix == ".mat"
    numbers = _by_stem(found) if of_matlab else {id: i for i, id in enumerate(found.ids.tolist())}
    boxes: list[np.ndarray | None] = [None] * len(found)
    strangers: list[str] = []
    for place, name, listed in (_of_matlab if of_matlab else _of_json)(path):
        i = numbers.get(name)
        if i is None:
            strangers.append(name)
            continue
        where = f"{path}, {place}, image {name!r}"
        if boxes[i] is not None:
            raise ValueError(f"`path` must have an image once. Received: {where}, once more.")
        boxes[i] = _clipped(listed, found.sizes[i].tolist(), where)
    _check_missing(path, found, boxes, strangers)
    return [each for each in boxes if each is not None]


def write_proposals(path: str | Path, ids: Sequence[str], boxes: Sequence[np.ndarray]) -> None:
    """Writes proposals as JSON Lines, as `read_proposals` takes them.

    Args:
        path: Path of the file to write or replace.
        ids: An id for each image.
        boxes: For each image `(n, 4)`, left, top, right and bottom in pixels, ends
            exclusive.

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
        for id, each in zip(ids, boxes, strict=True):
            checked = _checked(each, f"boxes of image {id!r}")
            # As given: whole numbers stay whole, which halves the file.
            listed = np.asarray(each).tolist() if len(checked) else []
            file.write(json.dumps({"id": id, "boxes": listed}) + "\n")


def _of_json(path: Path) -> Iterator[tuple[str, str, Any]]:
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


def _of_matlab(path: Path) -> Iterator[tuple[str, str, Any]]:
    try:
        from scipy import io
    except ImportError as error:
        raise ImportError(
            f"MATLAB's files need SciPy. Run `{_extras.install_line('detection')}`."
        ) from error
    try:
        content = io.loadmat(path, variable_names=("images", "boxes"))
    # Damaged bytes raise whatever they happen to hit.
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
    for number, (name, listed) in enumerate(zip(names, boxes, strict=True), start=1):
        # An empty cell is a matrix of no columns.
        if isinstance(listed, np.ndarray) and listed.size and listed.shape[1:] == (4,):
            listed = listed[:, [1, 0, 3, 2]] - (1, 1, 0, 0)
        yield f"cell {number}", str(np.asarray(name).item()) if np.size(name) == 1 else "", listed


def _by_stem(found: records.Records) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for i, id in enumerate(found.ids.tolist()):
        stem = PurePosixPath(id).stem
        if stem in numbers:
            raise ValueError(
                f"`found` must have no two files of the same name with proposals of MATLAB's, "
                f"which have no folders. Received: {found.name}, with "
                f"{str(found.ids[numbers[stem]])!r} and {id!r}. Write the proposals as JSON."
            )
        numbers[stem] = i
    return numbers


def _clipped(listed: Any, size: tuple[int, int], where: str) -> np.ndarray:
    boxes = _checked(listed, where)
    height, width = size
    clipped = np.clip(boxes, 0, np.array([width, height] * 2))
    outside = np.any(clipped[:, 2:] <= clipped[:, :2], axis=1)
    _check_none(outside, boxes, f"overlap its image of {height}x{width} pixels", where)
    return clipped.astype(np.float32)


def _checked(listed: Any, where: str) -> np.ndarray:
    try:
        boxes = np.asarray(listed)
        numeric = boxes.size == 0 or (boxes.dtype.kind in "iuf" and boxes.shape[1:] == (4,))
    # Rows of different lengths.
    except ValueError:
        numeric = False
    if not numeric or isinstance(listed, str | dict):
        raise ValueError(
            f"Boxes must be lists of four numbers, left, top, right and bottom in pixels. "
            f"Received: {where}, which has others. Pass [] for an image without proposals."
        )
    boxes = boxes.astype(np.float64).reshape(-1, 4)
    _check_none(~np.isfinite(boxes).all(axis=1), boxes, "be finite", where)
    inverted = np.any(boxes[:, 2:] <= boxes[:, :2], axis=1)
    _check_none(inverted, boxes, "have left < right and top < bottom", where)
    return boxes


def _check_none(bad: Any, boxes: np.ndarray, rule: str, where: str) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"Boxes must {rule}, as left, top, right and bottom. Received: {where}, where box "
            f"{first} is {boxes[first].tolist()}, and {int(bad.sum())} of {len(boxes)} are "
            f"wrong. Leave them out, or mend what wrote them."
        )


def _check_missing(path: Path, found: Any, boxes: list, strangers: list[str]) -> None:
    missing = [id for id, each in zip(found.ids.tolist(), boxes, strict=True) if each is None]
    if not missing:
        return
    others = f" It has {len(strangers)} of other images"
    others += f", such as {strangers[0]!r}." if strangers else "."
    raise ValueError(
        f"`path` must have a line or a cell for each image, be it empty. Received: {path}, "
        f"without {len(missing)} of the {len(found)} images of {found.name}, such as "
        f"{missing[0]!r}.{others} Write one for each of them."
    )
