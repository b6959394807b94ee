"""Positions of bins and of feature map cells: integer arithmetic without tensors.

Every function takes plain integers; those that only add, multiply and divide
take integer tensors of any backend, too.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

Level = tuple[int, int]


def bin_edges(index: Any, length: Any, bins: int) -> tuple[Any, Any]:
    """First cell of a bin and the first cell after it.

    Bin `index` of `bins` over `length` cells covers cells
    `floor(index * length / bins)` up to, not including,
    `ceil((index + 1) * length / bins)` (Appendix A of the paper). Neighbors
    may share a cell; where there are more bins than cells, they must.

    Args:
        index: Index of the bin, from 0. Integer or integer tensor.
        length: Number of cells, at least 1. Integer or integer tensor.
        bins: Number of bins.

    Returns:
        The pair `(start, stop)`, half-open.

    Example:

    >>> [bin_edges(i, 10, 6) for i in range(6)]
    [(0, 2), (1, 4), (3, 5), (5, 7), (6, 9), (8, 10)]
    """
    return (index * length) // bins, ((index + 1) * length + bins - 1) // bins


def longest_bin(length: Any, bins: int) -> Any:
    """An upper bound of the cells in one of `bins` bins over at most `length` cells.

    The bound holds for every shorter length, too.

    Example:

    >>> longest_bin(13, 6), longest_bin(10, 6), longest_bin(4, 1)
    (3, 3, 4)
    """
    return (length + 2 * bins - 2) // bins


class PoolingWindow(NamedTuple):
    """One max pooling along an axis whose windows are the bins, see `pooling_window`."""

    groups: int
    size: int
    stride: int
    same_padding: bool


def pooling_window(length: int, bins: int) -> PoolingWindow | None:
    """The max pooling of one window size and stride that equals the bins of a length.

    With `g = gcd(length, bins)` the bins fall into `g` equal groups, and a reshape
    makes the groups items of the batch. In a group, `q * b + r` cells in `b` bins,
    `r` and `b` have no common divisor; for `b` in {1, 2, 3, 4, 6} `r` is 0, 1 or `b - 1`.
    For 0 and 1 the bins are windows of `q + r` at stride `q`; for `b - 1` they are
    windows of `q + 2` at stride `q + 1` that stick out by one cell on each side,
    as with "same" padding.

    Args:
        length: Number of cells.
        bins: Number of bins.

    Returns:
        The pooling, or `None` where there is none: fewer cells than bins, or another `r`.

    Example:

    >>> pooling_window(13, 6)
    PoolingWindow(groups=1, size=3, stride=2, same_padding=False)
    >>> pooling_window(10, 6)
    PoolingWindow(groups=2, size=3, stride=2, same_padding=True)
    """
    groups = math.gcd(length, bins)
    count = bins // groups
    quotient, rest = divmod(length // groups, count)
    if length < bins:
        return None
    if rest <= 1:
        return PoolingWindow(groups, quotient + rest, quotient, False)
    if rest == count - 1:
        return PoolingWindow(groups, quotient + 2, quotient + 1, True)
    return None


class LevelSource(NamedTuple):
    """What a pyramid level is pooled from: the feature map, or the grid of a finer level."""

    level: int
    source: int | None
    pool: Level


def derive_levels(levels: Sequence[Level]) -> list[LevelSource]:
    """The order in which to compute levels, each from the smallest possible grid.

    Where `n` divides `m`, a bin of `n` is exactly a union of bins of `m`
    (`floor(2iL/6) = floor(iL/3)`), so its maximum is the maximum over theirs:
    with `(6, 3, 2, 1)` only the 6x6 grid is pooled from the feature map.

    Args:
        levels: `(rows, columns)` pairs.

    Returns:
        A list of `(level, source, pool)`: the index of the level, the index of the
        level it is pooled from (`None` for the feature map) and the pool size.

    Example:

    >>> for step in derive_levels([(6, 6), (4, 4), (2, 2)]):
    ...     print(step.level, step.source, step.pool)
    0 None (1, 1)
    1 None (1, 1)
    2 1 (2, 2)
    """
    finest_first = sorted(range(len(levels)), key=lambda i: -levels[i][0] * levels[i][1])
    steps: list[LevelSource] = []
    for i in finest_first:
        rows, columns = levels[i]
        sources = [
            step.level
            for step in steps
            if levels[step.level][0] % rows == 0 and levels[step.level][1] % columns == 0
        ]
        if sources:
            source = min(sources, key=lambda j: levels[j][0] * levels[j][1])
            pool = (levels[source][0] // rows, levels[source][1] // columns)
            steps.append(LevelSource(i, source, pool))
        else:
            steps.append(LevelSource(i, None, (1, 1)))
    return steps


class CellGrid(NamedTuple):
    """Positions of the cells of a feature map on the image.

    Cell `i` is centered on pixel `first_center + stride * i`. With explicit
    symmetric padding these three numbers are enough: the map size is
    `floor((pixels + ceil_excess - 1 - 2 * first_center) / stride) + 1`
    for any number of layers.

    A pooling of stride `s` that rounds up has the cells that it would have,
    rounding down, on a feature map of `s - 1` cells more at its end:
    `ceil((L - k) / s) = floor((L + s - 1 - k) / s)`. So the map sizes are those
    of an image that is some pixels longer, and the centers stay.

    A layer of stride `s` with "same" padding pads more or less in front as the
    size of the image asks for, with the total stride as period. There the first
    center of a side of `pixels` is
    `first_center + shifts[pixels % len(shifts)]`, see `at`.

    Args:
        stride: Pixels from one cell to the next, the product of all strides.
        first_center: Pixel that cell 0 is centered on, 0-based. A multiple
            of one half.
        ceil_excess: Pixels added to the image size where layers round up.
        shifts: What is added to `first_center` for each remainder of the side of
            an image divided by their number. Defaults to `()`, nothing.

    Example:

    >>> grid = CellGrid().after_layer(kernel=7, stride=2, padding=3).after_layer(kernel=3, stride=2)
    >>> grid
    CellGrid(stride=4, first_center=2.0, ceil_excess=0, shifts=())
    >>> grid.map_size(224), grid.min_pixels()
    (55, 5)
    """

    stride: int = 1
    first_center: float = 0.0
    ceil_excess: int = 0
    shifts: tuple[float, ...] = ()

    def after_layer(
        self, kernel: int, stride: int = 1, padding: int = 0, *, ceil_mode: bool = False
    ) -> "CellGrid":
        """The grid after one more convolution or pooling, of a grid without `shifts`."""
        shift = self.stride * ((kernel - 1) / 2 - padding)
        excess = self.stride * (stride - 1) if ceil_mode else 0
        return CellGrid(self.stride * stride, self.first_center + shift, self.ceil_excess + excess)

    @classmethod
    def of(cls, model: Any) -> "CellGrid":
        """The grid of the feature map of a Keras model, for images of every size.

        Args:
            model: Functional or sequential `keras.Model` from images to one feature map,
                see `spp_keras.map_geometry`.

        Raises:
            ValueError: Where the geometry of a layer is unknown, with its name; or where
                rows and columns differ.

        Example:

        >>> convolution = keras.layers.Conv2D(4, 7, strides=2)
        >>> model = keras.Sequential([keras.layers.ZeroPadding2D(3), convolution])
        >>> CellGrid.of(model)
        CellGrid(stride=2, first_center=0.0, ceil_excess=0, shifts=())
        >>> model = keras.Sequential([keras.layers.Conv2D(4, 3, strides=2, padding="same")])
        >>> CellGrid.of(model)
        CellGrid(stride=2, first_center=1.0, ceil_excess=2, shifts=(0.0, -1.0))
        """
        from spp_keras import model_geometry

        rows, columns = model_geometry.map_axes(model)
        if rows != columns:
            raise ValueError(
                "`model` must treat rows and columns alike, as a grid has one stride for both. "
                f"Received: {model.name!r} with {rows} and {columns}."
            )
        first, *_ = centers = [
            (low + high) / 2 for low, high in zip(rows.low, rows.high, strict=True)
        ]
        shifts = _shorten_period([center - first for center in centers])
        return cls(rows.stride, first, 1 + int(2 * first) - rows.offset, shifts)

    def at(self, pixels: int) -> "CellGrid":
        """The grid along a side of so many pixels, without `shifts`.

        Example:

        >>> CellGrid(2, 1.0, 2, shifts=(0.0, -1.0)).at(223)
        CellGrid(stride=2, first_center=0.0, ceil_excess=0, shifts=())
        """
        if not self.shifts:
            return self
        shift = self.shifts[pixels % len(self.shifts)]
        excess = self.ceil_excess + int(2 * shift)
        return CellGrid(self.stride, self.first_center + shift, excess)

    def map_size(self, pixels: Any) -> Any:
        """Number of cells along a side of `pixels`; an int or a tensor."""
        return (pixels + self.ceil_excess - 1 - int(2 * self.first_center)) // self.stride + 1

    def min_pixels(self, cells: int = 1) -> int:
        """The shortest side that has `cells` cells."""
        return max(1, (cells - 1) * self.stride + 1 + int(2 * self.first_center) - self.ceil_excess)

    def max_pixels(self, cells: Any) -> Any:
        """The longest side that has `cells` cells; an int or a tensor."""
        return cells * self.stride + int(2 * self.first_center) - self.ceil_excess


def _shorten_period(shifts: Sequence[float]) -> tuple[float, ...]:
    """The first period of shifts that repeat, and none of shifts that are all zero."""
    count = len(shifts)
    periods = (n for n in range(1, count + 1) if count % n == 0)
    period = next(n for n in periods if all(shifts[i] == shifts[i % n] for i in range(count)))
    return tuple(shifts[:period]) if any(shifts) else ()


def scale_side(side: Any, reference: Any, length: Any) -> Any:
    """A side of an image that is scaled until a reference side has a length.

    Rounded to the nearest integer, halves up, and 1 or more.

    Args:
        side: Pixels of the side, an int or a tensor.
        reference: Pixels of the side that gets the length, such as the shorter one.
        length: Pixels of the reference side after scaling.

    Example:

    >>> [scale_side(side, 375, 256) for side in (375, 500)]
    [256, 341]
    """
    scaled = (2 * side * length + reference) // (2 * reference)
    return scaled + 1 // (scaled + 1)
