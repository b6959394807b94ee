"""Images with ground truth and RoIs, as detectors are trained and evaluated on them."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras.data import image_ops, image_reader
from spp_keras.data.records import Records
from spp_keras.data.sources import Objects


class TrainingImage(NamedTuple):
    """Boxes of one image, or of its mirror image.

    Args:
        id: Id of the image's record.
        record_index: Index of the record.
        flipped: Whether this is the mirror image.
        size: Height and width.
        gt_boxes: `(m, 4)`, the ground truth in pixels.
        gt_classes: `(m,)`, class indices.
        rois: `(n, 4)`, boxes to be classified. For training the first m are the ground truth.
    """

    id: str
    record_index: int
    flipped: bool
    size: tuple[int, int]
    gt_boxes: np.ndarray
    gt_classes: np.ndarray
    rois: np.ndarray


class TrainingImages:
    """The images of a split, whose pixels are read on demand.

    Args:
        records: The records, with objects.
        proposals: Proposals of each image, `(n, 4)` in pixels.
        training: Whether to add the ground truth to the RoIs and the mirror image of each
            image. Defaults to `False`.
    """

    def __init__(
        self, records: Records, proposals: Sequence[np.ndarray], *, training: bool = False
    ):
        if records.objects is None:
            raise ValueError(
                "`records` must have objects with boxes, as VOC and `shapes` have. "
                f"Received: {records.name}, which has none."
            )
        if len(proposals) != len(records):
            raise ValueError(
                f"`proposals` must have boxes for each of the {len(records)} images. "
                f"Received: boxes for {len(proposals)}."
            )
        self.classes, self.records = records.classes, records
        self._reader = image_reader.ImageReader(records.files, records.spans)
        self._images = [
            image
            for index, objects in enumerate(records.objects)
            for image in _create_images(records, objects, index, proposals[index], training)
        ]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> TrainingImage:
        return self._images[index]

    def list_unflipped(self) -> list[int]:
        """Indices of all but the mirror images."""
        return [index for index, image in enumerate(self._images) if not image.flipped]

    def read_pixels(self, index: int) -> np.ndarray:
        """Pixels of an image, uint8 `(height, width, 3)`."""
        image = self._images[index]
        orientation = int(self.records.orientations[image.record_index])
        pixels = image_ops.decode_image(
            self._read_file(image), orientation, self.records.background
        ).numpy()
        return pixels[:, ::-1] if image.flipped else pixels

    def digest_content(self, index: int) -> str:
        """A name that depends on the content of the image's file alone, not on its path."""
        image = self._images[index]
        name = hashlib.sha256(self._read_file(image).numpy()).hexdigest()
        orientation = int(self.records.orientations[image.record_index])
        name += f"-orientation{orientation}" if orientation != 1 else ""
        # Names without are those of 0.1, which showed the colors that transparency hides.
        name += f"-on-{self.records.background}"
        return f"{name}-flipped" if image.flipped else name

    def _read_file(self, image: TrainingImage) -> tf.Tensor:
        return self._reader.read(self._reader.row(image.record_index))


def _create_images(
    records: Records, objects: Objects, index: int, proposals: np.ndarray, training: bool
) -> list[TrainingImage]:
    height, width = (int(side) for side in records.sizes[index])
    gt_boxes = objects.to_pixels((height, width))
    rois = np.asarray(proposals, "float32").reshape(-1, 4)
    if not np.isfinite(rois).all() or (rois[:, 2:] < rois[:, :2]).any():
        raise ValueError(
            "`proposals` must be finite, with left <= right and top <= bottom. "
            f"Received: others for the image {records.ids[index]!r}."
        )
    if training:
        rois = np.concatenate([gt_boxes, rois])
    image = TrainingImage(
        str(records.ids[index]), index, False, (height, width), gt_boxes, objects.labels, rois
    )
    if not training:
        return [image]
    flipped = image._replace(
        flipped=True, gt_boxes=_flip_boxes(gt_boxes, width), rois=_flip_boxes(rois, width)
    )
    return [image, flipped]


def _flip_boxes(boxes: np.ndarray, width: int) -> np.ndarray:
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
