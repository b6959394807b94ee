"""What every system is measured on, and what the answers must be: NumPy, seeded, plain loops."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

LEVELS = (6, 3, 2, 1)
BINS = sum(bins**2 for bins in LEVELS)
# Bins of a level, and of the level that it is the maxima of: our algebra. 6x6 comes from the map.
DERIVATIONS = ((3, 6), (2, 6), (1, 2))
# How a peer gets its coarser levels: from the map too, or by `DERIVATIONS`.
FIRST = "as written first"
GIVEN = "given our algebra"
CHANNELS = 256
MAP = (43, 57)
# What is measured in each section.
SETTINGS = {
    "whole": ("32 x 13x13", "16 x 37x50", "1 x 43x57"),
    "gradient": ("32 x 13x13", "16 x 37x50", "1 x 43x57"),
    "mixed": ("16 mixed sizes",),
    "mixed gradient": ("16 mixed sizes",),
    "windows": ("random", "proposals"),
    "windows gradient": ("random", "proposals"),
    "network": ("forward", "training"),
}


def maps(setting: str) -> np.ndarray:
    """Feature maps `(batch, height, width, channels)` of "batch x heightxwidth"."""
    batch, size = setting.split(" x ")
    height, width = (int(side) for side in size.split("x"))
    return _normal((int(batch), height, width, CHANNELS), seed=0)


def upstream(items: int) -> np.ndarray:
    """What arrives at the pyramids of so many items from behind, `(items, bins * channels)`."""
    return _normal((items, BINS * CHANNELS), seed=1)


def mixed_maps() -> list[np.ndarray]:
    """Sixteen maps around 37x50, each of its own size."""
    generator = np.random.default_rng(2)
    sizes = zip(generator.integers(30, 45, 16), generator.integers(40, 61, 16), strict=True)
    return [_normal((*size, CHANNELS), seed) for seed, size in enumerate(sizes)]


def feature_map() -> np.ndarray:
    """The map that windows are cut from, `(height, width, channels)`."""
    return _normal((*MAP, CHANNELS), seed=3)


def windows(setting: str) -> np.ndarray:
    """Windows in cells, `(windows, 4)`: top, left, and bottom and right after the last cell.

    "random" has two corners anywhere; "proposals" areas from 2x2 cells to the
    whole map, as many small as large ones, three times as long as wide at most.
    """
    generator = np.random.default_rng(4)
    if setting != "proposals":
        count = {"random": 2000, "ten": 10, "one": 1}[setting]
        rows, columns = (np.sort(generator.integers(0, side, (count, 2))) for side in MAP)
        return np.stack([rows[:, 0], columns[:, 0], rows[:, 1] + 1, columns[:, 1] + 1], axis=1)
    area = np.exp(generator.uniform(math.log(4), math.log(math.prod(MAP)), 2000))
    aspect = np.exp(generator.uniform(-math.log(3), math.log(3), 2000))
    sides = np.stack([np.sqrt(area * aspect), np.sqrt(area / aspect)], axis=1)
    sides = np.clip(np.rint(sides), 1, MAP).astype(int)
    corners = generator.integers(0, np.array(MAP) - sides + 1)
    return np.concatenate([corners, corners + sides], axis=1)


def inclusive_rois(setting: str) -> np.ndarray:
    """The same windows as Caffe's descendants take them: item, and x, y of first and last cell."""
    top, left, bottom, right = windows(setting).T
    return np.stack([0 * top, left, top, right - 1, bottom - 1], axis=1).astype("float32")


def image_sizes(equal: bool = False) -> np.ndarray:
    """Height and width of eight images of eight sizes; or of squares of as many pixels.

    The short side is 160 to 300, the long one up to twice as long, every other one upright.
    """
    generator = np.random.default_rng(5)
    short, aspect = generator.integers(160, 301, 8), generator.uniform(1, 2, 8)
    sides = np.stack([short, np.rint(short * aspect).astype(int)], axis=1)
    sides[::2] = sides[::2, ::-1]
    if equal:
        sides[:] = round(math.sqrt(sides.prod(axis=1).mean()))
    return sides


def images(equal: bool = False) -> list[np.ndarray]:
    """Images of those sizes, 0 to 255."""
    generator = np.random.default_rng(6)
    return [generator.integers(0, 256, (*size, 3)).astype("float32") for size in image_sizes(equal)]


def edges(index: Any, length: Any, bins: int) -> tuple[Any, Any]:
    """First cell of a bin and the first cell after it (Appendix A of the paper)."""
    return index * length // bins, ((index + 1) * length + bins - 1) // bins


def expected(section: str, setting: str) -> np.ndarray | None:
    """What loops answer: `(items, bins, channels)`, or the gradient, `(cells, channels)`."""
    if section == "whole":
        return np.stack([x.max(axis=(1, 2)) for x in _cut(maps(setting))], axis=1)
    if section == "mixed":
        return np.stack([[cell.max(axis=(0, 1)) for cell in _cut(x)] for x in mixed_maps()])
    if section in ("windows", "apart"):
        x = feature_map()
        cut = (x[top:bottom, left:right] for top, left, bottom, right in windows(setting))
        return np.stack([[cell.max(axis=(0, 1)) for cell in _cut(window)] for window in cut])
    if section in ("gradient", "mixed gradient"):
        batch = mixed_maps() if section == "mixed gradient" else list(maps(setting))
        gradients = map(_expected_gradient, batch, upstream(len(batch)))
        return np.concatenate([gradient.reshape(-1, CHANNELS) for gradient in gradients])
    if section == "windows gradient":
        x, edges = feature_map(), windows(setting)
        # Thousands of windows meet in a cell: in float32 their sum would depend on the order.
        gradient = np.zeros(x.shape, "float64")
        for (top, left, bottom, right), arriving in zip(edges, upstream(len(edges)), strict=True):
            inside = np.s_[top:bottom, left:right]
            gradient[inside] += _expected_gradient(x[inside], arriving)
        return gradient.reshape(-1, CHANNELS)
    return None


def _expected_gradient(x: np.ndarray, upstream: np.ndarray) -> np.ndarray:
    gradient = np.zeros_like(x)
    upstream = upstream.reshape(BINS, CHANNELS)
    for cells, slopes, arriving in zip(_cut(x), _cut(gradient), upstream, strict=True):
        # Normal deviates do not tie, so that there is nothing to share.
        slopes += (cells == cells.max(axis=(0, 1))) * arriving
    return gradient


def _cut(x: np.ndarray) -> Iterator[np.ndarray]:
    """Views of the cells of every bin of `(..., height, width, channels)`."""
    for bins in LEVELS:
        for i in range(bins):
            for j in range(bins):
                rows, columns = edges(i, x.shape[-3], bins), edges(j, x.shape[-2], bins)
                yield x[..., slice(*rows), slice(*columns), :]


def _normal(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, "float32")
