"""The bins of every level over photographs, and the cells that their maxima came from."""

import math
from collections.abc import Sequence

import numpy as np

from spp_keras import geometry
from spp_keras.report import bin_contributions, embedded_images, example_images, html, predictions
from spp_keras.zoo import model_parts

_TITLE = "What the pyramid sees"
_RIGHT, _LONGEST = 3, 480


def section(looked: predictions.Predictions) -> html.Markup:
    """A few photographs, each with a panel for every level."""
    model = looked.member.recipe.model
    if not model.endswith("_spp"):
        return html.render_missing(_TITLE, f"Nothing: {model} has no pyramid; {model}_spp has one.")
    halves = model_parts.split_model(looked.network)
    figures = [_figure(looked, halves, number) for number in chosen(looked)]
    step = halves.grid.stride
    return html.section(
        _TITLE,
        html.tag(
            "p",
            "Each image as the network was given it, and again in gray for each level. The lines "
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


def chosen(looked: predictions.Predictions) -> list[int]:
    """The surest right answer of each of some classes, and the surest that is wrong."""
    right, wrong = (example_images.surest(looked, right=which) for which in (True, False))
    return [*right[:_RIGHT].tolist(), *wrong[:1].tolist()]


def _figure(
    looked: predictions.Predictions, halves: model_parts.ModelParts, number: int
) -> html.Markup:
    pixels = looked.sent(number)
    seen = bin_contributions.compute_bin_contributions(halves, pixels, int(looked.answers[number]))
    height, width = pixels.shape[:2]
    name = f"image-{number}"
    photograph = html.tag(
        "svg",
        html.tag(
            "image",
            id=name,
            href=embedded_images.data_uri(pixels, _LONGEST),
            width=width,
            height=height,
        ),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=looked.names_of(number),
    )
    biases = seen.score - seen.totals.sum()
    caption = html.tag(
        "figcaption",
        example_images.said(looked, number),
        f"; {width}x{height} pixels. Score before the softmax {seen.score:.1f}, of which biases "
        f"{biases:+.1f}.",
    )
    panels, first = [html.tag("figure", photograph, caption)], 0
    for down, across in seen.levels:
        last = first + down * across
        drawn = _panel(seen, range(first, last), halves.grid, (height, width), name)
        adds = f"{down}x{across} adds {seen.totals[first:last].sum():+.1f}"
        panels.append(html.tag("figure", drawn, html.tag("figcaption", adds)))
        first = last
    return html.tag("div", *panels, class_="levels")


def _panel(
    seen: bin_contributions.BinContributions,
    numbers: Sequence[int],
    grid: geometry.CellGrid,
    size: tuple[int, int],
    name: str,
) -> html.Markup:
    """One level over the image, in pixels of what the network was given."""
    height, width = size
    # The photograph is in the page once, however many levels there are.
    parts = [html.tag("use", href=f"#{name}")]
    outlines = [outline(seen.windows[i], grid, size) for i in numbers]
    most = np.abs(seen.totals[numbers]).max() or 1.0
    for i, (left, top, right, bottom) in zip(numbers, outlines, strict=True):
        kind = "for" if seen.totals[i] > 0 else "against"
        # One bin alone has none to be compared with.
        depth = 0.6 * abs(float(seen.totals[i])) / float(most) if len(numbers) > 1 else 0.0
        area = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        parts.append(html.tag("rect", class_=kind, fill_opacity=round(depth, 3), **area))
    path = "".join(f"M{x:g} {y:g}H{right:g}V{y_end:g}H{x:g}Z" for x, y, right, y_end in outlines)
    parts += [html.tag("path", d=path, class_=kind) for kind in ("dark", "light")]
    strongest = seen.strongest[numbers].max()
    for i in numbers:
        # Where nothing speaks for the answer there is nothing to mark.
        if seen.strongest[i] > 0:
            y, x = (center(int(cell), grid) for cell in seen.cells[i])
            radius = 0.42 * grid.stride * math.sqrt(seen.strongest[i] / strongest)
            parts.append(html.tag("circle", cx=x, cy=y, r=float(radius)))
    return html.tag("svg", *parts, viewBox=f"0 0 {width} {height}", class_="bins")


def center(cell: int, grid: geometry.CellGrid) -> float:
    """Where a cell is centered, in a drawing whose first pixel reaches from 0 to 1."""
    return grid.first_center + grid.stride * cell + 0.5


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
    half = grid.stride / 2
    (top, left), (bottom, right) = (
        [center(int(cell), grid) - half for cell in corner] for corner in (window[:2], window[2:])
    )
    height, width = size
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
