"""The color behind transparent images."""

import contextlib
from typing import Any

WHITE = "white"


def parse_background(background: Any) -> tuple[int, int, int]:
    """Red, green and blue of the color that is shown where images are transparent.

    Args:
        background: A name or `"#rrggbb"`, as Pillow's `ImageColor` knows them.

    Example:

    >>> parse_background("white"), parse_background("#ff8000")
    ((255, 255, 255), (255, 128, 0))
    """
    if background == WHITE:
        # Recipes are read without Pillow.
        return 255, 255, 255
    from PIL import ImageColor

    color: Any = ()
    if isinstance(background, str):
        with contextlib.suppress(ValueError):
            color = ImageColor.getrgb(background)
    if len(color) != 3:
        raise ValueError(
            "`background` must be the name of a color, such as 'white', or '#rrggbb'. "
            f"Received: background={background!r}."
        )
    red, green, blue = color
    return red, green, blue
