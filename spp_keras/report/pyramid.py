"""The bins of every level over photographs, and the cells that their maxima came from."""

import math
from collections.abc import Sequence

import numpy as np

from spp_keras import geometry
from spp_keras.report import attention, examples, looking, page, pictures
from spp_keras.zoo import boxes

_TITLE = "What the pyramid sees"
_RIGHT, _LONGEST = 3, 480


def section(looked: looking.Looked) -> page.Markup:
    """A few photographs, each with a panel for every level."""
    model = looked.member.recipe.model
    if not model.endswith("_spp"):
        return page.missing(_TITLE, f"Nothing: {model} has no pyramid; {model}_spp has one.")
    halves = boxes.halves_of(looked.network)
    figures = [_figure(looked, halves, number) for number in chosen(looked)]
    step = halves.grid.step
    return page.section(
        _TITLE,
        page.tag(
            "p",
            "Each image as the network was given it, and again in grey for each level. The lines "
            "are the borders of the bins, which share cells where they do not divide the map "
            "evenly. In each bin the dot marks the cell that a maximum came from: that of the "
            "channel which there adds most to the score of the answer (value times gradient, "
            "before the softmax); the larger, the more. Blue bins speak for the answer with all "
            f"their channels together, orange ones against it. Cells are {step} pixels apart, and "
            "each sees more than its square.",
            class_="note",
        ),
        *figures,
    )


def chosen(looked: looking.Looked) -> list[int]:
    """The surest right answer of each of some classes, and the surest that is wrong."""
    right, wrong = (examples.surest(looked, right=which) for which in (True, False))
    return [*right[:_RIGHT].tolist(), *wrong[:1].tolist()]


def _figure(looked: looking.Looked, halves: boxes.Halves, number: int) -> page.Markup:
    pixels = looked.sent(number)
    seen = attention.of(halves, pixels, int(looked.answers[number]))
    height, width = pixels.shape[:2]
    name = f"image-{number}"
    photograph = page.tag(
        "svg",
        page.tag(
            "image",
            id=name,
            href=pictures.address(pixels, _LONGEST),
            width=width,
            height=height,
        ),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=looked.names_of(number),
    )
    biases = seen.score - seen.totals.sum()
    caption = page.tag(
        "figcaption",
        examples.said(looked, number),
        f"; {width}x{height} pixels. Score before the softmax {seen.score:.1f}, of which biases "
        f"{biases:+.1f}.",
    )
    panels, first = [page.tag("figure", photograph, caption)], 0
    for down, across in seen.levels:
        last = first + down * across
        drawn = _panel(seen, range(first, last), halves.grid, (height, width), name)
        adds = f"{down}x{across} adds {seen.totals[first:last].sum():+.1f}"
        panels.append(page.tag("figure", drawn, page.tag("figcaption", adds)))
        first = last
    return page.tag("div", *panels, class_="levels")


def _panel(
    seen: attention.Seen,
    numbers: Sequence[int],
    grid: geometry.CellGrid,
    size: tuple[int, int],
    name: str,
) -> page.Markup:
    """One level over the image, in pixels of what the network was given."""
    height, width = size
    # The photograph is in the page once, however many levels there are.
    parts = [page.tag("use", href=f"#{name}")]
    outlines = [outline(seen.windows[i], grid, size) for i in numbers]
    most = np.abs(seen.totals[numbers]).max() or 1.0
    for i, (left, top, right, bottom) in zip(numbers, outlines, strict=True):
        kind = "for" if seen.totals[i] > 0 else "against"
        # One bin alone has none to be compared with.
        depth = 0.6 * abs(float(seen.totals[i])) / float(most) if len(numbers) > 1 else 0.0
        area = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        parts.append(page.tag("rect", class_=kind, fill_opacity=round(depth, 3), **area))
    path = "".join(f"M{x:g} {y:g}H{right:g}V{y_end:g}H{x:g}Z" for x, y, right, y_end in outlines)
    parts += [page.tag("path", d=path, class_=kind) for kind in ("dark", "light")]
    strongest = seen.strongest[numbers].max()
    for i in numbers:
        # Where nothing speaks for the answer there is nothing to mark.
        if seen.strongest[i] > 0:
            y, x = (centre(int(cell), grid) for cell in seen.cells[i])
            radius = 0.42 * grid.step * math.sqrt(seen.strongest[i] / strongest)
            parts.append(page.tag("circle", cx=x, cy=y, r=float(radius)))
    return page.tag("svg", *parts, viewBox=f"0 0 {width} {height}", class_="bins")


def centre(cell: int, grid: geometry.CellGrid) -> float:
    """Where a cell is centred, in a drawing whose first pixel reaches from 0 to 1."""
    return grid.first_centre + grid.step * cell + 0.5


def outline(
    window: Sequence[int], grid: geometry.CellGrid, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a bin in such a drawing: of the squares about its cells.

    Args:
        window: First row and column, and the first row and column behind.
        grid: Where cells are.
        size: Height and width of the image, beyond which nothing is drawn.

    Example:

    >>> outline((0, 1, 2, 3), geometry.CellGrid(16, 14.0), (40, 90))
    (22.5, 6.5, 54.5, 38.5)
    """
    half = grid.step / 2
    (top, left), (bottom, right) = (
        [centre(int(cell), grid) - half for cell in corner] for corner in (window[:2], window[2:])
    )
    height, width = size
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
