"""The metrics of COCO for detections, computed by pycocotools."""

import contextlib
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from spp_keras import _extras
from spp_keras.data.sources import Objects
from spp_keras.metrics.detection_inputs import DetectionArrays, check_inputs

_METRICS = ("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge")


def evaluate_coco(
    detections: Sequence[DetectionArrays],
    ground_truth: Sequence[Objects],
    sizes: Sequence[tuple[int, int]] | np.ndarray,
    classes: Sequence[str],
) -> dict[str, float]:
    """The metrics of COCO, by COCO's own code.

    It takes the best hundred detections of a class in an image, and matches each to the
    free ground truth that it overlaps most. The size of an object is that of its box, not
    of its outline. A difficult object may be missed, and the detection matched to it does
    not count, as for an object of another size. It is no crowd: any number of detections
    may match a crowd's box, which would excuse every small box in it.

    Args:
        detections: The detections in each image, in any order.
        ground_truth: The objects of each image.
        sizes: Height and width of each image, in the pixels of the detections.
        classes: Names of the classes.

    Returns:
        `"AP"`, the mean over classes and IoU thresholds of 0.50, 0.55, ..., 0.95; `"AP50"`
        and `"AP75"` at one threshold; `"APsmall"`, `"APmedium"` and `"APlarge"` for objects
        up to 32x32 and 96x96 pixels and above; and `"AR"`, the mean recall. NaN where
        there are no such objects.

    Example:

    >>> from spp_keras.detection.detections import Detections
    >>> cat = Objects(np.array([[0.0, 0.0, 0.5, 0.5]]), np.array([0]), np.array([False]))
    >>> detections = Detections(np.array([[0, 0, 20, 8]]), np.array([0.9]), np.array([0]))
    >>> metrics = evaluate_coco([detections], [cat], [(20, 40)], ("cat", "dog"))
    >>> {name: round(value, 2) for name, value in metrics.items() if name[:2] == "AP"}
    {'AP': 0.7, 'AP50': 1.0, 'AP75': 1.0, 'APsmall': 0.7, 'APmedium': nan, 'APlarge': nan}
    """
    cocoeval, coco_class = _import_pycocotools()
    check_inputs(detections, ground_truth, sizes, classes)
    gt_entries = [
        _make_entry(i, box, label, difficult)
        for i, (objects, size) in enumerate(zip(ground_truth, sizes, strict=True))
        for box, label, difficult in zip(
            objects.to_pixels(size), objects.labels, objects.difficult, strict=True
        )
    ]
    detection_entries = [
        {**_make_entry(i, box, label), "score": float(score)}
        for i, image in enumerate(detections)
        for box, score, label in zip(image.boxes, image.scores, image.classes, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        run = cocoeval.COCOeval(
            *(
                _index_entries(coco_class, entries, len(detections), len(classes))
                for entries in (gt_entries, detection_entries)
            ),
            "bbox",
        )
        run.evaluate()
        run.accumulate()
        run.summarize()
    # The others of the twelve are for at most 1 and 10 detections, and recall by size.
    stats = {**dict(zip(_METRICS, run.stats, strict=False)), "AR": run.stats[8]}
    return {name: float(value) if value >= 0 else math.nan for name, value in stats.items()}


def _import_pycocotools() -> tuple[Any, Any]:
    _extras.require("detection", "`evaluate_coco`", "pycocotools")
    from pycocotools import coco, cocoeval

    return cocoeval, coco.COCO


def _make_entry(image: int, box: Any, label: Any, difficult: Any = False) -> dict[str, Any]:
    left, top, right, bottom = (float(edge) for edge in box)
    width, height = max(right - left, 0.0), max(bottom - top, 0.0)
    return {
        "image_id": image,
        "category_id": int(label),
        "bbox": [left, top, width, height],
        # pycocotools overwrites a flag `ignore` with `iscrowd`, but ignores objects whose area
        # is outside the range that it evaluates; IoU is computed from the box.
        "area": -1.0 if difficult else width * height,
        "iscrowd": 0,
    }


def _index_entries(
    coco_class: Any, entries: list[dict[str, Any]], num_images: int, num_classes: int
) -> Any:
    dataset = coco_class()
    dataset.dataset = {
        "images": [{"id": i} for i in range(num_images)],
        "categories": [{"id": i} for i in range(num_classes)],
        # From 1, as id 0 means "no match" to it.
        "annotations": [{**entry, "id": i} for i, entry in enumerate(entries, start=1)],
    }
    dataset.createIndex()
    return dataset
