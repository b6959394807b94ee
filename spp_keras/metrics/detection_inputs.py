"""Detections and ground truth as the metrics of detection take them, and their checks."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from spp_keras.data.sources import Objects


class DetectionArrays(Protocol):
    """The detections in an image, such as `spp_keras.detection.Detections`."""

    @property
    def boxes(self) -> np.ndarray:
        """`(n, 4)`, left, top, right and bottom in pixels, ends exclusive."""

    @property
    def scores(self) -> np.ndarray:
        """`(n,)`."""

    @property
    def classes(self) -> np.ndarray:
        """`(n,)`, class indices."""


def check_inputs(
    detections: Sequence[DetectionArrays],
    ground_truth: Sequence[Objects],
    sizes: Any,
    classes: Sequence[str],
) -> None:
    """Raises a `ValueError` that names what cannot be evaluated."""
    if isinstance(classes, str) or not len(classes) or len({*classes}) < len(classes):
        raise ValueError(
            f"`classes` must be names that all differ, at least one. Received: classes={classes!r}."
        )
    if not len(detections) == len(ground_truth) == len(sizes):
        raise ValueError(
            f"`detections`, `ground_truth` and `sizes` must have an entry for each image. "
            f"Received: {len(detections)}, {len(ground_truth)} and {len(sizes)} of them."
        )
    for i, image_detections in enumerate(detections):
        _check_detections(image_detections, f"detections[{i}]", len(classes))
    for i, objects in enumerate(ground_truth):
        _check_classes(objects.labels, f"ground_truth[{i}].labels", len(classes))
    if not any(np.any(~np.asarray(objects.difficult, bool)) for objects in ground_truth):
        raise ValueError(
            "`ground_truth` must have an object that is not difficult, or nothing can be "
            f"detected. Received: none in {len(ground_truth)} images; the ground truth of a test "
            "set is not always published."
        )


def _check_detections(detections: DetectionArrays, name: str, num_classes: int) -> None:
    arrays = {part: getattr(detections, part) for part in ("boxes", "scores", "classes")}
    shapes = tuple(np.shape(array) for array in arrays.values())
    n = len(detections.scores)
    if shapes != ((n, 4), (n,), (n,)):
        raise ValueError(
            f"`detections` must have boxes (n, 4), scores (n,) and classes (n,) for each image. "
            f"Received: {name} with boxes {shapes[0]}, scores {shapes[1]} and classes {shapes[2]}."
        )
    finite_rows = {
        "boxes": np.isfinite(detections.boxes).all(axis=1),
        "scores": np.isfinite(detections.scores),
    }
    for part, finite in finite_rows.items():
        if not finite.all():
            first = int(np.argmin(finite))
            raise ValueError(
                f"`detections` must have finite boxes and scores. Received: {name}.{part}[{first}]="
                f"{np.asarray(arrays[part][first]).tolist()!r}. Look at the network's output for "
                "this image."
            )
    _check_classes(arrays["classes"], f"{name}.classes", num_classes)


def _check_classes(indices: Any, name: str, num_classes: int) -> None:
    outside = [index for index in np.asarray(indices).tolist() if not 0 <= index < num_classes]
    if outside:
        raise ValueError(
            f"`{name}` must be indices of the {num_classes} classes, 0 to {num_classes - 1}. "
            f"Received: {outside[0]!r}."
        )
