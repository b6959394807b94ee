"""Images with the bins of each pyramid level and the cells of their maxima."""

import math
from collections.abc import Sequence

import numpy as np

from spp_keras import geometry
from spp_keras.report import bin_contributions, embedded_images, example_images, html, predictions
from spp_keras.zoo import model_parts

_TITLE = "What the pyramid sees"
_RIGHT, _LONGEST = 3, 480
# What dots mark, by the mode of the pyramid.
_DOTS = {
    "max": "the cell that a maximum came from: that of the channel which there adds most",
    "average": "the cell which with all its channels adds most",
}


def section(results: predictions.Predictions) -> html.Markup:
    """A few images, each with a panel for every level."""
    model = results.run.recipe.model
    if not results.run.recipe.has_pyramid:
        return html.render_missing(_TITLE, f"Nothing: {model} has no pyramid; {model}_spp has one.")
    parts = model_parts.split_model(results.network)
    grid = parts.grid
    figures = [_figure(results, parts, grid, index) for index in choose_images(results)]
    return html.section(
        _TITLE,
        html.tag(
            "p",
            "Each image as the network was given it, and again in gray for each level. The lines "
            "are the borders of the bins, which share cells where they do not divide the map "
            f"evenly. In each bin the dot marks {_DOTS[parts.pooling.mode]} to the score of the "
            "answer (value times gradient, before the softmax); the larger, the more. Blue bins "
            "speak for the answer with all their channels together, orange ones against it. Cells "
            f"are {grid.stride} pixels apart, and each sees more than its square.",
            class_="note",
        ),
        *figures,
    )


def choose_images(results: predictions.Predictions) -> list[int]:
    """The most certain correct predictions of some classes, and the most certain wrong one."""
    correct, incorrect = (
        example_images.list_most_certain(results, correct=is_correct)
        for is_correct in (True, False)
    )
    return [*correct[:_RIGHT].tolist(), *incorrect[:1].tolist()]


def _figure(
    results: predictions.Predictions,
    parts: model_parts.ModelParts,
    grid: geometry.CellGrid,
    index: int,
) -> html.Markup:
    pixels = results.read_network_input(index)
    contributions = bin_contributions.compute_bin_contributions(
        parts, pixels, int(results.classes[index])
    )
    height, width = pixels.shape[:2]
    name = f"image-{index}"
    picture = html.tag(
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
        aria_label=results.describe_classes(index),
    )
    biases = contributions.score - contributions.totals.sum()
    caption = html.tag(
        "figcaption",
        example_images.describe_prediction(results, index),
        f"; {width}x{height} pixels. Score before the softmax {contributions.score:.1f}, of which "
        f"biases {biases:+.1f}.",
    )
    panels, first = [html.tag("figure", picture, caption)], 0
    for down, across in contributions.levels:
        last = first + down * across
        svg = _panel(contributions, range(first, last), grid, (height, width), name)
        adds = f"{down}x{across} adds {contributions.totals[first:last].sum():+.1f}"
        panels.append(html.tag("figure", svg, html.tag("figcaption", adds)))
        first = last
    return html.tag("div", *panels, class_="levels")


def _panel(
    contributions: bin_contributions.BinContributions,
    indices: Sequence[int],
    grid: geometry.CellGrid,
    size: tuple[int, int],
    name: str,
) -> html.Markup:
    """One level over the image, in pixels of the network's input."""
    height, width = size
    # The image is in the page once, however many levels there are.
    parts = [html.tag("use", href=f"#{name}")]
    outlines = [outline(contributions.windows[i], grid, size) for i in indices]
    largest = np.abs(contributions.totals[indices]).max() or 1.0
    for i, (left, top, right, bottom) in zip(indices, outlines, strict=True):
        kind = "for" if contributions.totals[i] > 0 else "against"
        # One bin alone has none to be compared with.
        depth = (
            0.6 * abs(float(contributions.totals[i])) / float(largest) if len(indices) > 1 else 0.0
        )
        area = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        parts.append(html.tag("rect", class_=kind, fill_opacity=round(depth, 3), **area))
    path = "".join(f"M{x:g} {y:g}H{right:g}V{y_end:g}H{x:g}Z" for x, y, right, y_end in outlines)
    parts += [html.tag("path", d=path, class_=kind) for kind in ("dark", "light")]
    strongest = contributions.strongest[indices].max()
    for i in indices:
        # Where nothing speaks for the answer there is nothing to mark.
        if contributions.strongest[i] > 0:
            y, x = (
                center(int(cell), grid, side)
                for cell, side in zip(contributions.cells[i], size, strict=True)
            )
            radius = 0.42 * grid.stride * math.sqrt(contributions.strongest[i] / strongest)
            parts.append(html.tag("circle", cx=x, cy=y, r=float(radius)))
    return html.tag("svg", *parts, viewBox=f"0 0 {width} {height}", class_="bins")


def center(cell: int, grid: geometry.CellGrid, side: int) -> float:
    """Where a cell is centered, in a drawing whose first pixel reaches from 0 to 1.

    Args:
        cell: Row or column of the cell.
        grid: Where cells are.
        side: Height or width of the image.
    """
    return grid.at(side).first_center + grid.stride * cell + 0.5


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
        [center(int(cell), grid, side) - half for cell, side in zip(corner, size, strict=True)]
        for corner in (window[:2], window[2:])
    )
    height, width = size
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
