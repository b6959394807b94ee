"""How many images each class has."""

from typing import NamedTuple

import numpy as np

from spp_keras.image_summary.image_set import ImageSet


class ClassCount(NamedTuple):
    """A class and its images, in all splits."""

    name: str
    images: int


def count_classes(images: ImageSet) -> tuple[ClassCount, ...]:
    """Images of each class, the largest class first; none where there are no labels."""
    totals = np.zeros(len(images.classes), int)
    for part in images.parts if images.classes else ():
        if part.multi_label:
            totals += part.labels.sum(axis=0, dtype=int)
        else:
            totals += np.bincount(part.labels, minlength=len(totals))
    counts = [ClassCount(*pair) for pair in zip(images.classes, totals.tolist(), strict=True)]
    return tuple(sorted(counts, key=lambda count: -count.images))


def compute_skew(counts: tuple[ClassCount, ...]) -> float | None:
    """The largest class over the smallest one that has images; `None` without classes.

    Example:

    >>> compute_skew((ClassCount("cat", 30), ClassCount("dog", 12), ClassCount("owl", 0)))
    2.5
    """
    present = [count.images for count in counts if count.images]
    return max(present) / min(present) if present else None
