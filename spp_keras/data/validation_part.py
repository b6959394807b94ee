"""The part of a set of images that is kept for validation where nobody says which."""

import collections
import hashlib
from collections.abc import Sequence

import numpy as np

# One image in so many of each class.
_ONE_IN = 10


def choose_validation_part(paths: Sequence[str], labels: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Chooses about a tenth of each class for validation, always the same images.

    Of each class with two images or more at least one is chosen, and never all: those whose
    paths have the smallest hash. What is chosen of a class does not depend on other classes.
    An image of several classes counts as one of the rarest of them, and one without any as one
    of a class of such images; each class keeps an image for training.

    Args:
        paths: Paths of the images below the folder of the set, with `/`.
        labels: Class indices of each image.

    Returns:
        A boolean mask of the images for validation.

    Example:

    >>> paths = [f"cat/{index}.jpg" for index in range(20)]
    >>> paths += ["dog/1.jpg", "owl/1.jpg", "owl/2.jpg"]
    >>> part = choose_validation_part(paths, [(0,)] * 20 + [(1,), (2,), (2,)])
    >>> [int(part[:20].sum()), int(part[20:21].sum()), int(part[21:].sum())]
    [2, 0, 1]
    """
    hashes = [_hash_path(path) for path in paths]
    counts = collections.Counter(label for image in labels for label in image)
    groups = collections.defaultdict(list)
    for index, image in enumerate(labels):
        groups[min(image, key=lambda label: (counts[label], label), default=-1)].append(index)
    part = np.zeros(len(paths), bool)
    for group in groups.values():
        count = max((len(group) + _ONE_IN // 2) // _ONE_IN, 1) if len(group) > 1 else 0
        part[sorted(group, key=hashes.__getitem__)[:count]] = True
    _keep_classes(part, labels, hashes)
    return part


def _keep_classes(
    part: np.ndarray, labels: Sequence[tuple[int, ...]], hashes: Sequence[bytes]
) -> None:
    """Returns an image to training of each class that has all of its images in the part."""
    kept = {label for index in np.flatnonzero(~part).tolist() for label in labels[index]}
    # Those that the rule would choose last go back first.
    for index in sorted(np.flatnonzero(part).tolist(), key=hashes.__getitem__, reverse=True):
        if not kept.issuperset(labels[index]):
            part[index] = False
            kept.update(labels[index])


def _hash_path(path: str) -> bytes:
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
