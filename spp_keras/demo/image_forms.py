"""Images whole, cropped and warped, and what networks say of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spp_keras.data import backgrounds, exif, image_ops
from spp_keras.evaluation.protocols import Scorer, make_decoder

_TOP = 3


class ImageForm(NamedTuple):
    """An image in a form, and its best classes.

    Args:
        pixels: uint8 `(height, width, 3)`, what the network sees.
        labels: The best classes, the best first.
        scores: Their scores.
    """

    pixels: np.ndarray
    labels: tuple[str, ...]
    scores: tuple[float, ...]


class NamedImage(NamedTuple):
    """An image in several forms.

    Args:
        name: Its name.
        size: Height and width of the file, upright.
        forms: Each form by its name.
    """

    name: str
    size: tuple[int, int]
    forms: Mapping[str, ImageForm]


def name_images(
    paths: Sequence[Path], scorers: Mapping[str, Scorer], labels: Sequence[str]
) -> list[NamedImage]:
    """Names images in each form.

    Args:
        paths: Paths of image files.
        scorers: Scorers of one view, by the names of the forms.
        labels: Names of the classes.
    """
    images = []
    for path in paths:
        image_bytes = path.read_bytes()
        orientation = int(exif.read_orientation_compiled(image_bytes))
        height, width = image_ops.decode_image(image_bytes, orientation).shape[:2]
        size = (int(height), int(width))
        forms = {
            form: _name_form(image_bytes, size, orientation, scorer, labels)
            for form, scorer in scorers.items()
        }
        images.append(NamedImage(path.name, size, forms))
    return images


def format_names(images: Sequence[NamedImage]) -> str:
    """A line of text for each image: its name and size, and its best class in each form."""
    lines = [["", "size", *images[0].forms]]
    for image in images:
        best = [f"{form.labels[0]} {form.scores[0]:.2f}" for form in image.forms.values()]
        lines.append([image.name, f"{image.size[1]}x{image.size[0]}", *best])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(["  ", *map(str.ljust, line, widths)]).rstrip() for line in lines)


def _name_form(
    image_bytes: bytes,
    size: tuple[int, int],
    orientation: int,
    scorer: Scorer,
    labels: Sequence[str],
) -> ImageForm:
    (scaled,) = scorer.list_views(size)
    (view,) = scaled.views
    pixels = make_decoder(backgrounds.WHITE)(image_bytes, size, scaled.size, orientation).numpy()
    left, top, right, bottom = view.window
    scores = scorer(image_bytes, size, orientation)
    best = np.argsort(-scores)[:_TOP]
    return ImageForm(
        pixels[top:bottom, left:right].astype("uint8"),
        tuple(labels[index] for index in best),
        tuple(scores[best].tolist()),
    )
