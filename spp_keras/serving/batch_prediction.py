"""Scores for a list of images of any sizes."""

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
from spp_keras.data import image_rules, safe_decoding, size_policies
from spp_keras.serving import image_inputs
from spp_keras.zoo import layer_chain


def predict_images(
    model: keras.Model,
    images: Iterable[image_inputs.ImageLike],
    *,
    batch_size: int = 32,
    batch_pixels: int = 4_000_000,
) -> np.ndarray:
    """What a Keras model answers for a list of images, each of its own size.

    `model.predict` for what does not come as one array. The answer for an image
    does not depend on what else is in the list. Neighbors make a batch, as many as
    fit; images of an iterator are read when their batch is due.

    Args:
        model: Model of the zoo, `spp_classifier`'s included, or another that takes
            ragged batches of images, or images of one size.
        images: List or iterator of images: paths; bytes of JPEG, PNG, GIF, BMP or
            WebP files; PIL images, converted as files are; or arrays `(height, width, 3)`
            of RGB values 0 to 255, uint8 or float.
        batch_size: Most images in a batch. Defaults to 32.
        batch_pixels: Most pixels in a batch, padding included, of which its memory
            follows. A larger image makes a batch of its own. Defaults to 4,000,000.

    Returns:
        float array `(images, classes)`, in the order of the images.

    Raises:
        FileNotFoundError: A path leads to no file.
        ValueError: An image is broken or too small; says which one.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> predict_images(model, [np.zeros((60, 90, 3)), np.zeros((80, 40, 3))]).shape
    (2, 10)
    """
    _checks.at_least(batch_size, 1, "batch_size")
    _checks.at_least(batch_pixels, 1, "batch_pixels")
    single = isinstance(images, str | os.PathLike | bytes | Image.Image)
    if single or getattr(images, "ndim", None) == 3:
        raise TypeError(
            "`images` must be a list or an iterator of images; for one image give `[image]`. "
            f"Received: one of type {type(images).__name__}."
        )
    height, width = _side_lengths(model)
    pixels = _all_pixels(images, _check(layer_chain.min_image_size(model), height, width))
    scores = [np.zeros((0, model.output_shape[-1]), "float32")]
    for batch in _batches(pixels, batch_size, batch_pixels):
        dense = None not in (height, width)
        answers = model.predict_on_batch(np.stack(batch) if dense else _ragged(batch))
        # Under a strategy every replica is given all of it.
        scores.append(answers[: len(batch)])
    return np.concatenate(scores)


def _side_lengths(model: keras.Model) -> tuple[int | None, int | None]:
    """Height and width that a model takes, where it has to be these."""
    output = model.output_shape
    if not isinstance(output, tuple) or len(output) != 2:
        raise ValueError(
            "`model` must answer with one vector for an image, `(batch, classes)`. "
            f"Received: {model.name!r}, which answers with {output}."
        )
    images = model.input["images"] if isinstance(model.input, dict) else model.inputs[0]
    return tuple(images.shape[1:3])


def _check(min_side: int, height: int | None, width: int | None) -> Callable[..., None]:
    """A function that refuses an image that the model cannot take."""

    def check(shape: tuple[int, ...], name: str) -> None:
        if any(
            side not in (None, have) for side, have in zip((height, width), shape, strict=False)
        ):
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


def _all_pixels(
    images: Iterable[image_inputs.ImageLike], check: Callable[..., None]
) -> Iterator[np.ndarray]:
    for number, image in enumerate(images):
        name = f"images[{number}]"
        pixels = _pixels(image, name)
        check(pixels.shape, name)
        # Bytes stay bytes: a warning of floats between 0 and 1 is not for them.
        yield pixels if pixels.dtype == np.uint8 else pixels.astype("float32", copy=False)


def _pixels(image: image_inputs.ImageLike, name: str) -> np.ndarray:
    """RGB pixels of whatever an image is given as."""
    if isinstance(image, Image.Image):
        return np.asarray(image_inputs.convert_to_rgb(image))
    if not isinstance(image, str | os.PathLike | bytes | bytearray | memoryview):
        return image_inputs.check_pixels(image, name)
    decoded = _decoder()(image_inputs.encode_image(image))
    if decoded.code != image_rules.OK:
        path = f" ({os.fspath(image)})" if isinstance(image, str | os.PathLike) else ""
        raise ValueError(f"`{name}`{path} {decoded.reason.numpy().decode()}.")
    return decoded.pixels.numpy()


@functools.cache
def _decoder() -> Callable[[bytes], safe_decoding.DecodedImage]:
    # What a network can map is for the network to say.
    limits = image_rules.ImageLimits(min_side=1, max_aspect=math.inf)
    return tf.function(
        lambda image: safe_decoding.decode_safely(image, size_policies.Whole(), limits=limits),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )


def _batches(
    images: Iterator[np.ndarray], batch_size: int, batch_pixels: int
) -> Iterator[list[np.ndarray]]:
    """Neighbors, as many as a padded batch may hold."""
    batch: list[np.ndarray] = []
    for image in images:
        sides = [other.shape[:2] for other in (*batch, image)]
        area = math.prod(np.max(sides, axis=0).tolist())
        if batch and (len(sides) > batch_size or len(sides) * area > batch_pixels):
            yield batch
            batch = []
        batch.append(image)
    if batch:
        yield batch


def _ragged(batch: list[np.ndarray]) -> Any:
    heights, widths = np.transpose([image.shape[:2] for image in batch])
    rows = np.concatenate([image.reshape(-1, 3) for image in batch])
    return tf.RaggedTensor.from_nested_row_lengths(rows, [heights, np.repeat(widths, heights)])
