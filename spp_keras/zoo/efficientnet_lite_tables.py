"""The networks of EfficientNet-Lite as rows of numbers, which need no Keras."""

import math
from collections.abc import Iterator
from typing import NamedTuple


class Variant(NamedTuple):
    """What one network of the family has of its own: factors on filters and on repeats."""

    name: str
    title: str
    width: float
    depth: float


class Stage(NamedTuple):
    """Inverted residual blocks of one width; the first of them has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


class Block(NamedTuple):
    """An inverted residual block: expand channels, look around in each, project."""

    name: str
    kernel: int
    stride: int
    expansion: int
    filters: int


LITE0 = Variant("efficientnet_lite0", "EfficientNet-Lite0", width=1.0, depth=1.0)
LITE1 = Variant("efficientnet_lite1", "EfficientNet-Lite1", width=1.0, depth=1.1)
LITE2 = Variant("efficientnet_lite2", "EfficientNet-Lite2", width=1.1, depth=1.2)
VARIANTS = (LITE0, LITE1, LITE2)

_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
# The lite networks scale neither the first convolution nor the last.
STEM_FILTERS, TOP_FILTERS = 32, 1280


def list_blocks(variant: Variant, width: float = 1.0) -> Iterator[Block]:
    """The blocks of a network in their order.

    Args:
        variant: The network.
        width: Factor on its filters. Defaults to 1.

    Example:

    >>> blocks = list(list_blocks(LITE0))
    >>> len(blocks), blocks[-1]
    (16, Block(name='block7a', kernel=3, stride=1, expansion=6, filters=320))
    """
    for number, stage in enumerate(_STAGES, start=1):
        # Neither the first stage nor the last one is made deeper.
        is_scaled = 1 < number < len(_STAGES)
        repeats = math.ceil(stage.repeats * variant.depth) if is_scaled else stage.repeats
        for index in range(repeats):
            yield Block(
                name=f"block{number}{chr(ord('a') + index)}",
                kernel=stage.kernel,
                stride=stage.stride if index == 0 else 1,
                expansion=stage.expansion,
                filters=_round_filters(stage.filters * variant.width * width),
            )


def scale_filters(filters: int, width: float) -> int:
    """Filters of the first or the last convolution in a network of another width."""
    return max(1, round(filters * width))


def _round_filters(filters: float) -> int:
    """The nearest multiple of eight that is not smaller by more than a tenth."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded
