"""A source of images and their labels, before the images are inspected."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Objects(NamedTuple):
    """The objects in one image.

    Args:
        boxes: `(n, 4)` float32, top, left, bottom and right edge as fractions of the image's
            height and width (`"rel_yxyx"`).
        labels: `(n,)` int32, class indices.
        difficult: `(n,)` bool, objects that do not count in an evaluation.
    """

    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray

    def classes(self) -> tuple[int, ...]:
        """Indices of the classes that have an object which is not difficult."""
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
    """An image that cannot be used, and why."""

    id: str
    reason: str


class Candidate(NamedTuple):
    """An image of a source, not inspected yet.

    Args:
        id: Name of the image.
        span: File index, offset and length of the encoded image.
        labels: Its class indices; one unless the source is multi-label.
        objects: Its objects, or `None` where the source has none.
        position: Index of the image within its file, for an id where names are not unique.
        reason: Why the image cannot be used, if that is known already.
        annotated_size: Height and width of the image by the annotation of its objects, or
            `None` if it has none.
    """

    id: str
    span: tuple[int, int, int]
    labels: tuple[int, ...] = ()
    objects: Objects | None = None
    position: int = 0
    reason: str | None = None
    annotated_size: tuple[float, float] | None = None


@dataclass(frozen=True)
class Contents:
    """The images of a split and their classes.

    Args:
        classes: Names of the classes.
        multi_label: Whether an image has any number of classes, not one.
        count: Number of candidates.
        candidates: The candidates, in a fixed order, made while they are iterated.
    """

    classes: tuple[str, ...]
    multi_label: bool
    count: int
    candidates: Iterable[Candidate]


@dataclass(frozen=True)
class Source:
    """A split of a data set on disk.

    Args:
        name: Name in messages.
        files: Image files or TFRecord shards; spans have indices into them.
        cache_key: Kind, folder and split, which tell the source apart from others.
        dependencies: Other files that the contents depend on, such as annotations.
        read: Reads the contents.
    """

    name: str
    files: tuple[str, ...]
    cache_key: tuple[str, ...]
    dependencies: tuple[str, ...]
    read: Callable[[], Contents]


def make_example_id(path: str, position: int) -> str:
    """The id that TensorFlow Datasets gives an example: its file and its index in the file.

    Example:

    >>> make_example_id("/data/mnist-train.tfrecord-00000-of-00001", 7)
    'mnist-train.tfrecord-00000-of-00001__7'
    """
    return f"{Path(path).name}__{position}"
