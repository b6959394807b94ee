"""Draws why a pyramid: one photograph cropped, warped, and whole with bins over it.

    python docs/draw_why.py                # docs/why.png
    python docs/draw_why.py --output why.png

The photograph is one of `shapes`, drawn here: nothing is downloaded.
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

# A pin: without its head it might as well be a fork.
_NUMBER = 388
_LEVELS = (6, 3, 2, 1)
_COLORS = ("#1f6f8b", "#b8442c", "#557a1f", "#6b4c9a")
_INK, _PAPER = "#1b1b1b", "#ffffff"
# Pixels of the page, of which the file has `_FINER` times as many.
_WIDTH, _HEIGHT, _MARGIN = 1000, 640, 30
_FINER = 1.4


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
    to = parser.parse_args(arguments).output
    content, _ = drawing.draw_image(seed=0, split=0, index=_NUMBER)
    # Its grain would be most of the file.
    smooth = Image.open(io.BytesIO(content)).filter(ImageFilter.GaussianBlur(1))
    _files.write_file(to, draw(smooth))
    print(to)
    return 0


def draw(photograph: Image.Image) -> bytes:
    """The picture, a PNG file."""
    with matplotlib.rc_context({"font.size": 14, "text.color": _INK}):
        # Opaque, so that letters stand on the same ground in a dark README.
        page = figure.Figure((_WIDTH / 72, _HEIGHT / 72), dpi=72, facecolor=_PAPER)
        _ways_in(page, photograph)
        _pyramid(page, photograph)
        _vector(page)
        drawn, small = io.BytesIO(), io.BytesIO()
        page.savefig(drawn, format="png", dpi=72 * _FINER)
    # A palette of 256 colors is a third of the bytes.
    Image.open(drawn).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    return small.getvalue()


def _ways_in(page: figure.Figure, photograph: Image.Image) -> None:
    """What a network sees of the photograph: a crop, a square, or all of it."""
    height = 190
    ways = (
        ("Cropped", "its head is cut off", _seen(photograph, size_policies.center_crop(224))),
        ("Warped", "its head is no disc", _seen(photograph, size_policies.Warp(image_size=224))),
        ("Whole", "images of any size", photograph),
    )
    left = _MARGIN
    for title, words, picture in ways:
        width = height * picture.width / picture.height
        _say(page, left, 36, title, size=24, weight="bold")
        _say(page, left, 62, words, size=17)
        _show(page, picture, left, 76, width, height)
        # Pushed to the right, above the end of the row of levels.
        left = left + width + 50 if title != "Warped" else _WIDTH - _MARGIN - 387
    _say(page, _MARGIN, 306, "convolved once; each level divides the map into bins:", size=19)
    arrow = "simple,head_length=14,head_width=26,tail_width=11"
    ends = (_point(_WIDTH - _MARGIN - 193, top) for top in (272, 312))
    page.add_artist(patches.FancyArrowPatch(*ends, arrowstyle=arrow, color=_INK))


def _pyramid(page: figure.Figure, photograph: Image.Image) -> None:
    """The photograph once for each level, with the level's bins over it."""
    gap = 28
    width = (_WIDTH - 2 * _MARGIN - gap * (len(_LEVELS) - 1)) / len(_LEVELS)
    height = width * photograph.height / photograph.width
    for number, (level, color) in enumerate(zip(_LEVELS, _COLORS, strict=True)):
        left = _MARGIN + number * (width + gap)
        axes = _show(page, photograph, left, 322, width, height, color, 5)
        for edge in np.arange(1, level) / level:
            axes.axvline(edge * photograph.width, color="white", linewidth=2)
            axes.axhline(edge * photograph.height, color="white", linewidth=2)
        words = f"{level}x{level} bins" if level > 1 else "1 bin"
        _say(page, left, 322 + height + 28, words, size=20, color=color, weight="bold")


def _vector(page: figure.Figure) -> None:
    """All bins in a row, and what they are."""
    counts = [level**2 for level in _LEVELS]
    axes = page.add_axes(_place(_MARGIN, 494, _WIDTH - 2 * _MARGIN, 50), xlim=(0, sum(counts)))
    axes.axis("off")
    for number, color in enumerate(np.repeat(_COLORS, counts)):
        axes.add_patch(patches.Rectangle((number + 0.08, 0), 0.84, 1, color=color))
    total = f"{' + '.join(map(str, counts))} = {sum(counts)} bins"
    _say(page, _MARGIN, 580, "One vector of one length, whatever the size", size=24, weight="bold")
    _say(page, _MARGIN, 612, f"{total}; of each, the maximum of every channel", size=19)


def _seen(photograph: Image.Image, policy: size_policies.SizePolicy) -> Image.Image:
    """What a policy sends of the photograph."""
    window, target = policy.window_and_size(tf.constant([photograph.height, photograph.width]))
    top, left, height, width = window.numpy().tolist()
    box = (left, top, left + width, top + height)
    return photograph.resize(tuple(target.numpy().tolist()[::-1]), box=box)


def _show(
    page: figure.Figure,
    picture: Image.Image,
    left: float,
    top: float,
    width: float,
    height: float,
    color: str = _INK,
    line: float = 1,
) -> plots.Axes:
    axes = page.add_axes(_place(left, top, width, height), xticks=[], yticks=[])
    axes.imshow(picture, interpolation="lanczos", aspect="auto")
    axes.spines[:].set(color=color, linewidth=line)
    return axes


def _say(page: figure.Figure, left: float, bottom: float, words: str, **style: Any) -> None:
    page.text(*_point(left, bottom), words, **style)


def _point(left: float, top: float) -> tuple[float, float]:
    """Shares of the page from the lower left, from pixels from the upper left."""
    return left / _WIDTH, 1 - top / _HEIGHT


def _place(left: float, top: float, width: float, height: float) -> tuple[float, ...]:
    return (*_point(left, top + height), width / _WIDTH, height / _HEIGHT)


if __name__ == "__main__":
    sys.exit(main())
