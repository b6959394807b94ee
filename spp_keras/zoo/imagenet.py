"""The 1000 classes of ImageNet 2012, in the order in which networks score them."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _checks

_CLASSES = Path(__file__).with_name("imagenet_classes.txt")


def decode_predictions(scores: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """The best classes of images that a network with ImageNet's classes scored.

    As the functions of this name in `keras.applications`, without a download.

    Args:
        scores: `(images, 1000)`.
        top: Number of classes. Defaults to 5.

    Returns:
        For each image a list of `(synset, name, score)`, the best first.

    Example:

    >>> scores = np.zeros((1, 1000))
    >>> scores[0, 285] = 0.9
    >>> decode_predictions(scores, top=1)
    [[('n02124075', 'Egyptian cat', 0.9)]]
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise ValueError(
            "`scores` must be those of ImageNet's classes, (images, 1000), as of a network with "
            f"weights='imagenet' and its top. Received: scores of the shape {scores.shape}."
        )
    best = np.argsort(-scores, axis=1, kind="stable")[:, : _checks.at_least(top, 1, "top")]
    return [
        [(*_list_classes()[i], float(row[i])) for i in indices]
        for row, indices in zip(scores, best, strict=True)
    ]


def list_labels() -> tuple[str, ...]:
    """Names of the classes; names that two classes share have an explanation behind them.

    Example:

    >>> list_labels()[285]
    'Egyptian cat'
    """
    return tuple(name for _, name in _list_classes())


def name_synsets(classes: Sequence[str]) -> tuple[str, ...]:
    """Names of classes where they are ImageNet's synsets, else the classes as they are.

    Example:

    >>> name_synsets(["cat", "dog"])
    ('cat', 'dog')
    """
    synsets = tuple(synset for synset, _ in _list_classes())
    return list_labels() if tuple(classes) == synsets else tuple(classes)


@functools.cache
def _list_classes() -> tuple[tuple[str, str], ...]:
    """Synset and name of each class."""
    lines = _CLASSES.read_text(encoding="utf-8").splitlines()
    return tuple((synset, name) for synset, _, name in (line.partition(" ") for line in lines))
