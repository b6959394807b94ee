"""How good detections are: average precision by the rules of PASCAL VOC and of COCO."""

import contextlib
import io
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from spp_keras import _checks, _extras, ops
from spp_keras.data.sources import Objects
from spp_keras.detection import boxes
from spp_keras.detection.boxes import Detections
from spp_keras.metrics import average_precision


class PrecisionRecall(NamedTuple):
    """Precision and recall of a class as more and more detections are taken in.

    Args:
        scores: `(n,)` float64, of the detections that count, the highest first.
        recall: `(n,)` float64, share of the objects found down to that score.
        precision: `(n,)` float64, share of the detections down to it that are right.
    """

    scores: np.ndarray
    recall: np.ndarray
    precision: np.ndarray


class VocResult(NamedTuple):
    """What `evaluate_voc` says about detections.

    Args:
        mean: Mean average precision (mAP) of the classes that have objects.
        average_precision: By class, NaN for those that have none.
        recall: Share of the objects that any detection finds, by class; NaN as well.
        objects: Number of objects that count, by class.
        curves: A `PrecisionRecall` by class, of the classes that have objects.
        absent: Names of the classes that have none and are not in the mean.
    """

    mean: float
    average_precision: dict[str, float]
    recall: dict[str, float]
    objects: dict[str, int]
    curves: dict[str, PrecisionRecall]
    absent: tuple[str, ...]


def evaluate_voc(
    found: Sequence[Detections],
    objects: Sequence[Objects],
    sizes: Sequence[tuple[int, int]] | np.ndarray,
    classes: Sequence[str],
    *,
    iou_threshold: float = 0.5,
    rule: str = "area",
) -> VocResult:
    """Average precision of each class and their mean, as PASCAL VOC counts it.

    The detections of a class are taken from all images by falling score, those of
    the same score in the order of the images and then their own. Each is held
    against the object of its class, in its image, that it overlaps most. If
    intersection over union is at least `iou_threshold` and no detection before had that
    object, it is right, otherwise wrong; if the object is difficult, it counts as
    neither. Difficult objects need not be found.

    Two things differ from the devkit. Its boxes end at the last pixel, so it adds 1 to
    every width and height; records have shares with no 1 taken off (see
    `voc_devkit.find`), so both boxes are a pixel smaller here, and an overlap near 0.5
    comes out lower by about 0.4 / side: 0.004 at a side of 100 pixels. And a recall of
    3/10 reaches the point 0.3 of the 11-point rule, which rounding keeps it from there.

    The devkit of ILSVRC DET has the area rule and other matches: a detection may take
    the best object that is still free, an object below about 25x25 pixels needs less
    overlap, and some pairs of image and class are left out. None of it is done here.

    Reference: [The PASCAL Visual Object Classes (VOC) challenge](
    https://doi.org/10.1007/s11263-009-0275-4), section 4.2.

    Args:
        found: The detections in each image, in any order.
        objects: The objects of each image.
        sizes: Height and width of each image, in the pixels of the detections.
        classes: Names of the classes.
        iou_threshold: Intersection over union that a right detection has at least.
            Defaults to 0.5.
        rule: `"area"` for the area below the curve, each precision raised to the
            highest at that recall or above (VOC 2010 and later), or `"11-point"` for
            its mean at the recalls 0, 0.1, ..., 1 (VOC 2007, and the tables of the
            SPP-net paper). Defaults to `"area"`.

    Returns:
        The `VocResult`.

    Example:

    >>> cat = Objects(np.array([[0.0, 0.0, 0.5, 0.5]]), np.array([0]), np.array([False]))
    >>> corner = Detections(np.array([[0, 0, 20, 10]]), np.array([0.9]), np.array([0]))
    >>> scores = evaluate_voc([corner], [cat], [(20, 40)], ("cat", "dog"))
    >>> scores.average_precision, scores.mean, scores.absent
    ({'cat': 1.0, 'dog': nan}, 1.0, ('dog',))
    """
    if (
        isinstance(iou_threshold, bool)
        or not isinstance(iou_threshold, int | float)
        or not 0 < iou_threshold <= 1
    ):
        raise ValueError(
            f"`iou_threshold` must be a number in (0, 1]. Received: iou_threshold={iou_threshold!r}."
        )
    _checks.one_of(rule, ("area", "11-point"), "rule")
    _check(found, objects, sizes, classes)
    difficult = np.concatenate([truth.difficult for truth in objects]).astype(bool)
    owners = np.concatenate([truth.labels for truth in objects])
    kinds = np.concatenate([each.classes for each in found])
    scores = np.concatenate([each.scores for each in found]).astype("float64")
    targets = _targets(found, objects, sizes, iou_threshold)
    counts = np.isin(targets, np.flatnonzero(difficult), invert=True)
    counted = {name: int(np.sum(~difficult[owners == i])) for i, name in enumerate(classes)}
    curves = {
        name: _curve(scores[mine], targets[mine], counted[name])
        for i, name in enumerate(classes)
        for mine in [counts & (kinds == i)]
        if counted[name]
    }
    measure = (
        average_precision.area_under_curve
        if rule == "area"
        else average_precision.eleven_point_average
    )
    precisions = {name: measure(curve.recall, curve.precision) for name, curve in curves.items()}
    reached = {name: float(curve.recall.max(initial=0.0)) for name, curve in curves.items()}
    return VocResult(
        mean=float(np.mean(list(precisions.values()))),
        average_precision={name: precisions.get(name, math.nan) for name in classes},
        recall={name: reached.get(name, math.nan) for name in classes},
        objects=counted,
        curves=curves,
        absent=tuple(name for name in classes if name not in curves),
    )


def evaluate_coco(
    found: Sequence[Detections],
    objects: Sequence[Objects],
    sizes: Sequence[tuple[int, int]] | np.ndarray,
    classes: Sequence[str],
) -> dict[str, float]:
    """COCO's measures, by COCO's own code.

    It takes the best hundred detections of a class in an image and gives each the
    free object that it overlaps most. The size of an object is that of its box, not
    of its outline. A difficult object may be missed, and takes one detection without
    counting it, as an object of another size does. It is no crowd: of a crowd's box
    any number of detections may lie within, which excuses every small box on it.

    Args:
        found: The detections in each image, in any order.
        objects: The objects of each image.
        sizes: Height and width of each image, in the pixels of the detections.
        classes: Names of the classes.

    Returns:
        `"AP"`, the mean over classes and overlaps of 0.50, 0.55, ..., 0.95; `"AP50"`
        and `"AP75"` at one overlap; `"APsmall"`, `"APmedium"` and `"APlarge"` for
        objects up to 32x32 and 96x96 pixels and above; and `"AR"`, the mean recall.
        NaN where there are no such objects.

    Example:

    >>> cat = Objects(np.array([[0.0, 0.0, 0.5, 0.5]]), np.array([0]), np.array([False]))
    >>> most = Detections(np.array([[0, 0, 20, 8]]), np.array([0.9]), np.array([0]))
    >>> scores = evaluate_coco([most], [cat], [(20, 40)], ("cat", "dog"))
    >>> {name: round(score, 2) for name, score in scores.items() if name[:2] == "AP"}
    {'AP': 0.7, 'AP50': 1.0, 'AP75': 1.0, 'APsmall': 0.7, 'APmedium': nan, 'APlarge': nan}
    """
    cocoeval, dataset = _pycocotools()
    _check(found, objects, sizes, classes)
    truths = [
        _entry(i, box, label, difficult)
        for i, (truth, size) in enumerate(zip(objects, sizes, strict=True))
        for box, label, difficult in zip(
            boxes.object_boxes(truth, size), truth.labels, truth.difficult, strict=True
        )
    ]
    guesses = [
        {**_entry(i, box, label), "score": float(score)}
        for i, each in enumerate(found)
        for box, score, label in zip(*each, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        run = cocoeval.COCOeval(
            _index(dataset, truths, len(found), len(classes)),
            _index(dataset, guesses, len(found), len(classes)),
            "bbox",
        )
        run.evaluate()
        run.accumulate()
        run.summarize()
    # Of its twelve: those with at most 1 and 10 detections and recall by size are left out.
    names = ("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge")
    stats = {**dict(zip(names, run.stats, strict=False)), "AR": run.stats[8]}
    return {name: float(value) if value >= 0 else math.nan for name, value in stats.items()}


def _targets(found: Any, objects: Any, sizes: Any, iou_threshold: float) -> np.ndarray:
    """Number of the object, among those of all images, that each detection may be; else -1."""
    targets, before = [], 0
    for each, truth, size in zip(found, objects, sizes, strict=True):
        mine = np.full(len(each.scores), -1)
        if len(truth.labels):
            shared = ops.box_iou(each.boxes, boxes.object_boxes(truth, size))
            shared[np.asarray(each.classes)[:, None] != np.asarray(truth.labels)] = 0.0
            enough = shared.max(axis=1) >= iou_threshold
            # The first of several, as the devkit does.
            mine[enough] = before + shared.argmax(axis=1)[enough]
        targets.append(mine)
        before += len(truth.labels)
    return np.concatenate(targets)


def _curve(scores: np.ndarray, targets: np.ndarray, objects: int) -> PrecisionRecall:
    order = np.argsort(-scores, kind="stable")
    targets = targets[order]
    right = np.zeros(len(order), bool)
    right[np.unique(targets, return_index=True)[1]] = True
    right &= targets >= 0
    hits = np.cumsum(right)
    return PrecisionRecall(scores[order], hits / objects, hits / np.arange(1, len(order) + 1))


def _check(found: Any, objects: Any, sizes: Any, classes: Any) -> None:
    if isinstance(classes, str) or not len(classes) or len({*classes}) < len(classes):
        raise ValueError(
            f"`classes` must be names that all differ, at least one. Received: classes={classes!r}."
        )
    if not len(found) == len(objects) == len(sizes):
        raise ValueError(
            f"`found`, `objects` and `sizes` must have an entry for each image. Received: "
            f"{len(found)}, {len(objects)} and {len(sizes)} of them."
        )
    for i, each in enumerate(found):
        _check_detections(each, i, len(classes))
    for i, truth in enumerate(objects):
        _check_labels(truth.labels, f"objects[{i}].labels", len(classes))
    if not any(np.any(~np.asarray(truth.difficult, bool)) for truth in objects):
        raise ValueError(
            f"`objects` must have an object that is not difficult, or nothing can be found. "
            f"Received: none in {len(objects)} images; a test set may have none published."
        )


def _check_detections(each: Detections, i: int, classes: int) -> None:
    shapes = tuple(np.shape(part) for part in each)
    n = len(each.scores)
    if shapes != ((n, 4), (n,), (n,)):
        raise ValueError(
            f"`found` must have boxes (n, 4), scores (n,) and classes (n,) for each image. "
            f"Received: found[{i}] with boxes {shapes[0]}, scores {shapes[1]} and classes "
            f"{shapes[2]}."
        )
    finite = {"boxes": np.isfinite(each.boxes).all(axis=1), "scores": np.isfinite(each.scores)}
    for part, fine in finite.items():
        if not fine.all():
            first = int(np.argmin(fine))
            raise ValueError(
                f"`found` must have finite boxes and scores. Received: found[{i}].{part}[{first}]="
                f"{np.asarray(getattr(each, part)[first]).tolist()!r}. Look at what the network "
                f"makes of image {i}, counted from 0."
            )
    _check_labels(each.classes, f"found[{i}].classes", classes)


def _check_labels(labels: Any, name: str, classes: int) -> None:
    wrong = [label for label in np.asarray(labels).tolist() if not 0 <= label < classes]
    if wrong:
        raise ValueError(
            f"`{name}` must be numbers of the {classes} classes, 0 to {classes - 1}. "
            f"Received: {wrong[0]!r}."
        )


def _pycocotools() -> tuple[Any, Any]:
    try:
        from pycocotools import coco, cocoeval
    except ImportError as error:
        raise ImportError(
            "`evaluate_coco` needs pycocotools, which counts as COCO does. Install it with: "
            f"{_extras.install_line('detection')}"
        ) from error
    return cocoeval, coco.COCO


def _entry(image: int, box: Any, label: Any, difficult: Any = False) -> dict[str, Any]:
    left, top, right, bottom = (float(edge) for edge in box)
    width, height = max(right - left, 0.0), max(bottom - top, 0.0)
    return {
        "image_id": image,
        "category_id": int(label),
        "bbox": [left, top, width, height],
        # pycocotools overwrites a flag `ignore` with `iscrowd`; what has no size that it asks
        # for is ignored too, and overlap is taken from the box.
        "area": -1.0 if difficult else width * height,
        "iscrowd": 0,
    }


def _index(dataset: Any, entries: list[dict[str, Any]], images: int, classes: int) -> Any:
    indexed = dataset()
    indexed.dataset = {
        "images": [{"id": i} for i in range(images)],
        "categories": [{"id": i} for i in range(classes)],
        # Not from 0, which it takes for "no match".
        "annotations": [{**entry, "id": i} for i, entry in enumerate(entries, start=1)],
    }
    indexed.createIndex()
    return indexed
