"""What each bin of the pyramid adds to the score of an answer, and where it found it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras import geometry
from spp_keras.report import pyramid_bins
from spp_keras.zoo import model_parts


class BinContributions(NamedTuple):
    """What a network took from an image for an answer.

    Behind the pyramid the network is linear but for where its ReLUs bend, so that the score
    of a class before the softmax is what all bins and channels add, value times gradient, and
    what biases add.

    Args:
        levels: `(rows, columns)` of each level.
        windows: `(bins, 4)` cells of the bins, see `pyramid_bins.windows`.
        channels: `(bins,)` the channel that adds most in each bin, or in its cell of `cells`
            if bins are means.
        cells: `(bins, 2)` row and column that the maximum of this channel came from, or of the
            cell that adds most with all its channels if bins are means.
        strongest: `(bins,)` what this channel adds, or this cell.
        totals: `(bins,)` what all channels of the bin add.
        score: Of the class, before the softmax.
    """

    levels: tuple[geometry.Level, ...]
    windows: np.ndarray
    channels: np.ndarray
    cells: np.ndarray
    strongest: np.ndarray
    totals: np.ndarray
    score: float


def compute_bin_contributions(
    parts: model_parts.ModelParts, pixels: np.ndarray, class_index: int
) -> BinContributions:
    """What a network took from an image.

    Args:
        parts: The network, cut at its pyramid, a layer of its scores at its end.
        pixels: `(height, width, 3)` as the network sees it.
        class_index: Of the class that is answered.

    Example:

    >>> parts = model_parts.split_model(zf5_spp(classes=2, width=0.0625, levels=(2, 1)))
    >>> compute_bin_contributions(parts, np.zeros((64, 80, 3)), 1).cells.shape
    (5, 2)
    """
    maps = parts.trunk(tf.cast(pixels[np.newaxis], tf.float32))
    pooled = parts.pooling(maps)
    *hidden, last = parts.top
    with tf.GradientTape() as tape:
        tape.watch(pooled)
        x = pooled
        for layer in hidden:
            x = layer(x)
        # Its activation left out: a softmax would mix in the other classes.
        x = tf.cast(x, last.kernel.dtype)
        score = tf.linalg.matvec(x, last.kernel[:, class_index])[0] + last.bias[class_index]
    feature_map, levels = maps[0].numpy(), parts.pooling.levels
    slopes = tape.gradient(score, pooled).numpy().reshape(-1, feature_map.shape[-1])
    split = _split_maxima if parts.pooling.mode == "max" else _split_means
    windows = pyramid_bins.windows(levels, *feature_map.shape[:2])
    return BinContributions(
        levels, windows, *split(feature_map, levels, slopes), score=float(score)
    )


# Channels, cells, what is strongest and totals.
_Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _split_maxima(
    feature_map: np.ndarray, levels: Sequence[geometry.Level], slopes: np.ndarray
) -> _Parts:
    """Of bins that are maxima, each of one cell."""
    values, cells = pyramid_bins.maxima(feature_map, levels)
    added = values * slopes
    channels, bins = added.argmax(axis=1), np.arange(len(added))
    return channels, cells[bins, channels], added[bins, channels], added.sum(axis=1)


def _split_means(
    feature_map: np.ndarray, levels: Sequence[geometry.Level], slopes: np.ndarray
) -> _Parts:
    """Of bins that are means, to which all of their cells add."""
    windows = pyramid_bins.windows(levels, *feature_map.shape[:2])
    channels, cells, strongest, totals = [], [], [], []
    for (top, left, bottom, right), bin_slopes in zip(windows, slopes, strict=True):
        inside = feature_map[top:bottom, left:right]
        added = inside * bin_slopes / (inside.shape[0] * inside.shape[1])
        by_cell = added.sum(axis=-1, dtype="float32")
        row, column = np.unravel_index(by_cell.argmax(), by_cell.shape)
        channels.append(added[row, column].argmax())
        cells.append((top + row, left + column))
        strongest.append(by_cell[row, column])
        totals.append(by_cell.sum())
    return np.array(channels), np.array(cells), np.array(strongest), np.array(totals)
