"""The paper's Table 1 as rows of numbers.

The paper prints filters, kernels, strides and map sizes. The paddings are ours:
with them and floor rounding the map sizes are the printed ones, and cells are a fixed
stride apart whatever the image's size.
"""

from typing import NamedTuple

from spp_keras.geometry import CellGrid
from spp_keras.zoo import layer_rows
from spp_keras.zoo.layer_rows import Conv, Norm, Pool


class Trunk(NamedTuple):
    """The convolutional part of a network, up to where a pyramid can be pooled.

    Args:
        name: Name of the network without a pyramid.
        title: Name in the paper.
        rows: Its layers.
        last_pool: Pooling of the network without a pyramid, to 6x6 cells.
    """

    name: str
    title: str
    rows: tuple[Conv | Norm | Pool, ...]
    last_pool: Pool

    @property
    def grid(self) -> CellGrid:
        """The grid of the last feature map: its stride and the center of its first cell."""
        return layer_rows.last_grid(self.rows)

    @property
    def min_size(self) -> int:
        """The shortest image side that every row can map."""
        return layer_rows.min_image_size(self.rows)

    @property
    def channels(self) -> int:
        """Channels of the last feature map."""
        return [row.filters for row in self.rows if isinstance(row, Conv)][-1]


# The paper prints no parameters of its normalizations. Those of ZF-5 are from the released
# network, Caffe's alpha of 5e-5 divided by the region's 9 cells. The other networks have those
# of the AlexNet paper.
_ZF_NORM = Norm("within", size=3, alpha=5e-5 / 9, bias=1.0)
_ALEX_NORM = Norm("across", size=5, alpha=1e-4, bias=2.0)

ZF5 = Trunk(
    "zf5",
    "ZF-5",
    (  #                                        224   180
        Conv(96, 7, stride=2, padding=3),  #    112    90
        _ZF_NORM,
        Pool(3, 2),  #                           55    44
        Conv(256, 5, stride=2, padding=1),  #    27    21
        _ZF_NORM,
        Pool(3, 2),  #                           13    10
        Conv(384, 3, padding=1),
        Conv(384, 3, padding=1),
        Conv(256, 3, padding=1),  #              13    10
    ),
    last_pool=Pool(3, 2),
)

# Krizhevsky's network with its pools moved after conv2 and conv3.
ALEXNET5 = Trunk(
    "alexnet5",
    "Convnet*-5",
    (
        Conv(96, 11, stride=4, padding=2),  #    55    44
        _ALEX_NORM,
        Conv(256, 5, padding=2),
        _ALEX_NORM,
        Pool(3, 2),  #                           27    21
        Conv(384, 3, padding=1),
        Pool(3, 2),  #                           13    10
        Conv(384, 3, padding=1),
        Conv(256, 3, padding=1),  #              13    10
    ),
    last_pool=Pool(3, 2),
)

_OVERFEAT_START = (
    Conv(96, 7, stride=2),  #                   109    87
    Pool(3, 3),  #                               36    29
    _ALEX_NORM,
    Conv(256, 5, padding=2),
    Pool(2, 2),  #                               18    14
)

OVERFEAT5 = Trunk(
    "overfeat5",
    "Overfeat-5",
    _OVERFEAT_START + 3 * (Conv(512, 3, padding=1),),
    last_pool=Pool(3, 3),
)

OVERFEAT7 = Trunk(
    "overfeat7",
    "Overfeat-7",
    _OVERFEAT_START + 5 * (Conv(512, 3, padding=1),),
    last_pool=Pool(3, 3),
)

TRUNKS = (ZF5, ALEXNET5, OVERFEAT5, OVERFEAT7)


def get_trunk(network: str) -> Trunk:
    """The trunk of a network, by its name with or without `_spp`.

    Example:

    >>> get_trunk("zf5_spp").title
    'ZF-5'
    """
    return next(trunk for trunk in TRUNKS if network.removesuffix("_spp") == trunk.name)
