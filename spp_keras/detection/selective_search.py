"""Selective search (Uijlings et al., 2013): proposals of an image."""

from typing import Any

import numpy as np

from spp_keras import _checks, _extras

# R-CNN takes at most 2,000 boxes. The release of SPP-net drops boxes under 20 pixels on a side, in
# images 500 pixels wide.
MAX_BOXES, MIN_SIDE, LONGEST_SIDE = 2000, 20, 500


def selective_search(
    image: np.ndarray,
    *,
    max_boxes: int = MAX_BOXES,
    min_side: int = MIN_SIDE,
    longest_side: int = LONGEST_SIDE,
) -> np.ndarray:
    """Boxes that may hold an object, by OpenCV's "fast" selective search.

    Regions are merged from OpenCV's default segmentations (k = 150), which gives some 500
    to 1,000 boxes for an image of 500 pixels. The release of SPP-net starts at k = 50,
    which gives the paper's some 2,000.

    Time grows with the square of the pixels, hence the limit to the longest side: up to a
    second for an image of 500 pixels, six at 1000.

    The same image gives the same boxes in the same order. OpenCV finds the same boxes each
    time but ranks them by the C library's random numbers, which all threads of a process
    share, and the smallest regions first. Here they are ranked as in section 4 of the
    paper of selective search, large ones first but for chance.

    Args:
        image: uint8 `(height, width, 3)`, RGB.
        max_boxes: Most boxes. Defaults to 2000.
        min_side: Least width and height of a box, in pixels of the image after it was
            scaled down. Defaults to 20.
        longest_side: Longer side that a larger image is scaled down to before the search.
            Defaults to 500.

    Returns:
        float32 `(n, 4)`, left, top, right and bottom in pixels of the image, ends
        exclusive, the best first. There are none if the image is too small.

    Example:

    >>> image = np.full((60, 80, 3), 255, "uint8")
    >>> image[10:40, 20:60] = (200, 0, 0)
    >>> [20.0, 10.0, 60.0, 40.0] in selective_search(image).tolist()
    True
    """
    _checks.at_least(max_boxes, 1, "max_boxes")
    _checks.at_least(min_side, 1, "min_side")
    _checks.at_least(longest_side, 1, "longest_side")
    shape: tuple[int, ...] = getattr(image, "shape", ())
    dtype = getattr(image, "dtype", None)
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype != np.uint8:
        raise ValueError(
            f"`image` must be a uint8 array (height, width, 3). Received: image of shape {shape} "
            f"and type {dtype or type(image).__name__}."
        )
    cv2 = import_opencv()
    scaled = _scale_down(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), longest_side, cv2)
    boxes = _search_boxes(scaled, cv2)
    boxes = boxes[np.min(boxes[:, 2:] - boxes[:, :2], axis=1) >= min_side]
    boxes = _rank_boxes(boxes)[:max_boxes]
    height, width = shape[:2]
    # Multiplied first, so that boxes at the border are at the border to the last bit.
    boxes = boxes * np.array([width, height] * 2) / np.array([*scaled.shape[1::-1]] * 2)
    return boxes.astype(np.float32)


def import_opencv() -> Any:
    """The module `cv2` with OpenCV's contributed modules; the error says what to install."""
    try:
        import cv2

        _ = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation
    except (ImportError, AttributeError) as error:
        raise ImportError(
            "Selective search needs OpenCV with its contributed modules. Run "
            f"`{_extras.install_line('detection')}`, after `pip uninstall` of any other OpenCV "
            f"(opencv-python, opencv-python-headless). The import failed with: {error}."
        ) from error
    return cv2


def _scale_down(image: np.ndarray, longest_side: int, cv2: Any) -> np.ndarray:
    height, width = image.shape[:2]
    if max(height, width) <= longest_side:
        return image
    ratio = longest_side / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _search_boxes(image: np.ndarray, cv2: Any) -> np.ndarray:
    """int64 `(n, 4)`, every box once, in lexicographic order."""
    # A new object each time, since they keep histograms of the last image.
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(image)
    search.switchToSelectiveSearchFast()
    regions = np.asarray(search.process(), np.int64).reshape(-1, 4)
    return np.unique(np.hstack([regions[:, :2], regions[:, :2] + regions[:, 2:]]), axis=0)


def _rank_boxes(boxes: np.ndarray) -> np.ndarray:
    """Boxes ranked by their position times a random number.

    The positions are those in the hierarchy of regions in the paper. OpenCV does not tell
    the hierarchy; the area, which grows with every level, takes its place.
    """
    largest_first = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable")
    positions = np.arange(1, len(boxes) + 1)
    keys = positions * np.random.default_rng(0).random(len(boxes))
    return boxes[largest_first[np.argsort(keys, kind="stable")]]
