"""How close images may lie on one canvas of a network: integer arithmetic without tensors."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from spp_keras.cell_counts import CellCount

FreeCells = tuple[tuple[CellCount, int], ...]


class CanvasRules(NamedTuple):
    """Where images may lie on a canvas so that a network maps each as if it were alone.

    An image begins at a multiple of `stride`. No other image lies in its footprint: its own
    pixels and so many behind it that on each map as many cells are free as a layer reaches
    beyond an image.

    Args:
        stride: Pixels that tops and lefts are multiples of. Defaults to 1.
        rows: Pairs of the count of rows on a map and of the rows to keep free there.
        columns: The same for columns.

    Example:

    >>> five_by_five = CellCount().slide_same(stride=32)
    >>> rules = CanvasRules(32, ((five_by_five, 2),), ((five_by_five, 2),))
    >>> rules.footprint(96, 97)
    (160, 192)
    """

    stride: int = 1
    rows: FreeCells = ()
    columns: FreeCells = ()

    def footprint(self, height: Any, width: Any, maximum: Callable[..., Any] = max) -> Any:
        """Height and width that an image takes up on a canvas; integers or integer tensors.

        Args:
            height: Height of the image.
            width: Width of the image.
            maximum: Function of two values. Defaults to Python's `max`.
        """
        sides = []
        for pixels, free_cells in ((height, self.rows), (width, self.columns)):
            side = pixels
            for count, free in free_cells:
                stride = count.stride
                needed = (count.of(pixels) + free) * stride.numerator
                side = maximum(side, (needed + stride.denominator - 1) // stride.denominator)
            sides.append((side + self.stride - 1) // self.stride * self.stride)
        return sides[0], sides[1]

    def get_config(self) -> dict[str, Any]:
        """The rules as numbers and lists."""
        free_cells = {
            name: [[[list(step) for step in count.steps], free] for count, free in cells]
            for name, cells in (("rows", self.rows), ("columns", self.columns))
        }
        return {"stride": self.stride, **free_cells}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CanvasRules":
        """The rules from what `get_config` returned."""
        return cls(config["stride"], *(_read(config[name]) for name in ("rows", "columns")))


def _read(free_cells: Sequence[Any]) -> FreeCells:
    return tuple((CellCount.from_steps(steps), int(free)) for steps, free in free_cells)
