"""Parts of real photographs that come with scikit-image and scikit-learn."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

_FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
# Of no scene there are photographs in both.
TESTED = {
    **dict.fromkeys(("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png"), "skimage"),
    **dict.fromkeys(("grass.png", "clock_motion.png", "camera.png"), "skimage"),
    "flower.jpg": "sklearn",
}
CALIBRATED = {
    **dict.fromkeys(("motorcycle_left.png", "hubble_deep_field.jpg", "ihc.png"), "skimage"),
    **dict.fromkeys(("gravel.png", "retina.jpg", "brick.png", "coins.png"), "skimage"),
    **dict.fromkeys(("moon.png",), "skimage"),
    "china.jpg": "sklearn",
}


def cut_views(
    photographs: Mapping[str, str], count: int, seed: int, short_side: int = 256
) -> list[np.ndarray]:
    """Each photograph whole and in parts, of aspect ratios of their own, in RGB.

    Args:
        photographs: Names of files, and the package that each is in.
        count: Number of views of a photograph, the whole one included.
        seed: Seed of the parts.
        short_side: Pixels of the short side, to which each is scaled.
    """
    drawn = np.random.default_rng(seed)
    views = []
    for name, package in photographs.items():
        with Image.open(_find_folder(package) / name) as file:
            photograph = file.convert("RGB")
        boxes = [(0, 0, *photograph.size)]
        boxes += [_draw_box(photograph.size, drawn) for _ in range(count - 1)]
        views += [_scale(photograph.crop(box), short_side) for box in boxes]
    return views


def crop_center(view: np.ndarray, side: int) -> np.ndarray:
    """The square at the center of a view."""
    top, left = ((length - side) // 2 for length in view.shape[:2])
    return view[top : top + side, left : left + side]


def _find_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The photographs are in packages: pip install scikit-image scikit-learn")
    return Path(next(iter(spec.submodule_search_locations))) / _FOLDERS[package]


def _draw_box(size: tuple[int, int], drawn: np.random.Generator) -> tuple[int, ...]:
    """A part of a quarter or more of the area, of about the aspect ratio of photographs."""
    area, aspect = drawn.uniform(0.25, 1) * size[0] * size[1], 2 ** drawn.uniform(-0.5, 0.5)
    sides = ((area * aspect) ** 0.5, (area / aspect) ** 0.5)
    lengths = [min(length, int(side)) for length, side in zip(size, sides, strict=True)]
    lefts = [int(drawn.integers(0, a - b + 1)) for a, b in zip(size, lengths, strict=True)]
    return (*lefts, *(left + side for left, side in zip(lefts, lengths, strict=True)))


def _scale(picture: Image.Image, short_side: int) -> np.ndarray:
    factor = short_side / min(picture.size)
    size = tuple(max(short_side, round(side * factor)) for side in picture.size)
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
