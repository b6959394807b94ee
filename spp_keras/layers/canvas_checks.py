"""Checks of images and of their places on canvases, before a network sees them."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from spp_keras.canvas_rules import CanvasRules
from spp_keras.cell_counts import CellCount
from spp_keras.ops import _assertions


def check_distances(placements: Any, rules: CanvasRules | None) -> Any:
    """Checks that images on one canvas are as far apart as the rules of a network demand.

    Args:
        placements: `(images, 5)`: canvas, top, left, height and width of each image.
        rules: The rules; `None` allows one image a canvas.

    Returns:
        The assertion, where it is part of a graph.
    """
    canvas = placements[:, 0]
    same_canvas = ops.logical_and(canvas[:, None] == canvas[None, :], _pairs(placements))
    if rules is None:
        return _assertions.require(
            ops.logical_not(ops.any(same_canvas, axis=1)),
            "`placements` must have one image a canvas: this network has no rules for more.",
            "placements",
            placements,
        )
    sides = rules.footprint(placements[:, 3], placements[:, 4], ops.maximum)
    starts = [placements[:, 1], placements[:, 2]]
    overlapping = same_canvas
    for start, side in zip(starts, sides, strict=True):
        end = start + side
        apart = ops.logical_or(end[:, None] <= start[None, :], end[None, :] <= start[:, None])
        overlapping = ops.logical_and(overlapping, ops.logical_not(apart))
    aligned = ops.all(placements[:, 1:3] % rules.stride == 0, axis=1)
    return _assertions.require(
        ops.logical_and(aligned, ops.logical_not(ops.any(overlapping, axis=1))),
        f"`placements` must have tops and lefts that are multiples of {rules.stride}, and images "
        "of one canvas so far apart that none begins in the footprint of another, see "
        "`spp_keras.canvas_rules.CanvasRules.footprint`.",
        "placements",
        placements,
    )


def check_equal_cells(
    images: Any, sizes: Any, equal_cells: Sequence[tuple[str, int, CellCount, CellCount]]
) -> list[Any]:
    """Checks that layers that merge maps get maps of one size.

    Args:
        images: The batch.
        sizes: Sizes or placements of images; `None` where they fill the batch.
        equal_cells: Name of the layer, axis and both counts of cells.

    Returns:
        The assertions, where they are part of a graph.
    """
    checks = []
    for name, axis, first, second in equal_cells:
        pixels = ops.shape(images)[axis + 1] if sizes is None else sizes[:, axis - 2]
        message = (
            f"Images must have a {('height', 'width')[axis]} for which layer {name!r} gets maps "
            "of one size; crop or pad them by a few pixels."
        )
        if isinstance(pixels, int):
            if first.of(pixels) != second.of(pixels):
                raise ValueError(f"{message} Received: {pixels} pixels.")
            continue
        pixels = ops.reshape(ops.convert_to_tensor(pixels), (-1,))
        holds = ops.equal(first.of(pixels), second.of(pixels))
        checks.append(_assertions.require(holds, message, "pixels", pixels))
    return checks


def _pairs(placements: Any) -> Any:
    """Which pairs of images are two images."""
    index = ops.arange(ops.shape(placements)[0], dtype="int32")
    return index[:, None] != index[None, :]
