"""Which images go into a batch together, and in which order: a function of seed and epoch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras import _checks

# Sizes are perturbed by up to so much before images are sorted into batches, so
# that an image does not meet the same others in every epoch.
_JITTER = 0.02


class Plan(NamedTuple):
    """One epoch: image numbers in order, and where each batch of them begins and ends."""

    order: tf.Tensor
    starts: tf.Tensor
    stops: tf.Tensor


class Batches:
    """Divides images into batches of like height and width, anew in each epoch.

    Images are halved by their heights or widths, whichever differ more, then the
    halves again, until a part is a batch. The halves' sizes are fixed, so that
    every epoch has the same number of batches; who is in them changes, because
    sizes are perturbed a little before each sort. Images without sizes, since
    all are sent at one, are merely shuffled.

    Args:
        count: Number of images.
        batch_size: Most images in a batch. Batches differ by at most one image
            where `batch_pixels` does not make them smaller.
        shapes: `(count, 2)` heights and widths. Defaults to `None`, all equal.
        batch_pixels: Number of pixels, padding included, that a batch is kept
            to. One image may have more; perturbing may exceed it by a tenth.
            Defaults to `None`, no limit.
        shuffle: Whether epochs differ. Defaults to `True`.
        seed: Seed of all of it. Defaults to 0.

    Example:

    >>> batches = Batches(10, 4, shuffle=False)
    >>> batches.steps
    3
    >>> plan = batches.epoch(0)
    >>> plan.starts.numpy().tolist(), plan.stops.numpy().tolist()
    ([0, 3, 6], [3, 6, 10])
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
        shapes: np.ndarray | None = None,
        batch_pixels: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
    ):
        self.count = _checks.at_least(count, 1, "count")
        _checks.at_least(batch_size, 1, "batch_size")
        self.shuffle, self.seed = shuffle, seed
        self._levels, self._sides = [], None
        if shapes is None:
            parts = -(-count // batch_size)
            self.cuts = np.arange(parts + 1) * count // parts
        else:
            # A tensor, which graphs refer to; an array would be copied into each of them.
            self._sides = tf.constant(np.log(shapes), tf.float32)
            self.cuts, self._levels = _halved(np.asarray(shapes), batch_size, batch_pixels)

    @property
    def steps(self) -> int:
        """Number of batches in an epoch."""
        return len(self.cuts) - 1

    def epoch(self, epoch: Any) -> Plan:
        """The plan of an epoch."""
        epoch = tf.cast(epoch, tf.int32)
        starts = tf.constant(self.cuts[:-1], tf.int32)
        stops = tf.constant(self.cuts[1:], tf.int32)
        if self._sides is not None:
            order = self._sorted(epoch)
        elif self.shuffle:
            order = _permutation(self.count, (self.seed, epoch))
        else:
            order = tf.range(self.count)
        if self.shuffle:
            among = _permutation(self.steps, (self.seed + 1, epoch))
            starts, stops = tf.gather(starts, among), tf.gather(stops, among)
        return Plan(order, starts, stops)

    def _sorted(self, epoch: Any) -> tf.Tensor:
        sides, order = self._sides, tf.range(self.count)
        if self.shuffle:
            # Equal sizes meet at random, too.
            order = _permutation(self.count, (self.seed, epoch))
            sides += tf.random.stateless_uniform(
                (self.count, 2), (self.seed + 2, epoch), -_JITTER, _JITTER
            )
        for cuts, axes in self._levels:
            part = tf.repeat(tf.range(len(axes)), np.diff(cuts))
            values = tf.gather(sides, order)
            value = tf.where(tf.gather(axes, part) == 0, values[:, 0], values[:, 1])
            order = tf.gather(order, _argsort(part, value))
        return order


def _argsort(part: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Sorts each part by itself: by value, then by part, keeping the order found."""
    by_value = tf.argsort(value, stable=True)
    return tf.gather(by_value, tf.argsort(tf.gather(part, by_value), stable=True))


def _permutation(count: int, seed: Sequence[Any]) -> tf.Tensor:
    return tf.argsort(tf.random.stateless_uniform((count,), seed, None, None, tf.int32))


def _halved(
    shapes: np.ndarray, batch_size: int, batch_pixels: int | None
) -> tuple[np.ndarray, list[tuple[np.ndarray, list[int]]]]:
    """Cuts between batches, and for each round of halving its parts and the axes it sorts by."""
    sides = np.log(shapes)
    order, cuts, levels = np.arange(len(shapes)), [0, len(shapes)], []
    while True:
        axes, further = [], [0]
        for start, stop in zip(cuts[:-1], cuts[1:], strict=True):
            part = order[start:stop]
            axis = int(np.ptp(sides[part], axis=0).argmax())
            part = part[np.argsort(sides[part, axis], kind="stable")]
            order[start:stop] = part
            middle = _middle(shapes[part], batch_size, batch_pixels)
            axes.append(axis)
            further += [stop] if middle is None else [start + middle, stop]
        if len(further) == len(cuts):
            return np.array(cuts), levels
        levels.append((np.array(cuts), axes))
        cuts = further


def _middle(shapes: np.ndarray, batch_size: int, batch_pixels: int | None) -> int | None:
    """Where a sorted part is cut in two; `None` where it is a batch."""
    count = len(shapes)
    pixels = count * int(shapes[:, 0].max()) * int(shapes[:, 1].max())
    fits = batch_pixels is None or pixels * (1 + 2 * _JITTER) <= batch_pixels
    if count == 1 or (count <= batch_size and fits):
        return None
    if batch_pixels is None:
        parts = -(-count // batch_size)
        return parts // 2 * count // parts
    area = np.cumsum(shapes.prod(axis=1, dtype="int64"))
    return int(np.clip(np.searchsorted(area, area[-1] / 2), 1, count - 1))
