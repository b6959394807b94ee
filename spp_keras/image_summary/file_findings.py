"""What is odd about the files: the same bytes twice, sides that are too short."""

from typing import NamedTuple

import numpy as np

from spp_keras.data.duplicates import find_duplicates
from spp_keras.image_summary.image_set import ImageSet
from spp_keras.zoo import networks, registry


class SamePicture(NamedTuple):
    """Images whose files have the same bytes.

    Args:
        images: Their names.
        classes: The classes that they are in, each once.
        splits: The splits that they are in, each once.
    """

    images: tuple[str, ...]
    classes: tuple[str, ...]
    splits: tuple[str, ...]


def list_same_pictures(images: ImageSet) -> tuple[SamePicture, ...]:
    """Groups of images whose files have the same bytes, in the order of the first of each."""
    groups = []
    for group in find_duplicates(*images.parts):
        names = [str(images.parts[part].ids[index]) for part, index in group]
        classes = {name for part, index in group for name in _list_classes(images, part, index)}
        splits = dict.fromkeys(images.splits[part] for part, _ in group)
        groups.append(
            SamePicture(tuple(names), tuple(sorted(classes)), tuple(filter(None, splits)))
        )
    return tuple(groups)


def count_too_small(sizes: np.ndarray) -> dict[str, int]:
    """For each network that takes any size, how many images have a side that is too short.

    Args:
        sizes: `(n, 2)`, heights and widths.

    Example:

    >>> count_too_small(np.array([[20, 300], [300, 300]]))["zf5_spp"]
    1
    """
    known = [networks.describe_network(name) for name in registry.list_models()]
    shortest = sizes.min(axis=1)
    return {
        network.name: int((shortest < network.min_size).sum())
        for network in known
        if network.has_pyramid
    }


def _list_classes(images: ImageSet, part: int, index: int) -> list[str]:
    if not images.classes:
        return []
    labels = images.parts[part].labels[index]
    numbers = np.flatnonzero(labels) if images.parts[part].multi_label else [labels]
    return [images.classes[number] for number in numbers]
