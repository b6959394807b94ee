"""Metrics of class scores: top-k accuracy and, for multi-label images, mean AP."""

from collections.abc import Callable

import numpy as np

from spp_keras import _checks, _extras
from spp_keras.metrics.average_precision import check_rule, eleven_point_average


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Fraction of the images whose class is among the k with the highest scores.

    Of equal scores the class with the lower index ranks first.

    Args:
        scores: `(images, classes)`.
        labels: `(images,)`, the class index of each image.
        k: Number of classes that count, at most all.

    Example:

    >>> scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
    >>> top_k_accuracy(scores, np.array([1, 1]), 1), top_k_accuracy(scores, np.array([1, 1]), 2)
    (0.5, 1.0)
    """
    num_classes = scores.shape[1]
    if _checks.at_least(k, 1, "k") > num_classes:
        raise ValueError(
            f"`k` must be at most the number of classes, {num_classes}. Received: k={k}."
        )
    label_scores = np.take_along_axis(scores, labels[:, None], axis=1)
    lower_index = np.arange(num_classes) < labels[:, None]
    ranks_before = (scores > label_scores) | ((scores == label_scores) & lower_index)
    return float(np.mean(ranks_before.sum(axis=1) < k))


def mean_average_precision(
    scores: np.ndarray,
    labels: np.ndarray,
    *,
    counts: np.ndarray | None = None,
    rule: str = "area",
) -> float:
    """Mean over the classes of the average precision of images ranked by their scores.

    A class that no image has does not count.

    Args:
        scores: `(images, classes)`.
        labels: `(images, classes)` of zeros and ones.
        counts: `(images, classes)` bool, which images count for a class. Defaults to
            `None`, all.
        rule: `"area"` for the area under precision and recall, not interpolated, or
            `"11-point"`, that of VOC 2007 and of the paper, which is slightly higher.
            Defaults to `"area"`.

    Example:

    >>> labels = np.array([[1, 0], [0, 0], [1, 0]])
    >>> mean_average_precision(np.array([[0.9, 0.1], [0.5, 0.2], [0.4, 0.3]]), labels)
    0.8333333333333333
    """
    check_rule(rule)
    measure = import_average_precision() if rule == "area" else _average_eleven_points
    counts = np.ones(labels.shape, bool) if counts is None else counts
    return float(
        np.mean(
            [
                measure(labels[rows, class_index], scores[rows, class_index])
                for class_index, rows in enumerate(counts.T)
                if labels[rows, class_index].any()
            ]
        )
    )


def import_average_precision() -> Callable[..., float]:
    """scikit-learn's `average_precision_score`; the error says what to install."""
    metrics = _extras.import_package("sklearn.metrics", "detection", "Mean average precision")
    return metrics.average_precision_score


def _average_eleven_points(labels: np.ndarray, scores: np.ndarray) -> float:
    hits = np.cumsum(labels[np.argsort(-scores, kind="stable")], dtype="int64")
    return eleven_point_average(hits / hits[-1], hits / np.arange(1, len(hits) + 1))
