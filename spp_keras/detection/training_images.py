"""What a detector learns from: images with their objects and windows."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras.data import image_ops, image_reader, records
from spp_keras.data.sources import Objects
from spp_keras.detection import boxes


class TrainingImage(NamedTuple):
    """One image, or its mirror image.

    Args:
        id: Its name.
        number: Its number among the records.
        mirrored: Whether left is right.
        size: Height and width.
        objects: `(m, 4)` boxes of its objects.
        labels: `(m,)` numbers of their classes.
        windows: `(n, 4)` boxes to be looked at, of which the first m are those of
            the objects, where it is learned from.
    """

    id: str
    number: int
    mirrored: bool
    size: tuple[int, int]
    objects: np.ndarray
    labels: np.ndarray
    windows: np.ndarray


class TrainingImages:
    """The examples of a split, whose pixels are read when they are asked for.

    Args:
        found: The records, with objects.
        proposals: For each `(n, 4)` windows in pixels.
        learning: Whether the objects' own boxes are among the windows, and the
            mirror images are examples too. Defaults to `False`.
    """

    def __init__(
        self, found: records.Records, proposals: Sequence[np.ndarray], *, learning: bool = False
    ):
        if found.objects is None:
            raise ValueError(
                "`found` must have objects with boxes, as VOC and `shapes` have. "
                f"Received: {found.name}, which has none."
            )
        if len(proposals) != len(found):
            raise ValueError(
                f"`proposals` must be windows for each of the {len(found)} images. "
                f"Received: windows for {len(proposals)}."
            )
        self.classes, self.found = found.classes, found
        self._reader = image_reader.ImageReader(found.files, found.spans)
        self._all = [
            example
            for number, objects in enumerate(found.objects)
            for example in _examples(found, objects, number, proposals[number], learning)
        ]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number: int) -> TrainingImage:
        return self._all[number]

    def pixels(self, number: int) -> np.ndarray:
        """Pixels of an example, uint8 `(height, width, 3)`."""
        example = self._all[number]
        orientation = int(self.found.orientations[example.number])
        pixels = image_ops.decode_image(self._encoded(example), orientation).numpy()
        return pixels[:, ::-1] if example.mirrored else pixels

    def content(self, number: int) -> str:
        """Names what is in the image file, whatever the file's name is."""
        example = self._all[number]
        name = hashlib.sha256(self._encoded(example).numpy()).hexdigest()
        orientation = int(self.found.orientations[example.number])
        # Those of upright images keep the names that they always had.
        name += f"-orientation{orientation}" if orientation != 1 else ""
        return f"{name}-mirrored" if example.mirrored else name

    def _encoded(self, example: TrainingImage) -> tf.Tensor:
        return self._reader.read(self._reader.row(example.number))


def _examples(
    found: records.Records, objects: Objects, number: int, windows: np.ndarray, learning: bool
) -> list[TrainingImage]:
    height, width = (int(side) for side in found.sizes[number])
    known = boxes.object_boxes(objects, (height, width))
    windows = np.asarray(windows, "float32").reshape(-1, 4)
    if not np.isfinite(windows).all() or (windows[:, 2:] < windows[:, :2]).any():
        raise ValueError(
            "`proposals` must be finite, with left <= right and top <= bottom. "
            f"Received: others for the image {found.ids[number]!r}."
        )
    if learning:
        windows = np.concatenate([known, windows])
    plain = TrainingImage(
        str(found.ids[number]), number, False, (height, width), known, objects.labels, windows
    )
    if not learning:
        return [plain]
    mirrored = plain._replace(
        mirrored=True, objects=_mirrored(known, width), windows=_mirrored(windows, width)
    )
    return [plain, mirrored]


def _mirrored(some: np.ndarray, width: int) -> np.ndarray:
    return np.stack([width - some[:, 2], some[:, 1], width - some[:, 0], some[:, 3]], axis=1)
