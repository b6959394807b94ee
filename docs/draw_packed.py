"""Draws a packed batch: images on a canvas, the canvas' mask, windows on the last feature map.

    python docs/draw_packed.py                # docs/packed.png
    python docs/draw_packed.py --output packed.png

The images are of `shapes`, drawn here: nothing is downloaded. The map is that of `zf5_spp` with
random weights.
"""

import argparse
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib import axes as plots
from matplotlib import figure, patches
from PIL import Image, ImageFilter

from spp_keras import _files
from spp_keras.data.shapes import drawing
from spp_keras.models.graph_run import apply_model, find_canvas_rules
from spp_keras.packing import draw_canvases, plan_canvases
from spp_keras.zoo import zf5_spp

_IMAGES = 12
_LONGEST_SIDE = 420
_INK, _PAPER = "#1b1b1b", "#ffffff"
# What is no image, in gray.
_EMPTY = 0xD8
# Size of the page in pixels; the file has `_SCALE` times as many.
_WIDTH, _MARGIN, _GAP, _SEAM, _TOP = 1000, 20, 24, 6, 76
_SCALE = 1.4


class _Packed(NamedTuple):
    """Canvases with images, and what the network makes of them.

    Args:
        canvases: Pixels `(canvases, height, width, 3)`, gray where no image is.
        placements: Canvas, top, left, height and width of each image.
        maps: Mean of the channels of the last map of each canvas.
        windows: Canvas, top, left, height and width of each image on the maps.
    """

    canvases: np.ndarray
    placements: np.ndarray
    maps: np.ndarray
    windows: np.ndarray


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).with_name("packed.png"),
        help="default: docs/packed.png",
    )
    output = parser.parse_args(arguments).output
    _files.write_file(output, draw_picture(_pack(_draw_images())))
    print(output)
    return 0


def _draw_images() -> list[np.ndarray]:
    """The first images of `shapes` that are not large."""
    images: list[np.ndarray] = []
    index = 0
    while len(images) < _IMAGES:
        content, scene = drawing.draw_image(seed=0, split=0, index=index)
        if max(scene.size) <= _LONGEST_SIDE:
            # Its grain would take most of the bytes of the file.
            smooth = Image.open(io.BytesIO(content)).filter(ImageFilter.GaussianBlur(1))
            images.append(np.asarray(smooth, "float32"))
        index += 1
    return images


def _pack(images: Sequence[np.ndarray]) -> _Packed:
    """Lays images on canvases as a network does with a ragged batch, and maps them."""
    keras.utils.set_random_seed(0)
    network = zf5_spp(10, width=0.25)
    sizes = np.array([image.shape[:2] for image in images], "int32")
    layout = plan_canvases(sizes, find_canvas_rules(network))
    pixels = tf.constant(np.concatenate([image.reshape(-1, 3) for image in images]))
    canvases = draw_canvases(pixels, layout)
    trunk = keras.Model(network.inputs, network.get_layer("spp").input)
    maps, windows = apply_model(trunk, canvases, placements=layout.placements)
    placements = layout.placements.numpy()
    mask = _paint(placements, canvases.shape[:3])
    pixels = np.where(mask[..., np.newaxis], canvases.numpy(), _EMPTY).astype("uint8")
    return _Packed(pixels, placements, np.asarray(maps).mean(axis=-1), windows.numpy())


def _paint(places: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Which cells are image."""
    mask = np.zeros(tuple(shape), bool)
    for canvas, top, left, height, width in places:
        mask[canvas, top : top + height, left : left + width] = True
    return mask


def draw_picture(packed: _Packed) -> bytes:
    """Draws the picture and returns it as a PNG file."""
    number, rows, columns = packed.canvases.shape[:3]
    mask = _paint(packed.placements, (number, rows, columns))
    windows = _paint(packed.windows, packed.maps.shape)
    strength = np.where(windows, packed.maps / packed.maps[windows].max(), _EMPTY / 255)
    words = f"{number} canvases of" if number > 1 else "one canvas of"
    panels = (
        (f"{len(packed.placements)} images", f"{words} {rows}x{columns} pixels"),
        ("Their mask", f"{mask.mean():.0%} is image"),
        ("Windows on the last map", "each is pooled alone"),
    )
    side = math.ceil(math.sqrt(number))
    width = (_WIDTH - 2 * _MARGIN - 2 * _GAP) / 3
    tile_width = (width - (side - 1) * _SEAM) / side
    tile_height = tile_width * rows / columns
    page_height = _TOP + math.ceil(number / side) * (tile_height + _SEAM) - _SEAM + _MARGIN
    with matplotlib.rc_context({"font.size": 14, "text.color": _INK}):
        # Opaque, so that letters stand on the same ground in a dark page.
        page = figure.Figure((_WIDTH / 72, page_height / 72), dpi=72, facecolor=_PAPER)
        for panel, (title, words) in enumerate(panels):
            left = _MARGIN + panel * (width + _GAP)
            page.text(left / _WIDTH, 1 - 36 / page_height, title, size=20, weight="bold")
            page.text(left / _WIDTH, 1 - 60 / page_height, words, size=16)
            for canvas in range(number):
                corner = (
                    left + canvas % side * (tile_width + _SEAM),
                    _TOP + canvas // side * (tile_height + _SEAM) + tile_height,
                )
                box = corner[0] / _WIDTH, 1 - corner[1] / page_height
                box += tile_width / _WIDTH, tile_height / page_height
                axes = page.add_axes(box, xticks=[], yticks=[])
                axes.spines[:].set(color=_INK, linewidth=1)
                shown = (packed.canvases, mask, strength)[panel][canvas]
                kind = "lanczos" if panel == 0 else "nearest"
                axes.imshow(shown, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation=kind)
                if panel:
                    places = packed.placements if panel == 1 else packed.windows
                    _outline(axes, places, canvas)
        picture, small = io.BytesIO(), io.BytesIO()
        page.savefig(picture, format="png", dpi=72 * _SCALE)
    # A palette of 256 colors is a third of the bytes.
    Image.open(picture).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    return small.getvalue()


def _outline(axes: plots.Axes, places: np.ndarray, canvas: int) -> None:
    """Draws the edge of each image of a canvas, each in a color of its own."""
    colors = matplotlib.colormaps["tab20"].colors
    for index, (of_canvas, top, left, height, width) in enumerate(places):
        if of_canvas == canvas:
            corner, color = (left - 0.5, top - 0.5), colors[index % len(colors)]
            axes.add_patch(
                patches.Rectangle(corner, width, height, fill=False, color=color, linewidth=2.5)
            )


if __name__ == "__main__":
    sys.exit(main())
