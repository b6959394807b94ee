"""The results of a model for one image, and the feature maps that answer for its boxes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_MAX_CLASSES = 5


class ImageResult(NamedTuple):
    """The results for an image.

    Args:
        feature_maps: Its feature maps, one a scale, which boxes are pooled from.
        size: Height and width of the image in the file, upright.
        decoded_size: Height and width at which the model saw it.
        values: The results as JSON can hold them.
    """

    feature_maps: tuple[Any, ...]
    size: tuple[int, int]
    decoded_size: tuple[int, int]
    values: dict[str, Any]

    @property
    def bytes(self) -> int:
        """Memory of the feature maps."""
        return sum(
            feature_map.dtype.size * int(np.prod(feature_map.shape))
            for feature_map in self.feature_maps
        )


def top_classes(scores: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
    """The best classes, five at most, the best first.

    Args:
        scores: A score for each class.
        labels: Their names.

    Example:

    >>> top_classes(np.array([0.25, 0.75]), ["cat", "dog"])
    [{'label': 'dog', 'score': 0.75}, {'label': 'cat', 'score': 0.25}]
    """
    best = np.argsort(-scores, kind="stable")[:_MAX_CLASSES]
    return [{"label": labels[i], "score": float(scores[i])} for i in best]


def elapsed_milliseconds(start: float, end: float) -> float:
    """Time between two readings of `time.perf_counter`, to the hundredth."""
    return round(1000 * (end - start), 2)
