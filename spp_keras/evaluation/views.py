"""The paper's views of a test image: arithmetic on integers, no model.

A size is height and width. A window is left, top, right and bottom in pixels, ends exclusive.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from spp_keras import _checks, geometry
from spp_keras.data import size_policies

Size = tuple[int, int]
Window = tuple[int, int, int, int]

# Short sides of the six scales of the 96 views, for views of 224.
_SIX_SHORT_SIDES = (224, 256, 300, 360, 448, 560)


class View(NamedTuple):
    """A part of an image, as it is or mirrored.

    Args:
        window: Left, top, right and bottom in the image that is not mirrored.
        mirrored: Whether the window is mirrored from left to right.
    """

    window: Window
    mirrored: bool = False


def center_view(size: Size, view_size: int) -> list[View]:
    """The square at the center of an image.

    Example:

    >>> center_view((256, 341), 224)
    [View(window=(58, 16, 282, 240), mirrored=False)]
    """
    return _list_squares(size, view_size, [(1, 1)])


def ten_views(size: Size, view_size: int) -> list[View]:
    """The paper's ten views: center and corners of the whole image, and their mirror images.

    Equal views are listed once: if the view is as large as the short side, six are left.

    Args:
        size: Height and width of the image.
        view_size: Height and width of the views.

    Example:

    >>> len(ten_views((256, 341), 224)), len(ten_views((224, 299), 224))
    (10, 6)
    """
    return _add_mirrored(_list_squares(size, view_size, [(1, 1), (0, 0), (0, 2), (2, 0), (2, 2)]))


def eighteen_views(size: Size, view_size: int) -> list[View]:
    """Center, corners and middles of the four sides, and their mirror images: 18, or fewer.

    Example:

    >>> [len(eighteen_views((short, short * 4 // 3), 224)) for short in six_short_sides(224)]
    [6, 18, 18, 18, 18, 18]
    """
    return _add_mirrored(
        _list_squares(size, view_size, [(i, j) for i in range(3) for j in range(3)])
    )


def whole_view(size: Size) -> list[View]:
    """The whole image.

    Example:

    >>> whole_view((256, 341))
    [View(window=(0, 0, 341, 256), mirrored=False)]
    """
    return [View((0, 0, size[1], size[0]))]


def whole_and_mirrored_views(size: Size) -> list[View]:
    """The whole image and its mirror image."""
    return _add_mirrored(whole_view(size))


def scale_size(size: Size, short_side: int) -> Size:
    """The size of an image whose shorter side is scaled to a length.

    Example:

    >>> scale_size((375, 500), 256)
    (256, 341)
    """
    height, width = (geometry.scale_side(side, min(size), short_side) for side in size)
    return height, width


def six_short_sides(view_size: int) -> tuple[int, ...]:
    """Short sides of the six scales of the 96 views, in proportion to the size of the views.

    Example:

    >>> six_short_sides(224), six_short_sides(112)
    ((224, 256, 300, 360, 448, 560), (112, 128, 150, 180, 224, 280))
    """
    _checks.at_least(view_size, 1, "view_size")
    return tuple(
        round(view_size * short_side / size_policies.PAPER_IMAGE_SIZE)
        for short_side in _SIX_SHORT_SIDES
    )


def _list_squares(size: Size, view_size: int, positions: Sequence[tuple[int, int]]) -> list[View]:
    """Distinct squares at positions 0, 1 or 2 down and across: first, middle, last."""
    if view_size > min(size):
        raise ValueError(
            "`view_size` must be at most the shorter side of the image that views are cropped "
            f"from: take a larger `short_side`. Received: view_size={view_size} with an image of "
            f"{tuple(size)}."
        )
    squares: dict[View, None] = {}
    for down, across in positions:
        top, left = (size[0] - view_size) * down // 2, (size[1] - view_size) * across // 2
        squares[View((left, top, left + view_size, top + view_size))] = None
    return list(squares)


def _add_mirrored(views: Iterable[View]) -> list[View]:
    views = list(views)
    return views + [View(view.window, True) for view in views]
