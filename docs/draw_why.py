"""Draws the picture of the README: an image cropped, warped, and whole with pyramid bins over it.

    python docs/draw_why.py                # docs/why.png
    python docs/draw_why.py --output why.png

The image is one of `shapes`, drawn here: nothing is downloaded.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib import axes as plots
from matplotlib import figure, patches
from PIL import Image, ImageFilter

from spp_keras import _files
from spp_keras.data import size_policies
from spp_keras.data.shapes import drawing

# A pin: without its head it could be a fork.
_IMAGE_INDEX = 388
_LEVELS = (6, 3, 2, 1)
_COLORS = ("#1f6f8b", "#b8442c", "#557a1f", "#6b4c9a")
_INK, _PAPER = "#1b1b1b", "#ffffff"
# Size of the page in pixels; the file has `_SCALE` times as many.
_WIDTH, _HEIGHT, _MARGIN = 1000, 640, 30
_SCALE = 1.4


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).with_name("why.png"),
        help="default: docs/why.png",
    )
    output = parser.parse_args(arguments).output
    content, _ = drawing.draw_image(seed=0, split=0, index=_IMAGE_INDEX)
    # Its grain would take most of the bytes of the file.
    smooth = Image.open(io.BytesIO(content)).filter(ImageFilter.GaussianBlur(1))
    _files.write_file(output, draw_picture(smooth))
    print(output)
    return 0


def draw_picture(image: Image.Image) -> bytes:
    """Draws the picture and returns it as a PNG file."""
    with matplotlib.rc_context({"font.size": 14, "text.color": _INK}):
        # Opaque, so that letters stand on the same ground in a dark README.
        page = figure.Figure((_WIDTH / 72, _HEIGHT / 72), dpi=72, facecolor=_PAPER)
        _draw_resizing(page, image)
        _draw_pyramid(page, image)
        _draw_vector(page)
        drawn, small = io.BytesIO(), io.BytesIO()
        page.savefig(drawn, format="png", dpi=72 * _SCALE)
    # A palette of 256 colors is a third of the bytes.
    Image.open(drawn).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    return small.getvalue()


def _draw_resizing(page: figure.Figure, image: Image.Image) -> None:
    """Draws the image cropped, warped to a square, and whole."""
    height = 190
    columns = (
        ("Cropped", "its head is cut off", _apply_policy(image, size_policies.center_crop(224))),
        ("Warped", "its head is no disc", _apply_policy(image, size_policies.Warp(image_size=224))),
        ("Whole", "images of any size", image),
    )
    left = _MARGIN
    for title, words, resized in columns:
        width = height * resized.width / resized.height
        _draw_text(page, left, 36, title, size=24, weight="bold")
        _draw_text(page, left, 62, words, size=17)
        _draw_image(page, resized, left, 76, width, height)
        # Pushed to the right, above the end of the row of levels.
        left = left + width + 50 if title != "Warped" else _WIDTH - _MARGIN - 387
    _draw_text(
        page, _MARGIN, 306, "convolved once; each level divides the feature map into bins:", size=19
    )
    arrow = "simple,head_length=14,head_width=26,tail_width=11"
    ends = (_to_page_point(_WIDTH - _MARGIN - 193, top) for top in (272, 312))
    page.add_artist(patches.FancyArrowPatch(*ends, arrowstyle=arrow, color=_INK))


def _draw_pyramid(page: figure.Figure, image: Image.Image) -> None:
    """Draws the image once for each level, with the bins of the level over it."""
    gap = 28
    width = (_WIDTH - 2 * _MARGIN - gap * (len(_LEVELS) - 1)) / len(_LEVELS)
    height = width * image.height / image.width
    for index, (level, color) in enumerate(zip(_LEVELS, _COLORS, strict=True)):
        left = _MARGIN + index * (width + gap)
        axes = _draw_image(page, image, left, 322, width, height, color, 5)
        for edge in np.arange(1, level) / level:
            axes.axvline(edge * image.width, color="white", linewidth=2)
            axes.axhline(edge * image.height, color="white", linewidth=2)
        words = f"{level}x{level} bins" if level > 1 else "1 bin"
        _draw_text(page, left, 322 + height + 28, words, size=20, color=color, weight="bold")


def _draw_vector(page: figure.Figure) -> None:
    """Draws all bins in a row, the vector of the pyramid."""
    counts = [level**2 for level in _LEVELS]
    axes = page.add_axes(
        _to_page_box(_MARGIN, 494, _WIDTH - 2 * _MARGIN, 50), xlim=(0, sum(counts))
    )
    axes.axis("off")
    for index, color in enumerate(np.repeat(_COLORS, counts)):
        axes.add_patch(patches.Rectangle((index + 0.08, 0), 0.84, 1, color=color))
    total = f"{' + '.join(map(str, counts))} = {sum(counts)} bins"
    _draw_text(
        page, _MARGIN, 580, "One vector of one length, whatever the size", size=24, weight="bold"
    )
    _draw_text(page, _MARGIN, 612, f"{total}; of each, the maximum of every channel", size=19)


def _apply_policy(image: Image.Image, policy: size_policies.SizePolicy) -> Image.Image:
    """The image as a size policy resizes it."""
    window, target = policy.window_and_size(tf.constant([image.height, image.width]))
    top, left, height, width = window.numpy().tolist()
    box = (left, top, left + width, top + height)
    return image.resize(tuple(target.numpy().tolist()[::-1]), box=box)


def _draw_image(
    page: figure.Figure,
    image: Image.Image,
    left: float,
    top: float,
    width: float,
    height: float,
    color: str = _INK,
    line: float = 1,
) -> plots.Axes:
    axes = page.add_axes(_to_page_box(left, top, width, height), xticks=[], yticks=[])
    axes.imshow(image, interpolation="lanczos", aspect="auto")
    axes.spines[:].set(color=color, linewidth=line)
    return axes


def _draw_text(page: figure.Figure, left: float, bottom: float, words: str, **style: Any) -> None:
    page.text(*_to_page_point(left, bottom), words, **style)


def _to_page_point(left: float, top: float) -> tuple[float, float]:
    """Fractions of the page from the lower left, from pixels from the upper left."""
    return left / _WIDTH, 1 - top / _HEIGHT


def _to_page_box(left: float, top: float, width: float, height: float) -> tuple[float, ...]:
    return (*_to_page_point(left, top + height), width / _WIDTH, height / _HEIGHT)


if __name__ == "__main__":
    sys.exit(main())
