"""Sizes of images in numbers, and what squares make of them."""

from typing import NamedTuple

import numpy as np

from spp_keras.data import size_policies

# The longer side over the shorter one: squares have less than the first, panoramas at least the
# second.
SQUARE_BELOW, PANORAMA_FROM = 1.1, 2.0
# Pixels beyond which a file takes long to decode, and phones have a mode of their own.
LARGE_PIXELS = 24_000_000
# The usual view of a network, from images whose shorter side is scaled.
CROP_SIZE = size_policies.PAPER_IMAGE_SIZE


class Range(NamedTuple):
    """The smallest, the middle and the largest of some numbers."""

    min: float
    median: float
    max: float


def measure_range(values: np.ndarray) -> Range:
    """The range of numbers.

    Example:

    >>> measure_range(np.array([4, 1, 2, 3]))
    Range(min=1.0, median=2.5, max=4.0)
    """
    return Range(float(np.min(values)), float(np.median(values)), float(np.max(values)))


def compute_aspects(sizes: np.ndarray) -> np.ndarray:
    """The longer side over the shorter one: how far a square bends an image.

    Args:
        sizes: `(n, 2)`, heights and widths.
    """
    return sizes.max(axis=1) / sizes.min(axis=1)


def measure_shapes(sizes: np.ndarray) -> dict[str, float]:
    """Shares of images that are upright, lying, square and panoramas; they add up to 1.

    Example:

    >>> measure_shapes(np.array([[100, 150], [150, 100], [100, 105], [100, 200]]))
    {'upright': 0.25, 'lying': 0.25, 'square': 0.25, 'panorama': 0.25}
    """
    aspects, height, width = compute_aspects(sizes), sizes[:, 0], sizes[:, 1]
    square, panorama = aspects < SQUARE_BELOW, aspects >= PANORAMA_FROM
    other = ~square & ~panorama
    kinds = {
        "upright": other & (height > width),
        "lying": other & (height < width),
        "square": square,
        "panorama": panorama,
    }
    return {name: float(is_kind.mean()) for name, is_kind in kinds.items()}


def list_crop_windows(sizes: np.ndarray) -> np.ndarray:
    """What a center crop of 224 shows of each image whose short side is scaled to 256.

    Args:
        sizes: `(n, 2)`, heights and widths.

    Returns:
        int32 `(n, 4)`, top, left, height and width in pixels of the image.

    Example:

    >>> list_crop_windows(np.array([[256, 512]])).tolist()
    [[16, 144, 224, 224]]
    """
    policy = size_policies.center_crop(CROP_SIZE)
    return policy.windows(sizes, np.zeros((len(sizes), 2))).numpy()


def compute_crop_losses(sizes: np.ndarray) -> np.ndarray:
    """The share of the area of each image that this crop throws away.

    Example:

    >>> compute_crop_losses(np.array([[256, 256], [256, 512]])).tolist()
    [0.234375, 0.6171875]
    """
    crop_areas = list_crop_windows(sizes)[:, 2:].prod(axis=1, dtype="int64")
    return 1 - crop_areas / sizes.prod(axis=1, dtype="int64")
