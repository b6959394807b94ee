"""A trunk of arithmetic alone, and folders of colored images that it tells apart."""

import numpy as np
from PIL import Image

CLASSES = ("red", "green", "blue")


def pool_colors(images):
    """Colors of the four quarters and of all of each image: `(images, 15)`, from 0 to 1."""
    images = np.asarray(images, "float32") / 255
    halves = [np.array_split(half, 2, axis=2) for half in np.array_split(images, 2, axis=1)]
    parts = [*halves[0], *halves[1], images]
    return np.concatenate([part.mean(axis=(1, 2)) for part in parts], axis=1)


def make_folder(folder, images=24, square=False, noise=60, seed=0):
    """Writes `folder/<class>/<number>.png`, each image with more of one color."""
    for label, name in enumerate(CLASSES):
        place = folder / name
        place.mkdir(parents=True)
        for number in range(images):
            rng = np.random.default_rng((seed, label, number))
            height, width = rng.integers(40, 90, 2)
            color = np.full(3, 120) + rng.normal(0, noise, 3)
            color[label] += 60
            pixels = rng.normal(color, 20, (height, height if square else width, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype("uint8")).save(place / f"{number}.png")
    return folder
