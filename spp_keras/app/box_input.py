"""Windows that people drag, checked before a model is asked about them."""

import math
from typing import Any

import numpy as np

from spp_keras.app.image_decoding import UnusableImage

EDGES = ("left", "top", "right", "bottom")

Box = tuple[float, float, float, float]


def check_box(window: Any, size: tuple[int, int]) -> Box:
    """Left, top, right and bottom of a window, cut at the border of its photograph.

    Args:
        window: What was sent: a dictionary of these four, in pixels.
        size: Height and width of the photograph.

    Example:

    >>> check_box({"left": -5, "top": 8, "right": 90, "bottom": 40}, (60, 80))
    (0.0, 8.0, 80.0, 40.0)
    """
    edges: list[Any] = [window.get(edge) for edge in EDGES] if isinstance(window, dict) else [None]
    if not all(_is_number(edge) for edge in edges):
        raise UnusableImage(
            "A window must be a JSON object of the numbers left, top, right and bottom, in pixels "
            "of the photograph."
        )
    limits = (size[1], size[0], size[1], size[0])
    left, top, right, bottom = (
        min(max(float(edge), 0.0), float(limit)) for edge, limit in zip(edges, limits, strict=True)
    )
    if not (left < right and top < bottom):
        raise UnusableImage(
            "A window must have an area inside the photograph; draw it from one corner to the "
            f"opposite one, within {size[1]}x{size[0]} pixels."
        )
    return left, top, right, bottom


def scale_box(window: Box, size: tuple[int, int], seen: tuple[int, int]) -> np.ndarray:
    """A window in pixels of what a model sees of a photograph, float32 `(4,)`.

    Args:
        window: In pixels of the photograph.
        size: Height and width of the photograph.
        seen: Height and width of what is seen.

    Example:

    >>> scale_box((10, 20, 30, 40), (100, 200), (50, 50)).tolist()
    [2.5, 10.0, 7.5, 20.0]
    """
    factors = (np.array(seen) / np.array(size))[[1, 0, 1, 0]]
    return (np.array(window) * factors).astype("float32")


def _is_number(value: Any) -> bool:
    # Past 1e9 it is no pixel, and may be too large to be a float.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (isinstance(value, int) or math.isfinite(value))
        and abs(value) <= 1e9
    )
