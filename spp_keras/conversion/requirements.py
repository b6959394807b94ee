"""What a converted network requires of images and of their places on canvases."""

import math
from typing import Any, Literal

from spp_keras.canvas_rules import CanvasRules
from spp_keras.cell_counts import CellCount

# Longest image side that is tried where a rule holds for some sizes alone.
_MAX_PIXELS = 2048

Axis = Literal[0, 1]
EqualCells = tuple[str, int, CellCount, CellCount]


class Requirements:
    """Collects what layers require while a graph is converted.

    Example:

    >>> requirements = Requirements()
    >>> requirements.require_cells(0, CellCount().slide(kernel=5, stride=2))
    >>> requirements.resolve()[0]
    5
    """

    def __init__(self) -> None:
        self._free_cells: tuple[dict[CellCount, int], ...] = ({}, {})
        self._counts: tuple[set[CellCount], ...] = (set(), set())
        self._equal_cells: list[EqualCells] = []

    def require_free(self, axis: int, count: CellCount, cells: int) -> None:
        """Demands so many free cells between images on a map."""
        free = self._free_cells[axis]
        free[count] = max(free.get(count, 0), cells)

    def require_cells(self, axis: int, count: CellCount) -> None:
        """Demands that every image has a cell on a map."""
        self._counts[axis].add(count)

    def require_equal(self, name: str, axis: int, first: CellCount, second: CellCount) -> None:
        """Demands that every image has as many cells on two maps that a layer merges."""
        if first.stride != second.stride:
            raise ValueError(
                f"Layer {name!r} merges maps of different strides, {first.stride} and "
                f"{second.stride} pixels. Leave it out, or run the model on one image at a time "
                "by `any_size(model, per_image=True)`."
            )
        self._equal_cells.append((name, axis, first, second))

    def resolve(self) -> tuple[int, CanvasRules, list[EqualCells]]:
        """The shortest side of images, the rules for canvases, and counts that must be equal."""
        sides = [self._find_min_side(axis) for axis in (0, 1)]
        stride = math.lcm(
            1, *(count.stride.numerator for counts in self._counts for count in counts)
        )
        rules = CanvasRules(stride, *(tuple(free.items()) for free in self._free_cells))
        equal_cells = [
            demand
            for axis in (0, 1)
            for demand in _drop_implied_demands(
                [demand for demand in self._equal_cells if demand[1] == axis], max(sides)
            )
        ]
        return max(sides), _drop_implied(rules), equal_cells

    def _find_min_side(self, axis: int) -> int:
        for pixels in range(1, _MAX_PIXELS):
            if all(count.of(pixels) >= 1 for count in self._counts[axis]):
                return pixels
        raise ValueError(
            f"`model` must have cells left behind every layer for images of {_MAX_PIXELS} pixels."
        )


def _drop_implied_demands(demands: list[EqualCells], min_side: int) -> list[EqualCells]:
    """The demands that hold for fewer sides of images than those before them together."""
    kept = []
    sides = list(range(min_side, _MAX_PIXELS))
    for name, axis, first, second in demands:
        equal = [pixels for pixels in sides if first.of(pixels) == second.of(pixels)]
        if not equal:
            raise ValueError(
                f"Layer {name!r} merges maps that have one size for no image. Build the model for "
                "the size that it was made for, if it pads or crops its maps by their size."
            )
        if len(equal) < len(sides):
            kept.append((name, axis, first, second))
        sides = equal
    return kept


def _drop_implied(rules: CanvasRules) -> CanvasRules:
    """The same rules without those that follow from the others."""
    kept: dict[str, Any] = {"rows": rules.rows, "columns": rules.columns}
    # A footprint is that of an image `stride` pixels smaller, and `stride` more.
    pixels = range(_MAX_PIXELS, _MAX_PIXELS + rules.stride)
    for name in kept:
        needed = [rules.footprint(n, n) for n in pixels]
        for rule in kept[name]:
            fewer = {**kept, name: tuple(other for other in kept[name] if other != rule)}
            candidate = CanvasRules(rules.stride, **fewer)
            if [candidate.footprint(n, n) for n in pixels] == needed:
                kept = fewer
    return CanvasRules(rules.stride, **kept)
