"""How the images of a batch lie: padded to one size, or several on a canvas, by measured cost."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras.canvas_rules import CanvasRules
from spp_keras.packing import CanvasLayout, plan_canvases, separate_images

# Padded batches with so large a part that is image are not packed: no packer fills more.
_FULL = 0.93
# CPU time of a training step for each pixel, of one image a canvas with `placements` and of several
# a canvas, over that of a padded batch with `sizes`: `zf5_spp`, 16 images, two cores. Measured:
# 1.03 and 1.24 at width 0.25; 1.03 and 0.97 at width 1. The packed figure here lies between.
_COST_OF_PLACEMENTS, _COST_OF_PACKING = 1.03, 1.1
# Images are drawn on canvases in pieces of so many pixels: quicker than pixel by pixel.
_PIECE = 4
# Batches of an epoch that are laid out to tell whether canvases pay, and how full they are.
_SAMPLES = 32


def lay_images(sizes: Any, rules: CanvasRules | None) -> CanvasLayout:
    """Lays the images of a batch, in TensorFlow operations.

    Args:
        sizes: int32 `(images, 2)`, height and width of each.
        rules: Rules of the network; `None` for one image a canvas.

    Returns:
        A layout with one image a canvas, padded to the largest height and width, or one with
        several a canvas where that takes less time, by what a pixel of both costs.

    Example:

    >>> layout = lay_images([[30, 40], [50, 20]], None)
    >>> layout.placements.numpy().tolist()
    [[0, 0, 0, 30, 40], [1, 0, 0, 50, 20]]
    """
    sizes = tf.convert_to_tensor(sizes, tf.int32)
    if rules is None:
        return separate_images(sizes)
    padded = separate_images(sizes, _PIECE)
    image_pixels = tf.reduce_sum(tf.cast(tf.reduce_prod(sizes, axis=1), tf.float32))
    is_full = image_pixels >= _FULL * padded.count_pixels()

    def pack() -> CanvasLayout:
        packed = plan_canvases(sizes, rules, training=True)
        pays = _estimate_cost(packed) < _estimate_cost(padded)
        return tf.cond(pays, lambda: packed, lambda: padded)

    return tf.cond(is_full, lambda: padded, pack)


def count_padded_pixels(batches: Sequence[np.ndarray]) -> np.ndarray:
    """Pixels of each batch, padded: float64, from the sizes of its images."""
    pixels = [len(sizes) * sizes.max(axis=0).prod(dtype="float64") for sizes in batches]
    return np.array(pixels)


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
    padded = count_padded_pixels(batches).sum()
    # Quickly for most: a packer would have to fill more than it can.
    if _count_image_pixels(batches).sum() > _FULL / _COST_OF_PACKING * padded:
        return False
    return bool(_measure(batches, rules)[1] < padded)


def measure_pixels(batches: Sequence[np.ndarray], rules: CanvasRules | None) -> float:
    """Pixels that batches have, what lies around images included.

    Args:
        batches: Sizes of the images of each batch, `(images, 2)`. Of many, some are packed and
            the others taken to be like them.
        rules: Rules of the network; `None` for one image a canvas.
    """
    if rules is None:
        return float(count_padded_pixels(batches).sum())
    return _measure(batches, rules)[0]


def _measure(batches: Sequence[np.ndarray], rules: CanvasRules) -> tuple[float, float]:
    """Pixels of batches, and their cost in pixels of padded batches with `sizes`."""
    padded = count_padded_pixels(batches)
    is_full = _count_image_pixels(batches) >= _FULL * padded
    full, to_pack = padded[is_full].sum(), np.flatnonzero(~is_full)
    pixels, cost = full, full * _COST_OF_PLACEMENTS
    if len(to_pack):
        chosen = to_pack[:: -(-len(to_pack) // _SAMPLES)]
        measure = _make_measure(rules)
        laid = [measure(np.asarray(batches[index], "int32")).numpy() for index in chosen]
        mean = np.sum(laid, axis=0) / padded[chosen].sum()
        pixels, cost = np.array([pixels, cost]) + mean * padded[to_pack].sum()
    return float(pixels), float(cost)


def _count_image_pixels(batches: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([sizes.prod(axis=1, dtype="int64").sum() for sizes in batches])


@functools.lru_cache
def _make_measure(rules: CanvasRules) -> Any:
    def measure(sizes: Any) -> tf.Tensor:
        layout = lay_images(sizes, rules)
        return tf.stack([layout.count_pixels(), _estimate_cost(layout)])

    return tf.function(measure, input_signature=[tf.TensorSpec((None, 2), tf.int32)])


def _estimate_cost(layout: CanvasLayout) -> tf.Tensor:
    is_packed = layout.canvases < tf.shape(layout.placements)[0]
    return layout.count_pixels() * tf.where(is_packed, _COST_OF_PACKING, _COST_OF_PLACEMENTS)
