"""How the images of a batch lie: padded to one size, or several on a canvas, by measured cost."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras.canvas_rules import CanvasRules
from spp_keras.packing import CanvasLayout, plan_canvases

# Padded batches with so large a part that is image are not packed: no packer fills more.
_FULL = 0.93
# Time of a training step for each pixel, over that of a padded batch with `sizes`. Measured with
# `zf5_spp` at widths 0.25 and 1 on two cores: see docs/mixed-sizes.md, "Cost of padding".
_COST_OF_PLACEMENTS = 1.05
# Batches of an epoch that are laid out to tell whether canvases pay, and how full they are.
_SAMPLES = 32


def lay_images(sizes: Any, rules: CanvasRules | None) -> CanvasLayout:
    """Lays the images of a batch, in TensorFlow operations.

    Args:
        sizes: int32 `(images, 2)`, height and width of each.
        rules: Rules of the network; `None` for one image a canvas.

    Returns:
        A layout with one image a canvas, padded to the largest height and width, or one with
        several a canvas where that has fewer pixels.

    Example:

    >>> layout = lay_images([[30, 40], [50, 20]], None)
    >>> layout.placements.numpy().tolist()
    [[0, 0, 0, 30, 40], [1, 0, 0, 50, 20]]
    """
    sizes = tf.convert_to_tensor(sizes, tf.int32)
    padded = _pad_images(sizes)
    if rules is None:
        return padded
    image_pixels = tf.reduce_sum(tf.cast(tf.reduce_prod(sizes, axis=1), tf.float32))
    is_full = image_pixels >= _FULL * _count_pixels(padded)

    def pack() -> CanvasLayout:
        packed = plan_canvases(sizes, rules)
        return tf.cond(_count_pixels(packed) < _count_pixels(padded), lambda: packed, lambda: padded)

    return tf.cond(is_full, lambda: padded, pack)


def pays_to_pack(batches: Sequence[np.ndarray], rules: CanvasRules | None) -> bool:
    """Whether batches on canvases take less time than padded ones with `sizes`.

    All batches of a dataset have one form, and each pixel costs more with placements than with
    sizes. So canvases pay where packing saves more than that, over some batches.

    Args:
        batches: Sizes of the images of each batch, `(images, 2)`.
        rules: Rules of the network; `None` for one image a canvas.

    Example:

    >>> pays_to_pack([np.array([[64, 64], [64, 60]])], CanvasRules(16))
    False
    >>> pays_to_pack([np.array([[320, 16], [16, 320], [64, 64]])], CanvasRules(16))
    True
    """
    if rules is None:
        return False
    padded, laid = measure_pixels(batches, None), measure_pixels(batches, rules)
    return laid * _COST_OF_PLACEMENTS < padded


def measure_pixels(batches: Sequence[np.ndarray], rules: CanvasRules | None) -> float:
    """Pixels that batches have, what lies around images included.

    Args:
        batches: Sizes of the images of each batch, `(images, 2)`. Of many, some are packed and
            the others taken to be like them.
        rules: Rules of the network; `None` for one image a canvas.
    """
    padded = np.array([len(sizes) * sizes.max(axis=0).prod(dtype="float64") for sizes in batches])
    images = np.array([sizes.prod(axis=1, dtype="int64").sum() for sizes in batches])
    to_pack = np.flatnonzero(images < _FULL * padded)
    if rules is None or not len(to_pack):
        return float(padded.sum())
    chosen = to_pack[:: -(-len(to_pack) // _SAMPLES)]
    count_laid = _make_counter(rules)
    laid = sum(float(count_laid(np.asarray(batches[index], "int32"))) for index in chosen)
    saved = 1 - laid / padded[chosen].sum()
    return float(padded.sum() - saved * padded[to_pack].sum())


@functools.lru_cache
def _make_counter(rules: CanvasRules) -> Any:
    return tf.function(
        lambda sizes: _count_pixels(lay_images(sizes, rules)),
        input_signature=[tf.TensorSpec((None, 2), tf.int32)],
    )


def _pad_images(sizes: Any) -> CanvasLayout:
    count, largest = tf.shape(sizes)[0], tf.reduce_max(sizes, axis=0)
    corners = tf.pad(tf.range(count)[:, tf.newaxis], [[0, 0], [0, 2]])
    placements = tf.concat([corners, sizes], axis=1)
    return CanvasLayout(count, largest[0], largest[1], placements, tf.constant(1))


def _count_pixels(layout: CanvasLayout) -> tf.Tensor:
    shape = tf.stack([layout.canvases, layout.height, layout.width])
    return tf.reduce_prod(tf.cast(shape, tf.float32))
