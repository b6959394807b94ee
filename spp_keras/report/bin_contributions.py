"""What each bin of the pyramid adds to the score of an answer, and where it found it."""

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
        windows: `(bins, 4)` cells of the bins, see `bins.windows`.
        channels: `(bins,)` the channel that adds most in each.
        cells: `(bins, 2)` row and column that its maximum came from.
        strongest: `(bins,)` what it adds.
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
    values, cells = pyramid_bins.maxima(feature_map, levels)
    added = values * slopes
    channels, bins = added.argmax(axis=1), np.arange(len(added))
    return BinContributions(
        levels=levels,
        windows=pyramid_bins.windows(levels, *feature_map.shape[:2]),
        channels=channels,
        cells=cells[bins, channels],
        strongest=added[bins, channels],
        totals=added.sum(axis=1),
        score=float(score),
    )
