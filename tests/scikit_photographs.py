"""A folder of real photographs to learn from, made of those that come with scikit-image."""

from pathlib import Path

import numpy as np
import skimage
from PIL import Image

# Each is a class.
PHOTOGRAPHS = (
    *("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png"),
    *("hubble_deep_field.jpg", "ihc.png", "retina.jpg", "camera.png", "coins.png"),
    *("brick.png", "grass.png", "gravel.png", "moon.png", "page.png", "text.png"),
)
_SPLITS = ("train", "validation")


def make_folder(folder, train=12, validation=8, classes=None, areas=(0.06, 0.25), seed=0):
    """Writes `folder/<train or validation>/<photograph>/<number>.jpg`.

    Each image is a part of a photograph: turned, perhaps mirrored, and
    scaled, brighter or darker, of an aspect ratio from 1:2 to 2:1. Parts may overlap; those to
    train and those to validate on are drawn by different seeds.

    Args:
        folder: Path of the folder.
        train: Images to train on of each class. Defaults to 12.
        validation: Images to validate on of each class. Defaults to 8.
        classes: Number of classes. Defaults to `None`, all.
        areas: Least and largest share of its photograph. Defaults to `(0.06, 0.25)`.
        seed: Seed of all draws. Defaults to 0.
    """
    for label, name in enumerate(PHOTOGRAPHS[:classes]):
        photograph = read_photograph(name)
        photograph.thumbnail((640, 640))
        for split, count in zip(range(2), (train, validation), strict=True):
            place = Path(folder) / _SPLITS[split] / name.partition(".")[0]
            place.mkdir(parents=True)
            for number in range(count):
                rng = np.random.default_rng((seed, split, label, number))
                _cut(photograph, areas, rng).save(place / f"{number}.jpg", quality=90)
    return Path(folder)


def read_photograph(name):
    """A photograph of `PHOTOGRAPHS`, RGB, for Pillow."""
    with Image.open(Path(skimage.__file__).parent / "data" / name) as file:
        return file.convert("RGB")


def _cut(photograph, areas, rng):
    """A part of a photograph, as `make_folder` says."""
    angle, aspect, area = rng.uniform(-30, 30), 2 ** rng.uniform(-1, 1), rng.uniform(*areas)
    pixels = area * photograph.width * photograph.height
    size = np.array([np.sqrt(pixels * aspect), np.sqrt(pixels / aspect)])
    # Any place at which the turned part lies within the photograph, where there is one.
    cos, sin = np.cos(np.deg2rad(abs(angle))), np.sin(np.deg2rad(abs(angle)))
    half = np.array([[cos, sin], [sin, cos]]) @ size / 2
    whole = np.array(photograph.size)
    shrink = min(1, (whole / 2 / half).min())
    size, half = size * shrink, half * shrink
    center = rng.uniform(half, np.maximum(whole - half, half + 1e-6))
    turned = photograph.rotate(angle, Image.Resampling.BICUBIC, center=tuple(center))
    corners = (*(center - size / 2), *(center + size / 2))
    scale = rng.uniform(80, 200) / size.min()
    target = np.maximum(np.round(size * scale), 1).astype(int)
    part = turned.resize(tuple(target), Image.Resampling.BICUBIC, box=corners)
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    values = np.asarray(part) * rng.uniform(0.6, 1.4) + rng.normal(0, 6, (*part.size[::-1], 3))
    return Image.fromarray(np.clip(values, 0, 255).astype("uint8"))
