"""What a model keeps of a photograph that it has seen, and the words and numbers it says."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_MOST_CLASSES = 5


class ImageResult(NamedTuple):
    """A photograph once a model has seen it.

    Args:
        maps: Its feature maps, one a scale, from which windows are answered.
        size: Its height and width, upright and before it is scaled.
        seen: Height and width of what the model saw of it.
        answer: What the model says, as JSON can hold it.
    """

    maps: tuple[Any, ...]
    size: tuple[int, int]
    seen: tuple[int, int]
    answer: dict[str, Any]

    @property
    def bytes(self) -> int:
        """Memory of the maps."""
        return sum(one.dtype.size * int(np.prod(one.shape)) for one in self.maps)


def top_classes(scores: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
    """The likeliest classes first, five at most.

    Args:
        scores: One for each class.
        labels: Their names.

    Example:

    >>> top_classes(np.array([0.25, 0.75]), ["cat", "dog"])
    [{'label': 'dog', 'score': 0.75}, {'label': 'cat', 'score': 0.25}]
    """
    best = np.argsort(-scores, kind="stable")[:_MOST_CLASSES]
    return [{"label": labels[i], "score": float(scores[i])} for i in best]


def elapsed_milliseconds(start: float, end: float) -> float:
    """Time between two readings of `time.perf_counter`, to the hundredth."""
    return round(1000 * (end - start), 2)
