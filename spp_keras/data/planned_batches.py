"""A planner for anybody's list of sizes: which images share a batch, and how they lie in it."""

from typing import Any, NamedTuple

import numpy as np

from spp_keras.canvas_rules import CanvasRules
from spp_keras.data import batch_layouts
from spp_keras.data.batch_planner import BatchPlanner


class PlannedBatch(NamedTuple):
    """A batch as `plan_batches` plans it.

    Args:
        indices: int32 `(images,)`: which images of the list.
        canvases: Number of canvases. A padded batch has one for each image.
        height: Height of each in pixels.
        width: Width of each in pixels.
        placements: int32 `(images, 5)`: canvas, top, left, height and width of each image.

    Example:

    >>> [batch] = plan_batches([[30, 40], [50, 20]], shuffle=False)
    >>> batch.indices.tolist(), batch.placements.tolist()
    ([1, 0], [[0, 0, 0, 50, 20], [1, 0, 0, 30, 40]])
    """

    indices: np.ndarray
    canvases: int
    height: int
    width: int
    placements: np.ndarray


def plan_batches(
    sizes: Any,
    max_pixels: int | None = None,
    seed: int = 0,
    epoch: int = 0,
    *,
    batch_size: int = 32,
    canvas_rules: CanvasRules | None = None,
    shuffle: bool = True,
) -> list[PlannedBatch]:
    """Plans the batches of an epoch over images of any sizes.

    Each image is in one batch. Which images share one depends on sizes, `batch_size`,
    `max_pixels`, seed and epoch alone, and is what `Pipeline` does. How they lie in it depends
    on `canvas_rules`: each padded to the largest height and width, or several on a canvas where
    that has fewer pixels.

    Args:
        sizes: Integers `(images, 2)`, height and width of each image.
        max_pixels: Maximum number of pixels in a batch, padding included. Defaults to `None`,
            no limit.
        seed: Seed of the shuffling. Defaults to 0.
        epoch: Index of the epoch. Defaults to 0.
        batch_size: Maximum number of images in a batch. Defaults to 32.
        canvas_rules: How close images may lie on one canvas, as the layer `"mixed_sizes"` of a
            network has them: `model.get_layer("mixed_sizes").canvas_rules`. Defaults to
            `None`, one image a canvas.
        shuffle: Whether epochs differ. Defaults to `True`.

    Returns:
        A list of `PlannedBatch`es, in the order of the epoch.

    Example:

    >>> from spp_keras.canvas_rules import CanvasRules
    >>> sizes = [[320, 32], [32, 288], [64, 64], [256, 96]]
    >>> batches = plan_batches(sizes, batch_size=4, canvas_rules=CanvasRules(16))
    >>> sorted(batches[0].indices.tolist()), batches[0].canvases < 4
    ([0, 1, 2, 3], True)
    """
    sizes = np.asarray(sizes)
    planner = BatchPlanner(
        len(sizes), batch_size, sizes=sizes, max_pixels=max_pixels, shuffle=shuffle, seed=seed
    )
    batches = []
    for indices in planner.list_batches(epoch):
        layout = batch_layouts.lay_images(sizes[indices], canvas_rules)
        shape = (int(layout.canvases), int(layout.height), int(layout.width))
        batches.append(PlannedBatch(indices, *shape, layout.placements.numpy()))
    return batches
