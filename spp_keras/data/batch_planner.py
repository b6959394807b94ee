"""The batches of an epoch, a function of seed and epoch alone."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras import _checks

# Images whose logarithms of height and of width differ by less may be exchanged between batches,
# so that batches differ from epoch to epoch.
_EXCHANGE_TOLERANCE = 0.04


class EpochPlan(NamedTuple):
    """The batches of an epoch.

    Args:
        order: Indices of the images in order.
        starts: Where in `order` each batch begins.
        stops: Where in `order` each batch ends, exclusive.
    """

    order: tf.Tensor
    starts: tf.Tensor
    stops: tf.Tensor


class BatchPlanner:
    """Divides images into batches of similar height and width, anew in each epoch.

    Images are split in half by height or width, whichever varies more, and the halves again,
    until a part is a batch. That is done once, so that every epoch has the same number of
    batches. In each epoch images of nearly the same height and width are exchanged at
    random. Images without sizes, since all are sent at one, are only shuffled.

    Args:
        count: Number of images.
        batch_size: Maximum number of images in a batch. Batches differ by at most one image
            where `max_pixels` does not make them smaller.
        sizes: `(count, 2)` heights and widths. Defaults to `None`, all equal.
        max_pixels: Maximum number of pixels, padding included, in a batch of any epoch.
            Defaults to `None`, no limit.
        names: Names of the images, for errors. Defaults to `None`, their indices.
        shuffle: Whether epochs differ. Defaults to `True`.
        seed: Seed of the shuffling. Defaults to 0.

    Example:

    >>> planner = BatchPlanner(10, 4, shuffle=False)
    >>> planner.steps
    3
    >>> plan = planner.epoch(0)
    >>> plan.starts.numpy().tolist(), plan.stops.numpy().tolist()
    ([0, 3, 6], [3, 6, 10])
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
        sizes: np.ndarray | None = None,
        max_pixels: int | None = None,
        names: Any = None,
        shuffle: bool = True,
        seed: int = 0,
    ):
        self.count = _checks.at_least(count, 1, "count")
        _checks.at_least(batch_size, 1, "batch_size")
        if max_pixels is not None:
            _checks.at_least(max_pixels, 1, "max_pixels")
        self.shuffle, self.seed = shuffle, seed
        if sizes is None:
            batches = -(-count // batch_size)
            self.cuts = np.arange(batches + 1) * count // batches
            self._order, self._log_sizes = tf.range(count), None
        else:
            sizes = _check_sizes(sizes, max_pixels, names)
            slack = np.exp(_EXCHANGE_TOLERANCE) if shuffle else 1.0
            self.cuts, order = _split_by_size(sizes, batch_size, max_pixels, slack)
            # Tensors, which graphs refer to; arrays would be copied into each of them.
            self._order = tf.constant(order, tf.int32)
            self._log_sizes = tf.constant(np.log(sizes[order]))

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
            order = tf.gather(order, self._exchange(epoch))
            batch_order = _draw_permutation(self.steps, (self.seed + 1, epoch))
            starts, stops = tf.gather(starts, batch_order), tf.gather(stops, batch_order)
        return EpochPlan(order, starts, stops)

    def list_batches(self, epoch: int) -> list[np.ndarray]:
        """Indices of the images of each batch of an epoch."""
        order, starts, stops = (tensor.numpy() for tensor in self.epoch(epoch))
        return [order[start:stop] for start, stop in zip(starts, stops, strict=True)]

    def _exchange(self, epoch: tf.Tensor) -> tf.Tensor:
        """A permutation that exchanges images of nearly the same size."""
        permutation = _draw_permutation(self.count, (self.seed, epoch))
        if self._log_sizes is None:
            return permutation
        # Cells of a grid with an offset of its own in every epoch, so that no two similar sizes
        # are on two sides of a line in all epochs.
        offset = tf.random.stateless_uniform((2,), (self.seed + 2, epoch), dtype=tf.float64)
        cells = tf.cast(self._log_sizes / _EXCHANGE_TOLERANCE + offset, tf.int32)
        cells = cells[:, 0] * (tf.reduce_max(cells) + 1) + cells[:, 1]
        by_cell = tf.argsort(cells, stable=True)
        shuffled_cells = tf.gather(cells, permutation)
        shuffled_by_cell = tf.gather(permutation, tf.argsort(shuffled_cells, stable=True))
        return tf.gather(shuffled_by_cell, tf.argsort(by_cell))


def check_start_step(start_step: int, steps_per_epoch: int, repeat: bool) -> None:
    """Raises unless a dataset can begin with a batch.

    Args:
        start_step: Index of the batch, counted from the first epoch on.
        steps_per_epoch: Number of batches in an epoch.
        repeat: Whether the dataset is endless.
    """
    _checks.at_least(start_step, 0, "start_step")
    if not repeat and start_step % steps_per_epoch:
        raise ValueError(
            "`start_step` must be the first batch of an epoch, a multiple of "
            "`steps_per_epoch`, where the dataset ends with each epoch: give `repeat=True` "
            f"for an endless one. Received: start_step={start_step} with "
            f"steps_per_epoch={steps_per_epoch}."
        )


def count_epochs(first: int, repeat: bool) -> tf.data.Dataset:
    """Indices of epochs: endless, or one, which is one more when the dataset is iterated again."""
    if repeat:
        return tf.data.Dataset.range(first, np.iinfo("int32").max)
    # Counted at the first element, not by iterators: Keras makes more of them than it uses.
    counter = itertools.count(first)
    return tf.data.Dataset.from_tensors(0).map(
        lambda _: tf.ensure_shape(
            tf.numpy_function(lambda: np.int64(next(counter)), [], tf.int64), ()
        )
    )


def _check_sizes(sizes: Any, max_pixels: int | None, names: Any) -> np.ndarray:
    sizes = np.asarray(sizes)
    if sizes.ndim != 2 or sizes.shape[1] != 2 or not np.issubdtype(sizes.dtype, np.integer):
        raise ValueError(
            "`sizes` must be integers of the shape (images, 2), heights and widths. "
            f"Received: sizes of the shape {sizes.shape} and dtype {sizes.dtype}."
        )

    def describe(index: int) -> str:
        name = "" if names is None else f" {str(names[index])!r}"
        height, width = sizes[index]
        return f"image {index}{name} of {height}x{width} pixels"

    if sizes.min() < 1:
        index = int(sizes.min(axis=1).argmin())
        raise ValueError(f"`sizes` must be at least 1. Received: {describe(index)}.")
    pixels = sizes.prod(axis=1, dtype="int64")
    if max_pixels is not None and pixels.max() > max_pixels:
        raise ValueError(
            f"`max_pixels` must be at least {pixels.max()}, so that every image fits into a batch "
            "alone: raise it, or scale large images down by `longest_side`. Received: "
            f"max_pixels={max_pixels} with {describe(int(pixels.argmax()))}."
        )
    return sizes


def _draw_permutation(count: int, seed: Sequence[Any]) -> tf.Tensor:
    return tf.argsort(tf.random.stateless_uniform((count,), seed, None, None, tf.int32))


def _split_by_size(
    sizes: np.ndarray, batch_size: int, max_pixels: int | None, slack: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts between batches, and the order of images that the cuts are for."""
    log_sizes, max_size = np.log(sizes), sizes.max(axis=0)
    order, cuts, parts = np.arange(len(sizes)), [], [(0, len(sizes))]
    while parts:
        start, stop = parts.pop()
        part = order[start:stop]
        axis = int(np.ptp(log_sizes[part], axis=0).argmax())
        part = part[np.argsort(log_sizes[part, axis], kind="stable")]
        order[start:stop] = part
        # No image that is exchanged into the part is larger.
        largest = np.minimum(sizes[part].max(axis=0) * slack, max_size)
        fits_pixels = max_pixels is None or len(part) * largest.prod() <= max_pixels
        if len(part) == 1 or (len(part) <= batch_size and fits_pixels):
            cuts.append(start)
        else:
            middle = start + _find_middle(sizes[part], batch_size, max_pixels)
            parts += [(start, middle), (middle, stop)]
    return np.array([*sorted(cuts), len(sizes)]), order


def _find_middle(sizes: np.ndarray, batch_size: int, max_pixels: int | None) -> int:
    """Index at which a sorted part is cut in two."""
    count = len(sizes)
    if max_pixels is None:
        batches = -(-count // batch_size)
        return batches // 2 * count // batches
    area = np.cumsum(sizes.prod(axis=1, dtype="int64"))
    return int(np.clip(np.searchsorted(area, area[-1] / 2) + 1, 1, count - 1))
