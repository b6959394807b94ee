"""Prediction for a list of images of any sizes."""

import functools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from spp_keras import _checks
from spp_keras.data import image_conversion, image_rules, safe_decoding, size_policies
from spp_keras.models import graph_run
from spp_keras.serving import image_inputs

# The model's own check tells which sizes it can map.
_LIMITS = image_rules.ImageLimits(min_side=1, max_aspect=math.inf)


def predict_images(
    model: keras.Model,
    images: Iterable[image_inputs.ImageLike],
    *,
    batch_size: int = 32,
    max_pixels: int = 250_000,
) -> np.ndarray:
    """`model.predict` for a list of images, each of its own size.

    The scores of an image do not depend on the rest of the list. Neighbors make a
    batch, as many as fit; images of an iterator are read when their batch is due.

    Args:
        model: Model of the zoo, `spp_classifier`'s included, or another that takes
            ragged batches of images, or images of one size.
        images: List or iterator of images: paths; bytes of JPEG, PNG, GIF, BMP, WebP,
            AVIF, TIFF or, with the package `pillow-heif`, HEIC files; PIL images, converted as
            files are; or arrays `(height, width, 3)` of RGB values 0 to 255, uint8 or float.
            Transparent images are drawn on white.
        batch_size: Largest number of images in a batch. Defaults to 32.
        max_pixels: Largest number of pixels in a batch, which bounds its memory: of its images
            where the model packs them on canvases, else padding included. A larger image
            makes a batch of its own. On an accelerator large batches are quicker, such as
            4,000,000. Defaults to 250,000, for CPUs.

    Returns:
        float array `(images, classes)`, in the order of the images.

    Raises:
        FileNotFoundError: There is no file at a path.
        ValueError: An image is broken or too small; the message names it.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> predict_images(model, [np.zeros((60, 90, 3)), np.zeros((80, 40, 3))]).shape
    (2, 10)
    """
    _checks.at_least(batch_size, 1, "batch_size")
    _checks.at_least(max_pixels, 1, "max_pixels")
    is_single = isinstance(images, str | os.PathLike | bytes | Image.Image)
    if is_single or getattr(images, "ndim", None) == 3:
        raise TypeError(
            "`images` must be a list or an iterator of images; for one image give `[image]`. "
            f"Received: a single image of type {type(images).__name__}."
        )
    height, width = _find_image_size(model)
    check = _make_size_check(graph_run.min_image_size(model), height, width)
    scores = [np.zeros((0, model.output_shape[-1]), "float32")]
    is_dense = None not in (height, width)
    packs = not is_dense and graph_run.find_canvas_rules(model) is not None
    count_pixels = _count_image_pixels if packs else _count_padded
    loaded = _load_images(images, check)
    for batch in _make_batches(loaded, batch_size, max_pixels, count_pixels):
        predicted = model.predict_on_batch(np.stack(batch) if is_dense else _make_ragged(batch))
        # Under a distribution strategy every replica predicts the whole batch.
        scores.append(predicted[: len(batch)])
    return np.concatenate(scores)


def _find_image_size(model: keras.Model) -> tuple[int | None, int | None]:
    """Height and width that a model requires, `None` if any."""
    output = model.output_shape
    if not isinstance(output, tuple) or len(output) != 2:
        raise ValueError(
            "`model` must have one vector of scores for an image, `(batch, classes)`. "
            f"Received: {model.name!r} with outputs of shape {output}."
        )
    images = model.input["images"] if isinstance(model.input, dict) else model.inputs[0]
    return tuple(images.shape[1:3])


def _make_size_check(min_side: int, height: int | None, width: int | None) -> Callable[..., None]:
    """Makes a function that raises for an image of a size that the model cannot take."""

    def check(shape: tuple[int, ...], name: str) -> None:
        required = zip((height, width), shape, strict=False)
        if any(side not in (None, received) for side, received in required):
            raise ValueError(
                f"`{name}` must have {height}x{width} pixels, the only size that this model takes: "
                "scale it, or take a model with a pyramid, such as `zf5_spp`. "
                f"Received: {shape[0]}x{shape[1]} pixels."
            )
        if min(shape[:2]) < min_side:
            raise ValueError(
                f"`{name}` must be at least {min_side} pixels high and wide, the least that this "
                f"model can map: enlarge it. Received: {shape[0]}x{shape[1]} pixels."
            )

    return check


def _load_images(
    images: Iterable[image_inputs.ImageLike], check: Callable[..., None]
) -> Iterator[np.ndarray]:
    for index, image in enumerate(images):
        name = f"images[{index}]"
        pixels = _load_pixels(image, name)
        check(pixels.shape, name)
        # uint8 is kept: the warning about floats between 0 and 1 is not for it.
        yield pixels if pixels.dtype == np.uint8 else pixels.astype("float32", copy=False)


def _load_pixels(image: image_inputs.ImageLike, name: str) -> np.ndarray:
    """RGB pixels of an image."""
    if isinstance(image, Image.Image):
        return np.asarray(image_inputs.convert_to_rgb(image))
    if not isinstance(image, str | os.PathLike | bytes | bytearray | memoryview):
        return image_inputs.check_pixels(image, name)
    path = f" ({os.fspath(image)})" if isinstance(image, str | os.PathLike) else ""
    try:
        decoded = _get_decoder()(image_inputs.encode_image(image, _LIMITS))
    except image_conversion.ConversionError as error:
        raise ValueError(f"`{name}`{path} {error}.") from error
    if decoded.code != image_rules.OK:
        raise ValueError(f"`{name}`{path} {decoded.reason.numpy().decode()}.")
    return decoded.pixels.numpy()


@functools.cache
def _get_decoder() -> Callable[[bytes], safe_decoding.DecodedImage]:
    return safe_decoding.make_decoder(size_policies.Whole(), limits=_LIMITS)


def _make_batches(
    images: Iterator[np.ndarray],
    batch_size: int,
    max_pixels: int,
    count_pixels: Callable[[list[tuple[int, int]]], int],
) -> Iterator[list[np.ndarray]]:
    """Groups neighbors, as many as a batch may hold."""
    batch: list[np.ndarray] = []
    for image in images:
        sizes = [other.shape[:2] for other in (*batch, image)]
        if batch and (len(sizes) > batch_size or count_pixels(sizes) > max_pixels):
            yield batch
            batch = []
        batch.append(image)
    if batch:
        yield batch


def _count_image_pixels(sizes: list[tuple[int, int]]) -> int:
    return sum(height * width for height, width in sizes)


def _count_padded(sizes: list[tuple[int, int]]) -> int:
    return len(sizes) * math.prod(np.max(sizes, axis=0).tolist())


def _make_ragged(batch: list[np.ndarray]) -> Any:
    heights, widths = np.transpose([image.shape[:2] for image in batch])
    rows = np.concatenate([image.reshape(-1, 3) for image in batch])
    return tf.RaggedTensor.from_nested_row_lengths(rows, [heights, np.repeat(widths, heights)])
