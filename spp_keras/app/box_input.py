"""Boxes that users draw, checked before a model sees them."""

import math
from typing import Any

import numpy as np

from spp_keras.app.image_decoding import UnusableImage
from spp_keras.detection import box_scaling

EDGES = ("left", "top", "right", "bottom")

Box = tuple[float, float, float, float]


def check_box(box: Any, size: tuple[int, int]) -> Box:
    """Left, top, right and bottom of a box, clipped to its image.

    Args:
        box: What was sent: a dictionary of these four, in pixels.
        size: Height and width of the image.

    Example:

    >>> check_box({"left": -5, "top": 8, "right": 90, "bottom": 40}, (60, 80))
    (0.0, 8.0, 80.0, 40.0)
    """
    edges: list[Any] = [box.get(edge) for edge in EDGES] if isinstance(box, dict) else [None]
    if not all(_is_number(edge) for edge in edges):
        raise UnusableImage(
            "A box must be a JSON object of the numbers left, top, right and bottom, in pixels "
            "of the image."
        )
    limits = (size[1], size[0], size[1], size[0])
    left, top, right, bottom = (
        min(max(float(edge), 0.0), float(limit)) for edge, limit in zip(edges, limits, strict=True)
    )
    if not (left < right and top < bottom):
        raise UnusableImage(
            "A box must have an area inside the image; draw it from one corner to the "
            f"opposite one, within {size[1]}x{size[0]} pixels."
        )
    return left, top, right, bottom


def scale_box(box: Box, size: tuple[int, int], decoded_size: tuple[int, int]) -> np.ndarray:
    """A box in pixels of the decoded image, float32 `(1, 4)`.

    Args:
        box: The box in pixels of the image file.
        size: Height and width of the image in the file.
        decoded_size: Height and width of the decoded image.

    Example:

    >>> scale_box((10, 20, 30, 40), (100, 200), (50, 50)).tolist()
    [[2.5, 10.0, 7.5, 20.0]]
    """
    boxes = np.array([box], "float32")
    return box_scaling.scale_boxes_to_decoded(boxes, decoded_size, size).numpy()


def _is_number(value: Any) -> bool:
    # Past 1e9 it is no pixel, and may be too large to be a float.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (isinstance(value, int) or math.isfinite(value))
        and abs(value) <= 1e9
    )
