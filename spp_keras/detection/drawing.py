"""Drawing of detections: boxes with labels and scores on a copy of the image."""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spp_keras import _checks, _extras, _files
from spp_keras.detection.detections import Detections

Color = tuple[int, int, int]
# Class names by index.
Labels = Sequence[str] | Mapping[int, str]

# Okabe and Ito's colors, which color-blind people can tell apart; without their black, which is
# invisible in shadows.
_PALETTE: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
# As they are, halfway to black and halfway to white: 21, one for each class of Pascal VOC and one.
_SHADES = (None, 0, 255)
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
# Fractions of the square root of the area: on 500x375 pixels lines of 2 and letters of 13.
_LINE_WIDTH, _FONT_SIZE, _MIN_FONT_SIZE = 1 / 216, 1 / 32, 10
_JPEG_QUALITY = 90


def draw_detections(
    image: np.ndarray,
    detections: Detections,
    labels: Labels,
    *,
    line_width: int | None = None,
    font_size: int | None = None,
    font: str | Path | None = None,
) -> np.ndarray:
    """A copy of an image with boxes, each with its label and score.

    Boxes are drawn from the lowest score to the highest, and all labels after all boxes:
    no line crosses a label, and the best are on top. A label that is too long for the
    image is shortened; an image too small for any gets none.

    Args:
        image: uint8 `(height, width, 3)`, RGB.
        detections: The detections, in pixels of the image.
        labels: Class names by index.
        line_width: Width of the boxes' lines in pixels. Defaults to one that suits the image.
        font_size: Size of the letters. Defaults to one that suits the image.
        font: File of a TrueType or OpenType font. Defaults to DejaVu Sans, which has most
            alphabets, but not Chinese, Japanese or Korean.

    Returns:
        uint8 `(height, width, 3)`.

    Example:

    >>> detections = Detections(np.array([[10, 30, 90, 70]]), np.array([0.9]), np.array([1]))
    >>> drawing = draw_detections(np.zeros((80, 120, 3), "uint8"), detections, ["cat", "dog"])
    >>> drawing[50, 10].tolist(), drawing[50, 50].tolist()
    ([86, 180, 233], [0, 0, 0])
    """
    _check_inputs(image, detections, labels)
    height, width = image.shape[:2]
    side = math.sqrt(height * width)
    line_width = _checks.at_least(
        max(1, round(side * _LINE_WIDTH)) if line_width is None else line_width, 1, "line_width"
    )
    font_size = _checks.at_least(
        max(_MIN_FONT_SIZE, round(side * _FONT_SIZE)) if font_size is None else font_size,
        1,
        "font_size",
    )
    loaded_font = _load_font(None if font is None else str(font), font_size)
    pixels = image.copy()
    lowest_first = np.argsort(detections.scores, kind="stable")
    outlines = _round_boxes(detections.boxes, height, width)
    for i in lowest_first:
        _draw_outline(pixels, outlines[i], class_color(int(detections.classes[i])), line_width)
    canvas = Image.fromarray(pixels)
    draw = ImageDraw.Draw(canvas)
    for i in lowest_first:
        class_index = int(detections.classes[i])
        score = f"{detections.scores[i]:.2f}"
        color = class_color(class_index)
        _draw_label(draw, outlines[i], labels[class_index], score, color, loaded_font)
    return np.array(canvas)


def save_drawing(
    path: str | Path, image: np.ndarray, detections: Detections, labels: Labels
) -> None:
    """Writes the image of `draw_detections`, as JPEG or PNG by the suffix of the path.

    Args:
        path: Path of the file to write or replace.
        image: As for `draw_detections`.
        detections: As for `draw_detections`.
        labels: As for `draw_detections`.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "detections.jpg"
    >>> detections = Detections(np.array([[10, 30, 90, 70]]), np.array([0.9]), np.array([1]))
    >>> save_drawing(path, np.zeros((80, 120, 3), "uint8"), detections, ["cat", "dog"])
    >>> path.is_file()
    True
    """
    drawing = Image.fromarray(draw_detections(image, detections, labels))
    with _files.replace_file(path) as beside:
        # Colors at full resolution: at half of it thin lines are blurred.
        jpeg = {"quality": _JPEG_QUALITY, "subsampling": 0}
        drawing.save(beside, **({} if beside.suffix.lower() == ".png" else jpeg))


def class_color(class_index: int) -> Color:
    """Red, green and blue of a class: 21 distinct colors, then the same again.

    Args:
        class_index: Index of the class.

    Example:

    >>> class_color(0), class_color(7), class_color(21)
    ((230, 159, 0), (115, 79, 0), (230, 159, 0))
    """
    repetition, index = divmod(class_index, len(_PALETTE))
    color, shade = _PALETTE[index], _SHADES[repetition % len(_SHADES)]
    if shade is None:
        return color
    red, green, blue = ((channel + shade) // 2 for channel in color)
    return red, green, blue


def _check_inputs(image: np.ndarray, detections: Detections, labels: Labels) -> None:
    shape: tuple[int, ...] = getattr(image, "shape", ())
    dtype = getattr(image, "dtype", None)
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype != np.uint8:
        raise ValueError(
            f"`image` must be a uint8 array (height, width, 3). Received: image of shape {shape} "
            f"and type {dtype or type(image).__name__}."
        )
    count = len(detections.scores)
    shapes = tuple(np.shape(array) for array in detections[:3])
    if shapes != ((count, 4), (count,), (count,)):
        raise ValueError(
            "`detections` must have boxes (n, 4), scores (n,) and classes (n,). "
            f"Received: boxes {shapes[0]}, scores {shapes[1]}, classes {shapes[2]}."
        )
    if not np.all(np.isfinite(detections.boxes)):
        raise ValueError(
            f"`detections` must have finite boxes. Received: boxes={detections.boxes}."
        )
    known = labels if isinstance(labels, Mapping) else range(len(labels))
    unnamed = sorted({int(class_index) for class_index in detections.classes} - {*known})
    if unnamed:
        raise ValueError(
            f"`labels` must name every detected class; {unnamed[0]} has no name. "
            f"Received: {len(labels)} labels."
        )


@functools.lru_cache(maxsize=8)
def _load_font(font: str | None, size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own font lacks even the letters of French.
    matplotlib = _extras.import_package("matplotlib", "detection", "Drawing without `font`")
    dejavu = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    try:
        return ImageFont.truetype(str(dejavu) if font is None else font, size)
    except OSError as error:
        raise ValueError(
            f"`font` must be the file of a TrueType or OpenType font. Received: font={font!r} "
            f"({error})."
        ) from error


def _round_boxes(boxes: np.ndarray, height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Boxes in whole pixels, inside the image, at least one pixel wide and high."""
    limits = np.array([width, height])
    corners = np.rint(np.reshape(boxes, (-1, 2, 2))).astype(int)
    low = np.clip(corners[:, 0], 0, limits - 1)
    high = np.clip(corners[:, 1], low + 1, limits)
    return [tuple(outline) for outline in np.concatenate([low, high], axis=1).tolist()]


def _draw_outline(
    pixels: np.ndarray, outline: tuple[int, int, int, int], color: Color, line_width: int
) -> None:
    # Not by Pillow, which makes rectangles of one row two rows high.
    left, top, right, bottom = outline
    box = pixels[top:bottom, left:right]
    for line in (box[:line_width], box[-line_width:], box[:, :line_width], box[:, -line_width:]):
        line[...] = color


def _draw_label(
    draw: ImageDraw.ImageDraw,
    outline: tuple[int, int, int, int],
    name: str,
    score: str,
    color: Color,
    font: ImageFont.FreeTypeFont,
) -> None:
    """Draws text on a filled rectangle above the box, or in it where there is no space above."""
    image_width, image_height = draw.im.size
    ascent, descent = font.getmetrics()
    margin = math.ceil(font.size / 6)
    height = ascent + descent
    text = _fit_text(name, score, font, image_width - 2 * margin)
    if text is None or height > image_height:
        return
    width = math.ceil(font.getlength(text)) + 2 * margin
    left = min(outline[0], image_width - width)
    above = outline[1] - height
    top = above if above >= 0 else min(outline[1], image_height - height)
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=color)
    draw.text((left + margin, top), text, fill=_choose_text_color(color), font=font)


def _fit_text(name: str, score: str, font: ImageFont.FreeTypeFont, width: int) -> str | None:
    """Name and score, the name shortened to the width; `None` if even the score is too wide."""
    # A label has one line.
    name = " ".join(name.split())
    shortened = (f"{name[:length].rstrip()}…" for length in range(len(name) - 1, -1, -1))
    for text in (f"{name} {score}", *(f"{start} {score}" for start in shortened), score):
        if font.getlength(text) <= width:
            return text
    return None


def _choose_text_color(color: Color) -> Color:
    """Black or white, the one with more contrast."""
    # Relative luminance; at 0.179 both have the same contrast (WCAG 2.1, 1.4.3).
    linear = ((np.array(color) / 255 + 0.055) / 1.055) ** 2.4
    return _BLACK if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else _WHITE
