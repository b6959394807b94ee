"""Images to calibrate int8 quantization with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras.data import (
    image_conversion,
    image_formats,
    image_ops,
    image_reader,
    records,
    safe_decoding,
    splits,
)
from spp_keras.data.size_policies import SizePolicy
from spp_keras.models import graph_run
from spp_keras.run_folder import RunFolder


def sample_images(
    run: RunFolder, size_policy: SizePolicy, data: str | None = None, count: int = 100
) -> list[np.ndarray]:
    """Some training images of a run, sized as the model sees them.

    Args:
        run: The run folder.
        size_policy: How images are sized.
        data: Another folder of images, with or without a folder for each class, or another
            data set to take them from. Defaults to `None`.
        count: Number of images. Defaults to 100, or all if there are fewer.

    Returns:
        uint8 arrays `(height, width, 3)`.
    """
    files = [] if data is None else _list_files(Path(data).expanduser())
    if files:
        return _sample_files(run, size_policy, files, count)
    recipe = run.recipe
    data_dir = recipe.data_dir or None
    split = None if data else recipe.train_split
    data = data or recipe.data
    split = split or splits.choose_splits(data, data_dir)[0]
    images = records.load_records(
        data, split, data_dir, orientation=recipe.orientation, background=recipe.background
    )
    indices = np.random.default_rng(0).choice(len(images), min(count, len(images)), replace=False)
    reader = image_reader.ImageReader(images.files, images.spans)
    samples = []
    for index in sorted(indices):
        encoded = reader.read(reader.row(index))
        size = images.sizes[index]
        window, target = size_policy.window_and_size(tf.constant(size))
        orientation = int(images.orientations[index])
        pixels = image_ops.decode_window(
            encoded, size, window, target, orientation, images.background
        )
        samples.append(pixels.numpy())
    return samples


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


def _list_files(folder: Path) -> list[Path]:
    """The image files that lie in a folder itself."""
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if _is_image_file(path)]


def _is_image_file(path: Path) -> bool:
    is_visible = not path.name.startswith(".")
    return is_visible and path.suffix.lower() in image_formats.SUFFIXES and path.is_file()


def _sample_files(
    run: RunFolder, size_policy: SizePolicy, files: list[Path], count: int
) -> list[np.ndarray]:
    """The same as `sample_images` from files without classes; those that are broken left out."""
    decode = safe_decoding.make_decoder(
        size_policy,
        graph_run.min_image_size(run.model),
        orientation=run.orientation,
        background=run.background,
    )
    samples: list[np.ndarray] = []
    fault = ""
    for index in np.random.default_rng(0).permutation(len(files)):
        if len(samples) == count:
            break
        try:
            decoded = decode(image_conversion.convert_image(files[index].read_bytes()))
            reason = decoded.reason.numpy().decode()
        except image_conversion.ConversionError as error:
            reason = error.fault.reason
        if reason:
            fault = f"{str(files[index])!r} {reason}"
        else:
            samples.append(decoded.pixels.numpy())
    if not samples:
        raise ValueError(
            "`calibration_data` must be a folder of photographs that the network can take, about "
            f"a hundred. Received: {str(files[0].parent)!r}, where {fault}."
        )
    return samples


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
