"""Photographs with what was found on them drawn in."""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spp_keras import _checks, _extras, _files
from spp_keras.detection import boxes

# Okabe and Ito's colors, told apart by the color-blind too; without their black, which is
# lost in shadows.
_PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
# Then the same halfway to black and halfway to white: 21, one for each class of Pascal VOC.
_SHADES = (None, 0, 255)
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
# Of the side of a square as large as the image: on 500x375 pixels lines of 2 and letters of 13.
_LINE, _FONT, _LEAST_FONT = 1 / 216, 1 / 32, 10
_QUALITY = 90


def draw_detections(
    image: np.ndarray,
    found: boxes.Detections,
    labels: Sequence[str] | Mapping[int, str],
    *,
    line_width: int | None = None,
    font_size: int | None = None,
    font: str | Path | None = None,
) -> np.ndarray:
    """A copy of an image with boxes, each with its label and score.

    The better a detection, the later it is drawn, and all boxes before all labels,
    so that no line goes through a label and the best are on top. A label that is
    too long for the image is shortened; an image too small for any gets none.

    Args:
        image: uint8 `(height, width, 3)`, RGB.
        found: What was found on it, in its pixels.
        labels: Name of each class, by its number.
        line_width: Pixels of the boxes' lines. Defaults to what suits the image.
        font_size: Size of the letters. Defaults to what suits the image.
        font: File of a TrueType or OpenType font. Defaults to DejaVu Sans, which
            writes most alphabets, but not Chinese, Japanese or Korean.

    Returns:
        uint8 `(height, width, 3)`.

    Example:

    >>> found = boxes.Detections(np.array([[10, 30, 90, 70]]), np.array([0.9]), np.array([1]))
    >>> drawn = draw_detections(np.zeros((80, 120, 3), "uint8"), found, ["cat", "dog"])
    >>> drawn[50, 10].tolist(), drawn[50, 50].tolist()
    ([86, 180, 233], [0, 0, 0])
    """
    _check(image, found, labels)
    height, width = image.shape[:2]
    side = math.sqrt(height * width)
    line_width = _checks.at_least(
        max(1, round(side * _LINE)) if line_width is None else line_width, 1, "line_width"
    )
    font_size = _checks.at_least(
        max(_LEAST_FONT, round(side * _FONT)) if font_size is None else font_size, 1, "font_size"
    )
    letters = _letters(None if font is None else str(font), font_size)
    drawn = image.copy()
    worst_first = np.argsort(found.scores, kind="stable")
    outlines = _outlines(found.boxes, height, width)
    for i in worst_first:
        _frame(drawn, outlines[i], class_color(int(found.classes[i])), line_width)
    picture = Image.fromarray(drawn)
    pen = ImageDraw.Draw(picture)
    for i in worst_first:
        number = int(found.classes[i])
        score = f"{found.scores[i]:.2f}"
        _write(pen, outlines[i], labels[number], score, class_color(number), letters)
    return np.array(picture)


def save_drawing(
    path: str | Path,
    image: np.ndarray,
    found: boxes.Detections,
    labels: Sequence[str] | Mapping[int, str],
) -> None:
    """Writes what `draw_detections` draws, as JPEG or PNG by the ending of the path.

    Args:
        path: Path of the file to write or replace.
        image: As for `draw_detections`.
        found: As for `draw_detections`.
        labels: As for `draw_detections`.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "found.jpg"
    >>> found = boxes.Detections(np.array([[10, 30, 90, 70]]), np.array([0.9]), np.array([1]))
    >>> save_drawing(path, np.zeros((80, 120, 3), "uint8"), found, ["cat", "dog"])
    >>> path.is_file()
    True
    """
    drawn = Image.fromarray(draw_detections(image, found, labels))
    with _files.replace_file(path) as beside:
        # Colors at full resolution: at half of it thin lines are smeared.
        jpeg = {"quality": _QUALITY, "subsampling": 0}
        drawn.save(beside, **({} if beside.suffix.lower() == ".png" else jpeg))


def class_color(number: int) -> tuple[int, int, int]:
    """Red, green and blue of a class: 21 that differ, then the same again.

    Args:
        number: Number of the class.

    Example:

    >>> color(0), color(7), color(21)
    ((230, 159, 0), (115, 79, 0), (230, 159, 0))
    """
    round_, place = divmod(number, len(_PALETTE))
    base, towards = _PALETTE[place], _SHADES[round_ % len(_SHADES)]
    if towards is None:
        return base
    red, green, blue = ((channel + towards) // 2 for channel in base)
    return red, green, blue


def _check(
    image: np.ndarray, found: boxes.Detections, labels: Sequence[str] | Mapping[int, str]
) -> None:
    shape: tuple[int, ...] = getattr(image, "shape", ())
    dtype = getattr(image, "dtype", None)
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype != np.uint8:
        raise ValueError(
            f"`image` must be a uint8 array (height, width, 3). Received: image of shape {shape} "
            f"and type {dtype or type(image).__name__}."
        )
    count = len(found.scores)
    shapes = np.shape(found.boxes), np.shape(found.scores), np.shape(found.classes)
    if shapes != ((count, 4), (count,), (count,)):
        raise ValueError(
            "`found` must have boxes (n, 4), scores (n,) and classes (n,). "
            f"Received: boxes {shapes[0]}, scores {shapes[1]}, classes {shapes[2]}."
        )
    if not np.all(np.isfinite(found.boxes)):
        raise ValueError(f"`found` must have finite boxes. Received: boxes={found.boxes}.")
    known = labels if isinstance(labels, Mapping) else range(len(labels))
    nameless = sorted({int(number) for number in found.classes} - {*known})
    if nameless:
        raise ValueError(
            f"`labels` must name every class that was found; {nameless[0]} has no name. "
            f"Received: {len(labels)} labels."
        )


@functools.lru_cache(maxsize=8)
def _letters(font: str | None, size: int) -> ImageFont.FreeTypeFont:
    # The one that comes with Pillow has not even the letters of French.
    matplotlib = _extras.import_package("matplotlib", "detection", "Drawing without `font`")
    ours = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    try:
        return ImageFont.truetype(str(ours) if font is None else font, size)
    except OSError as error:
        raise ValueError(
            f"`font` must be the file of a TrueType or OpenType font. Received: font={font!r} "
            f"({error})."
        ) from error


def _outlines(pixels: np.ndarray, height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Boxes in whole pixels, inside the image, one pixel wide and high at least."""
    limits = np.array([width, height])
    edges = np.rint(np.reshape(pixels, (-1, 2, 2))).astype(int)
    first = np.clip(edges[:, 0], 0, limits - 1)
    last = np.clip(edges[:, 1], first + 1, limits)
    return [tuple(outline) for outline in np.concatenate([first, last], axis=1).tolist()]


def _frame(
    pixels: np.ndarray,
    outline: tuple[int, int, int, int],
    paint: tuple[int, int, int],
    line_width: int,
) -> None:
    # Not by Pillow, which makes rectangles of one row two rows high.
    left, top, right, bottom = outline
    box = pixels[top:bottom, left:right]
    for line in (box[:line_width], box[-line_width:], box[:, :line_width], box[:, -line_width:]):
        line[...] = paint


def _write(
    pen: ImageDraw.ImageDraw,
    outline: tuple[int, int, int, int],
    name: str,
    score: str,
    paint: tuple[int, int, int],
    letters: ImageFont.FreeTypeFont,
) -> None:
    """The label on a ground of its own: above the box, or in it where there is no room above."""
    width, height = pen.im.size
    ascent, descent = letters.getmetrics()
    margin = math.ceil(letters.size / 6)
    high = ascent + descent
    text = _shortened(name, score, letters, width - 2 * margin)
    if text is None or high > height:
        return
    wide = math.ceil(letters.getlength(text)) + 2 * margin
    left = min(outline[0], width - wide)
    above = outline[1] - high
    top = above if above >= 0 else min(outline[1], height - high)
    pen.rectangle((left, top, left + wide - 1, top + high - 1), fill=paint)
    pen.text((left + margin, top), text, fill=_ink(paint), font=letters)


def _shortened(name: str, score: str, letters: ImageFont.FreeTypeFont, room: int) -> str | None:
    """Name and score, of the name as much as there is room for; `None` if for nothing."""
    # Lines would need more than one.
    name = " ".join(name.split())
    starts = (f"{name[:length].rstrip()}…" for length in range(len(name) - 1, -1, -1))
    for text in (f"{name} {score}", *(f"{start} {score}" for start in starts), score):
        if letters.getlength(text) <= room:
            return text
    return None


def _ink(paint: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever is the easier to read on a color."""
    # Relative luminance; at 0.179 both have the same contrast (WCAG 2.1, 1.4.3).
    linear = ((np.array(paint) / 255 + 0.055) / 1.055) ** 2.4
    return _BLACK if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else _WHITE
