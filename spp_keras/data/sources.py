"""What a source of images says about them, before anyone has looked inside."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Objects(NamedTuple):
    """The objects in one image.

    Args:
        boxes: `(n, 4)` float32, top, left, bottom and right edge as shares of
            the image's height and width (`"rel_yxyx"`).
        labels: `(n,)` int32, numbers of classes.
        difficult: `(n,)` bool, objects that do not count.
    """

    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray

    def classes(self) -> tuple[int, ...]:
        """Numbers of the classes that have an object which is not difficult."""
        return tuple(sorted({*self.labels[~self.difficult].tolist()}))

    def to_pixels(self, size: tuple[int, int]) -> np.ndarray:
        """Boxes `(n, 4)`, left, top, right and bottom in pixels, ends exclusive.

        Args:
            size: Height and width of the image.

        Example:

        >>> cat = Objects(np.array([[0.0, 0.25, 0.5, 1.0]]), np.array([0]), np.array([False]))
        >>> cat.to_pixels((100, 200)).tolist()
        [[50.0, 0.0, 200.0, 50.0]]
        """
        height, width = size
        pixels = np.asarray(self.boxes, "float32") * np.array([height, width] * 2, "float32")
        return pixels[:, [1, 0, 3, 2]]


class Skipped(NamedTuple):
    """An image that was found and cannot be used."""

    id: str
    reason: str


class Candidate(NamedTuple):
    """One image that was found.

    Args:
        id: Name of the image.
        span: Number of the file, offset and length of the encoded image.
        labels: Numbers of the classes that it has; one of them unless the
            source is multi-label.
        objects: Its objects, or `None` where the source knows of none.
        place: Number of the image within its file, for an id where names
            are not unique.
        reason: Why it cannot be used, if that is known already.
        frame: Height and width of the image by the annotation that has its objects, or
            `None` if it names none.
    """

    id: str
    span: tuple[int, int, int]
    labels: tuple[int, ...] = ()
    objects: Objects | None = None
    place: int = 0
    reason: str | None = None
    frame: tuple[float, float] | None = None


@dataclass(frozen=True)
class Contents:
    """Everything in a split of a source.

    Args:
        classes: Names of the classes.
        multi_label: Whether an image has any number of classes, not one.
        count: Number of candidates.
        candidates: The candidates, in a fixed order, made as they are asked for.
    """

    classes: tuple[str, ...]
    multi_label: bool
    count: int
    candidates: Iterable[Candidate]


@dataclass(frozen=True)
class Source:
    """A split of a data set on disk.

    Args:
        name: What to call it in messages.
        files: Image files or TFRecord shards, which the spans number.
        cache_key: What makes it this source, besides the files: kind, folder, split.
        dependencies: Files besides `files` that the contents depend on.
        read: Reads the contents.
    """

    name: str
    files: tuple[str, ...]
    cache_key: tuple[str, ...]
    dependencies: tuple[str, ...]
    read: Callable[[], Contents]


def make_example_id(path: str, place: int) -> str:
    """What TensorFlow Datasets calls an example: its file and its number therein.

    Example:

    >>> make_example_id("/data/mnist-train.tfrecord-00000-of-00001", 7)
    'mnist-train.tfrecord-00000-of-00001__7'
    """
    return f"{Path(path).name}__{place}"
