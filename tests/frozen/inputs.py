"""Weights and inputs, functions of names and seeds alone."""

import hashlib
import io

import numpy as np
from frozen.old_names import RENAMED
from PIL import Image

LABELS = ("cat", "red car", "x")
MIXED_SIZES = ((70, 91), (64, 64), (97, 58))


def weight_path(variable):
    """Path of a weight in 0.1.1."""
    path = "/".join(variable.path.split("/")[-2:])
    return RENAMED.get(path, path)


def fill_weights(model, factors=None):
    """Gives each weight values that follow from its path in 0.1.1, times its factor if any."""
    paths = [weight_path(variable) for variable in model.weights]
    assert len(set(paths)) == len(paths), "two weights have the same path"
    for path, variable in zip(paths, model.weights, strict=True):
        seed = int.from_bytes(hashlib.sha256(path.encode()).digest(), "big")
        values = np.random.default_rng(seed).standard_normal(tuple(variable.shape), "float32")
        scale = 0.1 if values.ndim < 2 else 1 / np.sqrt(np.prod(values.shape[:-1]))
        variable.assign(values * np.float32(scale * (factors or {}).get(path, 1)))
    return model


def make_pixels(height, width, seed=0):
    """An image, uint8: coarse squares and noise."""
    rng = np.random.default_rng((seed, height, width))
    coarse = rng.integers(0, 224, (-(-height // 12), -(-width // 12), 3))
    coarse = coarse.repeat(12, axis=0).repeat(12, axis=1)[:height, :width]
    return (coarse + rng.integers(0, 32, (height, width, 3))).astype("uint8")


def make_image(height, width, seed=0):
    """The same image in float32."""
    return make_pixels(height, width, seed).astype("float32")


def make_images(height, width, count=2):
    """A dense batch of images of one size."""
    return np.stack([make_image(height, width, seed) for seed in range(count)])


def make_mixed_images():
    """Images of different sizes."""
    return [make_image(*size, seed) for seed, size in enumerate(MIXED_SIZES)]


def encode_png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def make_feature_maps(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, "float32")


def make_boxes(height, width, count, seed=0):
    """Left, top, right, bottom; some boxes leave the image, none is outside of it."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(-10, [0.7 * width, 0.7 * height], (count, 2))
    sides = rng.uniform(15, [0.6 * width, 0.6 * height], (count, 2))
    return np.concatenate([low, low + sides], axis=1).astype("float32")


def convert_boxes(boxes, box_format, height, width):
    """Boxes `(..., 4)` of left, top, right, bottom in another format."""
    x0, y0, x1, y1 = np.moveaxis(boxes, -1, 0)
    if box_format.startswith("rel_"):
        x0, y0, x1, y1 = x0 / width, y0 / height, x1 / width, y1 / height
    coordinates = {
        "xyxy": (x0, y0, x1, y1),
        "yxyx": (y0, x0, y1, x1),
        "xywh": (x0, y0, x1 - x0, y1 - y0),
        "center_xywh": ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0),
        "center_yxhw": ((y0 + y1) / 2, (x0 + x1) / 2, y1 - y0, x1 - x0),
    }
    return np.stack(coordinates[box_format.removeprefix("rel_")], axis=-1).astype("float32")


def pad_images(images):
    """Images in a batch as large as the largest, 99 beyond each, and their sizes."""
    sizes = np.array([image.shape[:2] for image in images], "int32")
    batch = np.full((len(images), *sizes.max(axis=0), 3), 99, "float32")
    for padded, image in zip(batch, images, strict=True):
        padded[: image.shape[0], : image.shape[1]] = image
    return batch, sizes
