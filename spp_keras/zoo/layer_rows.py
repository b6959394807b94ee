"""The layers of a network as rows of numbers, and the grids that follow from them.

The paper's tables and the networks read from Caffe's files are rows of these types.
`spp_keras.zoo.layer_builder` builds Keras layers from them. No tensors are needed here.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from spp_keras.geometry import CellGrid, Level

# Name of the last layer, however many classes it has. Loading weights relies on it.
PREDICTIONS = "predictions"


class Conv(NamedTuple):
    """A convolution and its ReLU. Map sizes round down.

    Args:
        filters: Number of filters.
        kernel: Height and width of the kernel.
        stride: Stride in both directions.
        padding: Zeros added on each side.
        groups: Number of groups of channels in the weights of a file. The layer itself has
            the full kernel, with zeros between groups.
        bias: Whether there are biases.
        relu: Whether a ReLU follows.
        name: Name of the layer. Empty for `conv1`, `conv2` and so on.
    """

    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = True
    relu: bool = True
    name: str = ""

    def grid_after(self, grid: CellGrid) -> CellGrid:
        """The grid of the output map, from that of the input map."""
        return grid.after_layer(self.kernel, self.stride, self.padding)


class Norm(NamedTuple):
    """Local response normalization, see `spp_keras.layers.LocalResponseNormalization`."""

    region: Literal["across", "within"]
    size: int
    alpha: float
    bias: float
    beta: float = 0.75
    name: str = ""

    def grid_after(self, grid: CellGrid) -> CellGrid:
        """The grid of the output map, from that of the input map."""
        return grid


class Pool(NamedTuple):
    """Max pooling. With `ceil_mode` map sizes round up, as in Caffe."""

    kernel: int
    stride: int
    padding: int = 0
    ceil_mode: bool = False
    name: str = ""

    def grid_after(self, grid: CellGrid) -> CellGrid:
        """The grid of the output map, from that of the input map."""
        return grid.after_layer(self.kernel, self.stride, self.padding, ceil_mode=self.ceil_mode)


class Relu(NamedTuple):
    """A ReLU that is a layer of its own."""

    name: str


class Dropout(NamedTuple):
    """Dropout. `scale` is the factor at test time in the Caffe of SPP-net's authors."""

    rate: float
    name: str
    scale: float = 1.0


class Pyramid(NamedTuple):
    """Spatial pyramid pooling, levels in the order of the dense weights after it."""

    levels: tuple[Level, ...]


class Dense(NamedTuple):
    """A dense layer. Its weights from a Caffe file are multiplied by `scale`."""

    units: int
    activation: str | None
    name: str
    bias: bool = True
    scale: float = 1.0


TrunkRow = Conv | Norm | Pool | Relu | Dropout
TopRow = Dense | Relu | Dropout
Row = TrunkRow | Pyramid | Dense


def list_grids(rows: Sequence[Row]) -> Iterator[tuple[Row, CellGrid, CellGrid]]:
    """Each row with the grids of its input map and of its output map.

    Example:

    >>> [after.stride for _, _, after in list_grids((Conv(8, 3, stride=2), Pool(2, 2)))]
    [2, 4]
    """
    before = CellGrid()
    for row in rows:
        after = row.grid_after(before) if isinstance(row, Conv | Norm | Pool) else before
        yield row, before, after
        before = after


def last_grid(rows: Sequence[Row]) -> CellGrid:
    """The grid of the output map of the last row."""
    return [CellGrid(), *(after for _, _, after in list_grids(rows))][-1]


def min_image_size(rows: Sequence[Row]) -> int:
    """The shortest image side that every row can map.

    Example:

    >>> min_image_size((Conv(8, 7), Pool(3, 2)))
    9
    """
    return max((after.min_pixels() for _, _, after in list_grids(rows)), default=1)


def count_convolutions(rows: Sequence[Row]) -> int:
    """Number of convolutions, after which dense layers are numbered."""
    return sum(isinstance(row, Conv) for row in rows)


def name_rows(rows: Sequence[Any]) -> list[Any]:
    """The same rows, those without a name numbered after the convolution they belong to.

    Example:

    >>> [row.name for row in name_rows((Conv(8, 3), Pool(2, 2), Conv(8, 3)))]
    ['conv1', 'pool1', 'conv2']
    """
    named, number = [], 0
    for row in rows:
        number += isinstance(row, Conv)
        named.append(
            row if row.name else row._replace(name=f"{type(row).__name__.lower()}{number}")
        )
    return named
