"""Images on canvases: masks, and values of images spread to cells and gathered from them.

A canvas is one item of a batch `(canvases, height, width, channels)`. Where its images lie is
told by `placements`, integers, one row an image:

- `(images, 2)`, rows and columns: one image a canvas, in its order, at the top left;
- `(images, 5)`, canvas, top, left, rows and columns: any number of images a canvas.

The second form can state all that the first can; the first is cheaper. What lies beyond the
images of a canvas may hold anything.
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

_FEW_CHANNELS = 16


def is_packed(placements: Any) -> bool:
    """Whether a canvas may hold several images."""
    return bool(placements.shape[-1] == 5)


def item_sizes(placements: Any) -> Any:
    """Rows and columns of each image: `(images, 2)`."""
    return placements[:, 3:] if is_packed(placements) else placements


def mask_cells(x: Any, placements: Any) -> Any:
    """Which cells are image: bool `(canvases, height, width)`."""
    canvases, height, width = ops.shape(x)[:3]
    rows, columns = _covered(placements, height, width)
    if not is_packed(placements):
        return ops.logical_and(ops.expand_dims(rows, 2), ops.expand_dims(columns, 1))
    return _sum_over_images(rows, columns, placements, canvases) > 0.5


def fill_beyond(x: Any, placements: Any, value: float = 0.0) -> Any:
    """Cells that are no image get a value, whatever was there."""
    filler = ops.full((), value, dtype=x.dtype)
    if x.shape[-1] > _FEW_CHANNELS:
        return ops.where(ops.expand_dims(mask_cells(x, placements), 3), x, filler)
    # Along a few channels a mask is slow to repeat: here it has them in its columns.
    items, height, width, channels = ops.shape(x)
    rows, columns = _covered(placements, height, width)
    columns = ops.repeat(columns, channels, axis=1)
    if is_packed(placements):
        mask = _sum_over_images(rows, columns, placements, items) > 0.5
    else:
        mask = ops.logical_and(ops.expand_dims(rows, 2), ops.expand_dims(columns, 1))
    lines = ops.reshape(x, (items, height, width * channels))
    return ops.reshape(ops.where(mask, lines, filler), (items, height, width, channels))


def zero_beyond(x: Any, placements: Any) -> Any:
    """Cells that are no image become zero; every cell has to hold a finite number.

    A product is faster than a selection.
    """
    return x * ops.expand_dims(ops.cast(mask_cells(x, placements), x.dtype), 3)


def index_images(x: Any, placements: Any) -> Any:
    """The image that each cell belongs to, -1 for none: int32 `(canvases, height, width)`."""
    canvases, height, width = ops.shape(x)[:3]
    rows, columns = _covered(placements, height, width)
    numbers = ops.arange(ops.shape(placements)[0], dtype="float32") + 1.0
    weights = ops.cast(rows, "float32") * numbers[:, None]
    indices = _sum_over_images(weights, columns, placements, canvases)
    return ops.cast(ops.round(indices), "int32") - 1


def spread_to_cells(values: Any, x: Any, placements: Any) -> Any:
    """A value of each image, `(images, 1, 1, channels)`, at each of its cells.

    Args:
        values: The values.
        x: Map with the cells.
        placements: Where images lie on it; `None` for one image a canvas that fills it.

    Returns:
        What broadcasts with `x`. Cells of no image get the value of the first.
    """
    if placements is None or not is_packed(placements):
        return values
    indices = ops.maximum(index_images(x, placements), 0)
    return ops.take(values[:, 0, 0], indices, axis=0)


def sum_images(x: Any, placements: Any) -> Any:
    """Sums over the cells of each image, in float32 or better: `(images, channels)`.

    Every cell has to hold a finite number.
    """
    x = ops.cast(x, "float64" if x.dtype == "float64" else "float32")
    if not is_packed(placements):
        return ops.sum(zero_beyond(x, placements), axis=(1, 2))
    # Row by row first: one running sum over a whole image would lose digits.
    images, channels = ops.shape(placements)[0], x.shape[-1]
    canvases, height, width = ops.shape(x)[:3]
    owners = index_images(x, placements)
    x = x * ops.cast(owners >= 0, x.dtype)[..., None]
    rows = ops.arange(height, dtype="int32")[None, :, None] * (images + 1) + owners + 1
    sums = ops.segment_sum(
        ops.reshape(x, (canvases * height * width, channels)),
        ops.reshape(rows, (-1,)),
        num_segments=height * (images + 1),
    )
    return ops.sum(ops.reshape(sums, (height, images + 1, channels)), axis=0)[1:]


def max_images(x: Any, placements: Any) -> Any:
    """Maxima over the cells of each image: `(images, channels)`."""
    if not is_packed(placements):
        return ops.max(fill_beyond(x, placements, float("-inf")), axis=(1, 2))
    indices = ops.reshape(index_images(x, placements) + 1, (-1,))
    cells = ops.reshape(x, (-1, x.shape[-1]))
    return ops.segment_max(cells, indices, num_segments=ops.shape(placements)[0] + 1)[1:]


def count_cells(placements: Any, dtype: str) -> Any:
    """Number of cells of each image: `(images, 1)`."""
    sizes = ops.cast(item_sizes(placements), dtype)
    return sizes[:, :1] * sizes[:, 1:]


def unpack(x: Any, placements: Any) -> tuple[Any, Any]:
    """The map of each image at the top left of an item of its own, with zeros behind it.

    Args:
        x: Maps of canvases.
        placements: Where images lie on them.

    Returns:
        The maps `(images, height, width, channels)`, and the rows and columns of each.
    """
    if is_packed(placements):
        canvases, height, width, channels = ops.shape(x)
        canvas, top, left = (ops.expand_dims(placements[:, i : i + 1], 2) for i in range(3))
        rows = ops.minimum(top + ops.arange(height, dtype="int32")[None, :, None], height - 1)
        columns = ops.minimum(left + ops.arange(width, dtype="int32")[None, None, :], width - 1)
        cells = (canvas * height + rows) * width + columns
        x = ops.take(ops.reshape(x, (canvases * height * width, channels)), cells, axis=0)
        placements = item_sizes(placements)
    return zero_beyond(x, placements), placements


def pad_same(
    x: Any, placements: Any, kernel: Sequence[int], stride: Sequence[int], value: float = 0.0
) -> Any:
    """Pads every image by what "same" padding gives to that image alone.

    The leading padding of a strided layer depends on the image's own size. The content of
    each image is moved by its own: a choice between few shifts of the whole map. A layer
    without padding then maps the result as "same" padding would map each image.

    Args:
        x: Maps.
        placements: Where images lie on them.
        kernel: Rows and columns of the kernel, dilation included.
        stride: Strides of rows and columns.
        value: What to pad with. Defaults to 0.
    """
    x = fill_beyond(x, placements, value)
    sizes = item_sizes(placements)
    extents: list[Any] = [sizes[:, 0], sizes[:, 1]]
    for axis in (0, 1):
        before, padding = _same_padding(sizes[:, axis], kernel[axis], stride[axis])
        choices = _leading_paddings(kernel[axis], stride[axis])
        shifted = _shift(x, axis + 1, choices, kernel[axis], stride[axis], value)
        extents[axis] = sizes[:, axis] + padding
        x = shifted[0]
        for choice, candidate in zip(choices[1:], shifted[1:], strict=True):
            chosen = _select_images(candidate, placements, extents, before == choice)
            x = ops.where(chosen, candidate, x)
    return x


def _same_padding(length: Any, kernel: int, stride: int) -> tuple[Any, Any]:
    """Cells before a side and in all."""
    count = (length + stride - 1) // stride
    padding = ops.maximum((count - 1) * stride + kernel - length, 0)
    return padding // 2, padding


def _leading_paddings(kernel: int, stride: int) -> list[int]:
    """Every number of cells that a side can get before it."""
    return sorted({max(kernel - rest, 0) // 2 for rest in range(1, stride + 1)}, reverse=True)


def _shift(
    x: Any, axis: int, choices: Sequence[int], kernel: int, stride: int, value: float
) -> list[Any]:
    """The map with so many cells before it, as long as the windows of its layer reach."""
    length = ops.shape(x)[axis]
    padded_length = (length + stride - 1) // stride * stride - stride + kernel
    behind = max(choices[0] - choices[-1], 0) + max(kernel - 1, 0)
    margins = [(0, 0)] * 4
    margins[axis] = (choices[0], behind)
    x = ops.pad(x, margins, constant_values=value)
    shifted = []
    for choice in choices:
        slices: list[Any] = [slice(None)] * 4
        start = choices[0] - choice
        slices[axis] = slice(start, start + padded_length)
        shifted.append(x[tuple(slices)])
    return shifted


def _select_images(x: Any, placements: Any, extents: Sequence[Any], chosen: Any) -> Any:
    """Which cells belong to chosen images of these extents; broadcasts with the map."""
    if not is_packed(placements):
        return chosen[:, None, None, None]
    canvases, height, width = ops.shape(x)[:3]
    wider = ops.concatenate([placements[:, :3], ops.stack(list(extents), axis=1)], axis=1)
    rows, columns = _covered(wider, height, width)
    rows = ops.logical_and(rows, chosen[:, None])
    return ops.expand_dims(_sum_over_images(rows, columns, placements, canvases) > 0.5, 3)


def _covered(placements: Any, height: Any, width: Any) -> tuple[Any, Any]:
    """Rows and columns of the canvas that each image covers: bool `(images, length)`."""
    covered = []
    for axis, length in enumerate((height, width)):
        cells = ops.arange(length, dtype="int32")[None, :]
        # Slices: with an index and a new axis in one, TensorFlow's graph optimizer loses the axis.
        if is_packed(placements):
            start = placements[:, axis + 1 : axis + 2]
            end = start + placements[:, axis + 3 : axis + 4]
            covered.append(ops.logical_and(cells >= start, cells < end))
        else:
            covered.append(cells < placements[:, axis : axis + 1])
    return covered[0], covered[1]


def _sum_over_images(rows: Any, columns: Any, placements: Any, canvases: Any) -> Any:
    """Products of row and column values, added up over the images of each canvas."""
    on_canvas = placements[None, :, 0] == ops.arange(canvases, dtype="int32")[:, None]
    weights = ops.cast(on_canvas, "float32")[:, :, None] * ops.cast(rows, "float32")[None]
    return ops.matmul(ops.transpose(weights, (0, 2, 1)), ops.cast(columns, "float32")[None])
