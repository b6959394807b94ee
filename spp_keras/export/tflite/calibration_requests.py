"""Calibration images of int8 files, checked and turned into requests."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def make_calibration_requests(
    images: Any,
    quantization: str,
    shape: Sequence[int | None],
    min_side: int,
    input_names: Sequence[str],
) -> list[dict[str, np.ndarray]]:
    """Turns calibration images into requests to the file, or raises.

    Args:
        images: The images, or pairs of an image and its boxes if the model has boxes;
            `None` unless `quantization` is `"int8"`.
        quantization: See `export_tflite`.
        shape: Height, width and channels of the file's images, `None` where any.
        min_side: Smallest side that the model can map.
        input_names: Names of the file's inputs.
    """
    if (quantization == "int8") != (images is not None):
        raise ValueError(
            "`calibration_images` must be given for quantization='int8', about a hundred images "
            "such as the model will see, and for no other quantization. Received: "
            f"quantization={quantization!r} with "
            f"calibration_images={'None' if images is None else 'images'}."
        )
    requests = []
    for index, example in enumerate(images or ()):
        has_boxes = len(input_names) == 2
        if has_boxes and not (isinstance(example, Sequence) and len(example) == 2):
            raise ValueError(
                "`calibration_images` must hold pairs of an image and its boxes, since the model "
                f"takes boxes. Received: {type(example).__name__} at index {index}."
            )
        image, *boxes = example if has_boxes else (example,)
        image = np.asarray(image)
        _check_image(image, index, shape, min_side)
        request = {"images": image[np.newaxis]}
        if has_boxes:
            request["boxes"] = _check_boxes(np.asarray(boxes[0]), index)[np.newaxis]
        requests.append(request)
    if quantization == "int8" and not requests:
        raise ValueError("`calibration_images` must hold one image or more. Received: none.")
    return requests


def _check_image(image: np.ndarray, index: int, shape: Sequence[int | None], min_side: int) -> None:
    is_image = image.dtype == np.uint8 and image.ndim == 3 and min(image.shape[:2]) >= min_side
    if not is_image or any(
        required not in (None, length) for required, length in zip(shape, image.shape, strict=True)
    ):
        raise ValueError(
            f"`calibration_images` must be uint8 of shape {tuple(shape)}, no side under "
            f"{min_side}: resize them. Received: {image.dtype} of shape {image.shape} at index "
            f"{index}."
        )


def _check_boxes(boxes: np.ndarray, index: int) -> np.ndarray:
    if boxes.ndim != 2 or boxes.shape[0] < 1 or boxes.shape[1] != 4:
        raise ValueError(
            "`calibration_images` must hold boxes of shape (boxes, 4), one or more for each image. "
            f"Received: shape {boxes.shape} at index {index}."
        )
    return boxes.astype("float32")
