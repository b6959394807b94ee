"""Which parts of an image the paper looks at in testing: arithmetic on integers, no model.

A size is height and width. A window is left, top, right and bottom in pixels, ends exclusive.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from spp_keras import _checks

Size = tuple[int, int]
Window = tuple[int, int, int, int]

# Of the 96 views, for crops of 224; and the one of the ten.
_SIX = (224, 256, 300, 360, 448, 560)
_TEN = 256
_PAPER = 224


class View(NamedTuple):
    """A part of an image, as it is or as its mirror image.

    Args:
        window: Left, top, right and bottom in the image that is not mirrored.
        mirrored: Whether left is right in what is seen.
    """

    window: Window
    mirrored: bool = False


def center_view(size: Size, side: int) -> list[View]:
    """The square in the middle.

    Example:

    >>> center((256, 341), 224)
    [View(window=(58, 16, 282, 240), mirrored=False)]
    """
    return _squares(size, side, [(1, 1)])


def ten_views(size: Size, side: int) -> list[View]:
    """The paper's ten: the middle and the four corners of the whole image, and their mirror images.

    Positions that coincide are one: where the short side leaves no room three are left.

    Args:
        size: Height and width of the image.
        side: Side of the square.

    Example:

    >>> len(ten_views((256, 341), 224)), len(ten_views((224, 299), 224))
    (10, 6)
    """
    return _both_ways(_squares(size, side, [(1, 1), (0, 0), (0, 2), (2, 0), (2, 2)]))


def eighteen_views(size: Size, side: int) -> list[View]:
    """Middle, corners and the middles of the four sides, and their mirror images: 18, or fewer.

    Example:

    >>> [len(eighteen_views((short, short * 4 // 3), 224)) for short in six_short_sides(224)]
    [6, 18, 18, 18, 18, 18]
    """
    return _both_ways(_squares(size, side, [(i, j) for i in range(3) for j in range(3)]))


def whole_view(size: Size) -> list[View]:
    """All of an image.

    Example:

    >>> whole_view((256, 341))
    [View(window=(0, 0, 341, 256), mirrored=False)]
    """
    return [View((0, 0, size[1], size[0]))]


def whole_and_mirrored_views(size: Size) -> list[View]:
    """All of an image, and of its mirror image."""
    return _both_ways(whole_view(size))


def scale_size(size: Size, short_side: int) -> Size:
    """A size whose shorter side is brought to a length, the aspect kept as nearly as pixels allow.

    Example:

    >>> scale_size((375, 500), 256)
    (256, 341)
    """
    shorter = min(size)
    height, width = (
        max(1, (2 * length * short_side + shorter) // (2 * shorter)) for length in size
    )
    return height, width


def six_short_sides(side: int) -> tuple[int, ...]:
    """The six short sides that the 96 views are cut from; in proportion, if crops are not of 224.

    Example:

    >>> six_short_sides(224), six_short_sides(112)
    ((224, 256, 300, 360, 448, 560), (112, 128, 150, 180, 224, 280))
    """
    return tuple(_proportional(side, short) for short in _SIX)


def short_side_for(side: int) -> int:
    """The short side that ten views are cut from: 256, or in proportion.

    Example:

    >>> short_side_for(112)
    128
    """
    return _proportional(side, _TEN)


def view_size(short_side: int) -> int:
    """The side of views that belongs to a short side: 224 of 256.

    Example:

    >>> view_size(256), view_size(128)
    (224, 112)
    """
    return round(_checks.at_least(short_side, 1, "short_side") * _PAPER / _TEN)


def _proportional(side: int, short: int) -> int:
    return round(_checks.at_least(side, 1, "side") * short / _PAPER)


def _squares(size: Size, side: int, places: Sequence[tuple[int, int]]) -> list[View]:
    """Distinct squares; a place is 0, 1 or 2 down and across: first, middle, last."""
    if side > min(size):
        raise ValueError(
            "`side` must be at most the shorter side of the image that crops are cut from: take a "
            f"larger short side. Received: side={side} with an image of {tuple(size)}."
        )
    found: dict[View, None] = {}
    for down, across in places:
        top, left = (size[0] - side) * down // 2, (size[1] - side) * across // 2
        found[View((left, top, left + side, top + side))] = None
    return list(found)


def _both_ways(views: Iterable[View]) -> list[View]:
    views = list(views)
    return views + [View(view.window, True) for view in views]
