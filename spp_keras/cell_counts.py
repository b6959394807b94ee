"""How many cells a side of an image has on a feature map: integer arithmetic without tensors."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

Step = tuple[int, int, int]


class CellCount(NamedTuple):
    """The number of cells along a side of a feature map, from the pixels of the image's side.

    Every step `(multiply, add, divide)` maps `n` to `floor((n * multiply + add) / divide)`:
    convolutions, poolings and paddings add and divide, upsampling multiplies. Steps that are
    one are merged, so two counts that are equal for every image mostly are equal objects.

    Args:
        steps: The steps, in their order. Defaults to none: a cell is a pixel.

    Example:

    >>> count = CellCount().slide(kernel=7, stride=2).slide(kernel=3, stride=2)
    >>> count, count.of(224), count.stride
    (CellCount(steps=((1, -7, 4),)), 54, Fraction(4, 1))
    """

    steps: tuple[Step, ...] = ()

    @classmethod
    def from_steps(cls, steps: Sequence[Sequence[int]]) -> "CellCount":
        """A count from steps as a file holds them."""
        return cls(tuple((int(step[0]), int(step[1]), int(step[2])) for step in steps))

    def slide(self, kernel: int, stride: int = 1) -> "CellCount":
        """The count behind a convolution or pooling without padding."""
        return self._then(1, stride - kernel, stride)

    def slide_same(self, stride: int = 1) -> "CellCount":
        """The count behind a convolution or pooling with "same" padding."""
        return self._then(1, stride - 1, stride)

    def pad(self, cells: int) -> "CellCount":
        """The count behind a padding by so many cells in all; a cropping if negative."""
        return self._then(1, cells, 1)

    def upsample(self, factor: int) -> "CellCount":
        """The count behind an upsampling."""
        return self._then(factor, 0, 1)

    def of(self, pixels: Any) -> Any:
        """The number of cells of a side; an int or an integer tensor."""
        for multiply, add, divide in self.steps:
            pixels = (pixels * multiply + add) // divide
        return pixels

    @property
    def stride(self) -> Fraction:
        """Pixels from one cell to the next."""
        product = Fraction(1)
        for multiply, _, divide in self.steps:
            product *= Fraction(divide, multiply)
        return product

    def place(self, pixels: Any) -> Any:
        """The cell that an image begins at which begins at a pixel of its canvas."""
        stride = self.stride
        return (pixels * stride.denominator) // stride.numerator

    def _then(self, multiply: int, add: int, divide: int) -> "CellCount":
        if self.steps:
            *steps, (first_multiply, first_add, first_divide) = self.steps
            if multiply == 1:
                step = (first_multiply, first_add + first_divide * add, first_divide * divide)
                return _simplify(steps, step)
            if first_divide == 1:
                step = (first_multiply * multiply, first_add * multiply + add, divide)
                return _simplify(steps, step)
        return _simplify(self.steps, (multiply, add, divide))


def _simplify(steps: Sequence[Step], last: Step) -> CellCount:
    multiply, add, divide = last
    factor = math.gcd(multiply, divide)
    if factor > 1:
        # floor((f m n + a) / (f d)) = floor((m n + floor(a / f)) / d)
        multiply, add, divide = multiply // factor, add // factor, divide // factor
    last = (multiply, add, divide)
    return CellCount((*steps, last) if last != (1, 0, 1) else tuple(steps))
