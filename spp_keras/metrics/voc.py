"""Average precision of detections by the rules of PASCAL VOC."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spp_keras import ops
from spp_keras.data.sources import Objects
from spp_keras.metrics import average_precision
from spp_keras.metrics.detection_inputs import DetectionArrays, check_inputs


class PrecisionRecall(NamedTuple):
    """Precision and recall of a class as the score threshold falls.

    Args:
        scores: `(n,)` float64, of the detections that count, the highest first.
        recall: `(n,)` float64, fraction of the objects detected down to that score.
        precision: `(n,)` float64, fraction of the detections down to it that are correct.
    """

    scores: np.ndarray
    recall: np.ndarray
    precision: np.ndarray


class VocResult(NamedTuple):
    """The result of `evaluate_voc`.

    Args:
        mean: Mean average precision (mAP) of the classes that have objects.
        average_precision: By class, NaN for those that have none.
        recall: Fraction of the objects that any detection matches, by class; NaN as well.
        num_objects: Number of objects that count, by class.
        curves: A `PrecisionRecall` by class, of the classes that have objects.
        absent_classes: Names of the classes that have none and are not in the mean.
    """

    mean: float
    average_precision: dict[str, float]
    recall: dict[str, float]
    num_objects: dict[str, int]
    curves: dict[str, PrecisionRecall]
    absent_classes: tuple[str, ...]


def evaluate_voc(
    detections: Sequence[DetectionArrays],
    ground_truth: Sequence[Objects],
    sizes: Sequence[tuple[int, int]] | np.ndarray,
    classes: Sequence[str],
    *,
    iou_threshold: float = 0.5,
    rule: str = "area",
) -> VocResult:
    """Average precision of each class and their mean, as PASCAL VOC computes it.

    The detections of a class are ranked over all images by score, equal scores in the
    order of the images and then their own. Each is compared with the object of its class,
    in its image, that it overlaps most. If the intersection over union is at least
    `iou_threshold` and no detection before matched that object, it is correct, otherwise
    wrong; if the object is difficult, it counts as neither. Difficult objects need not be
    detected.

    Two things differ from the devkit. Its boxes end at the last pixel, so it adds 1 to
    every width and height; records have fractions with no 1 taken off (see
    `voc_devkit.find_images`), so both boxes are a pixel smaller here, and an IoU near 0.5
    comes out lower by about 0.4 / side: 0.004 at a side of 100 pixels. And a recall of
    3/10 reaches the point 0.3 of the 11-point rule, which rounding prevents there.

    The devkit of ILSVRC DET has the area rule and another matching: a detection may match
    the best object that is still free, an object below about 25x25 pixels needs a lower
    IoU, and some pairs of image and class are left out. None of it is done here.

    Reference: [The PASCAL Visual Object Classes (VOC) challenge](
    https://doi.org/10.1007/s11263-009-0275-4), section 4.2.

    Args:
        detections: The detections in each image, in any order.
        ground_truth: The objects of each image.
        sizes: Height and width of each image, in the pixels of the detections.
        classes: Names of the classes.
        iou_threshold: Least intersection over union of a correct detection. Defaults to 0.5.
        rule: `"area"` for the area under the curve, each precision raised to the highest
            at that recall or above (VOC 2010 and later), or `"11-point"` for its mean at
            the recalls 0, 0.1, ..., 1 (VOC 2007, and the tables of the SPP-net paper).
            Defaults to `"area"`.

    Returns:
        The `VocResult`.

    Example:

    >>> from spp_keras.detection.detections import Detections
    >>> cat = Objects(np.array([[0.0, 0.0, 0.5, 0.5]]), np.array([0]), np.array([False]))
    >>> detections = Detections(np.array([[0, 0, 20, 10]]), np.array([0.9]), np.array([0]))
    >>> result = evaluate_voc([detections], [cat], [(20, 40)], ("cat", "dog"))
    >>> result.average_precision, result.mean, result.absent_classes
    ({'cat': 1.0, 'dog': nan}, 1.0, ('dog',))
    """
    _check_iou_threshold(iou_threshold)
    average_precision.check_rule(rule)
    check_inputs(detections, ground_truth, sizes, classes)
    difficult = np.concatenate([objects.difficult for objects in ground_truth]).astype(bool)
    gt_classes = np.concatenate([objects.labels for objects in ground_truth])
    predicted = np.concatenate([image.classes for image in detections])
    scores = np.concatenate([image.scores for image in detections]).astype("float64")
    gt_indices = _match_images(detections, ground_truth, sizes, iou_threshold)
    counts = np.isin(gt_indices, np.flatnonzero(difficult), invert=True)
    num_objects = {name: int(np.sum(~difficult[gt_classes == i])) for i, name in enumerate(classes)}
    curves = {}
    for i, name in enumerate(classes):
        if num_objects[name]:
            rows = counts & (predicted == i)
            curves[name] = _make_curve(scores[rows], gt_indices[rows], num_objects[name])
    measure = (
        average_precision.area_under_curve
        if rule == "area"
        else average_precision.eleven_point_average
    )
    precisions = {name: measure(curve.recall, curve.precision) for name, curve in curves.items()}
    recalls = {name: float(curve.recall.max(initial=0.0)) for name, curve in curves.items()}
    return VocResult(
        mean=float(np.mean(list(precisions.values()))),
        average_precision={name: precisions.get(name, math.nan) for name in classes},
        recall={name: recalls.get(name, math.nan) for name in classes},
        num_objects=num_objects,
        curves=curves,
        absent_classes=tuple(name for name in classes if name not in curves),
    )


def _match_images(
    detections: Sequence[DetectionArrays],
    ground_truth: Sequence[Objects],
    sizes: Sequence[tuple[int, int]] | np.ndarray,
    iou_threshold: float,
) -> np.ndarray:
    """Index of the object, among those of all images, that each detection matches; else -1."""
    gt_indices, first = [], 0
    for image, objects, size in zip(detections, ground_truth, sizes, strict=True):
        iou = ops.box_iou(image.boxes, objects.to_pixels(size))
        iou[np.asarray(image.classes)[:, None] != np.asarray(objects.labels)] = 0.0
        matches = ops.match_boxes(iou, iou_threshold)
        matched = matches.labels == ops.FOREGROUND
        gt_indices.append(np.where(matched, first + matches.indices, -1))
        first += len(objects.labels)
    return np.concatenate(gt_indices)


def _make_curve(scores: np.ndarray, gt_indices: np.ndarray, num_objects: int) -> PrecisionRecall:
    order = np.argsort(-scores, kind="stable")
    gt_indices = gt_indices[order]
    # Only the first detection of an object is correct.
    correct = np.zeros(len(order), bool)
    correct[np.unique(gt_indices, return_index=True)[1]] = True
    correct &= gt_indices >= 0
    hits = np.cumsum(correct)
    return PrecisionRecall(scores[order], hits / num_objects, hits / np.arange(1, len(order) + 1))


def _check_iou_threshold(value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(
            f"`iou_threshold` must be a number in (0, 1]. Received: iou_threshold={value!r}."
        )
