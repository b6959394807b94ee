"""Which images go into a batch together, and in which order: a function of seed and epoch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras import _checks

# Images that differ by less than so much in height, and in width, as logarithms, may take
# each other's place, so that an image does not meet the same others in every epoch.
_ALIKE = 0.04


class EpochPlan(NamedTuple):
    """One epoch: image numbers in order, and where each batch of them begins and ends."""

    order: tf.Tensor
    starts: tf.Tensor
    stops: tf.Tensor


class BatchPlanner:
    """Divides images into batches of like height and width, anew in each epoch.

    Images are halved by their heights or widths, whichever differ more, then the
    halves again, until a part is a batch. That is done once, so that every epoch
    has the same number of batches; who is in them changes, because in each epoch
    images of nearly the same height and width change places. Images without
    sizes, since all are sent at one, are merely shuffled.

    Args:
        count: Number of images.
        batch_size: Most images in a batch. Batches differ by at most one image
            where `batch_pixels` does not make them smaller.
        shapes: `(count, 2)` heights and widths. Defaults to `None`, all equal.
        batch_pixels: Number of pixels, padding included, that a batch is kept
            to in every epoch. One image may have more. Defaults to `None`, no
            limit.
        shuffle: Whether epochs differ. Defaults to `True`.
        seed: Seed of all of it. Defaults to 0.

    Example:

    >>> batches = BatchPlanner(10, 4, shuffle=False)
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
        if batch_pixels is not None:
            _checks.at_least(batch_pixels, 1, "batch_pixels")
        self.shuffle, self.seed = shuffle, seed
        if shapes is None:
            parts = -(-count // batch_size)
            self.cuts = np.arange(parts + 1) * count // parts
            self._order, self._sides = tf.range(count), None
        else:
            shapes = np.asarray(shapes)
            slack = np.exp(_ALIKE) if shuffle else 1.0
            self.cuts, order = _halved(shapes, batch_size, batch_pixels, slack)
            # Tensors, which graphs refer to; arrays would be copied into each of them.
            self._order = tf.constant(order, tf.int32)
            self._sides = tf.constant(np.log(shapes[order]))

    @property
    def steps(self) -> int:
        """Number of batches in an epoch."""
        return len(self.cuts) - 1

    def epoch(self, epoch: Any) -> EpochPlan:
        """The plan of an epoch."""
        epoch = tf.cast(epoch, tf.int32)
        starts = tf.constant(self.cuts[:-1], tf.int32)
        stops = tf.constant(self.cuts[1:], tf.int32)
        order = self._order
        if self.shuffle:
            order = tf.gather(order, self._exchanged(epoch))
            among = _permutation(self.steps, (self.seed + 1, epoch))
            starts, stops = tf.gather(starts, among), tf.gather(stops, among)
        return EpochPlan(order, starts, stops)

    def _exchanged(self, epoch: tf.Tensor) -> tf.Tensor:
        """For each place the number of the one whose image it takes, of nearly the same size."""
        drawn = _permutation(self.count, (self.seed, epoch))
        if self._sides is None:
            return drawn
        # Cells of a grid, which lies elsewhere in every epoch, so that none are parted for good.
        offset = tf.random.stateless_uniform((2,), (self.seed + 2, epoch), dtype=tf.float64)
        cells = tf.cast(self._sides / _ALIKE + offset, tf.int32)
        cells = cells[:, 0] * (tf.reduce_max(cells) + 1) + cells[:, 1]
        by_cell = tf.argsort(cells, stable=True)
        drawn_by_cell = tf.gather(drawn, tf.argsort(tf.gather(cells, drawn), stable=True))
        return tf.gather(drawn_by_cell, tf.argsort(by_cell))


def _permutation(count: int, seed: Sequence[Any]) -> tf.Tensor:
    return tf.argsort(tf.random.stateless_uniform((count,), seed, None, None, tf.int32))


def _halved(
    shapes: np.ndarray, batch_size: int, batch_pixels: int | None, slack: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts between batches, and the order of images that they are for."""
    sides, most = np.log(shapes), shapes.max(axis=0)
    order, cuts, parts = np.arange(len(shapes)), [], [(0, len(shapes))]
    while parts:
        start, stop = parts.pop()
        part = order[start:stop]
        axis = int(np.ptp(sides[part], axis=0).argmax())
        part = part[np.argsort(sides[part, axis], kind="stable")]
        order[start:stop] = part
        # No image that takes another's place is larger than that.
        largest = np.minimum(shapes[part].max(axis=0) * slack, most)
        within = batch_pixels is None or len(part) * largest.prod() <= batch_pixels
        if len(part) == 1 or (len(part) <= batch_size and within):
            cuts.append(start)
        else:
            middle = start + _middle(shapes[part], batch_size, batch_pixels)
            parts += [(start, middle), (middle, stop)]
    return np.array([*sorted(cuts), len(shapes)]), order


def _middle(shapes: np.ndarray, batch_size: int, batch_pixels: int | None) -> int:
    """Where a sorted part is cut in two."""
    count = len(shapes)
    if batch_pixels is None:
        parts = -(-count // batch_size)
        return parts // 2 * count // parts
    area = np.cumsum(shapes.prod(axis=1, dtype="int64"))
    return int(np.clip(np.searchsorted(area, area[-1] / 2) + 1, 1, count - 1))
