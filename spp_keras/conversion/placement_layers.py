"""Layers that carry the places of images through a network, and keep images apart."""

import functools
from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from spp_keras import _checks
from spp_keras.cell_counts import CellCount
from spp_keras.ops import _assertions, _canvases


@keras.saving.register_keras_serializable(package="spp_keras")
class CellPlacements(keras.layers.Layer):
    """Places of images on a feature map, from their places in pixels.

    Args:
        rows: Steps of the `CellCount` of rows.
        columns: Steps of that of columns.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        placements: Places in pixels, see `spp_keras.any_size`, or `None` where every
            image fills its canvas.

    Example:

    >>> layer = CellPlacements(rows=[(1, 1, 2)], columns=[(1, 1, 2)])
    >>> layer(np.array([[5, 8]])).numpy().tolist()
    [[3, 4]]
    """

    def __init__(self, rows: Any, columns: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.rows, self.columns = CellCount.from_steps(rows), CellCount.from_steps(columns)

    def call(self, placements: Any) -> Any:
        if placements is None:
            return None
        placements = ops.cast(placements, "int32")
        counts = (self.rows, self.columns)
        sizes = [count.of(placements[:, axis - 2]) for axis, count in enumerate(counts)]
        if not _canvases.is_packed(placements):
            return ops.stack(sizes, axis=1)
        starts = [count.place(placements[:, axis + 1]) for axis, count in enumerate(counts)]
        return ops.stack([placements[:, 0], *starts, *sizes], axis=1)

    def compute_output_spec(self, placements: Any) -> Any:
        return keras.KerasTensor(placements.shape, "int32")

    def get_config(self) -> dict[str, Any]:
        steps = {"rows": self.rows.steps, "columns": self.columns.steps}
        return {**super().get_config(), **steps}


class _PlacedLayer(keras.layers.Layer):
    """A layer without weights from a map and the places of images on it."""

    # Each cell lies where its input cell lies, see `spp_keras.model_geometry`.
    keeps_cells = True


_VALUES = {"zero": 0.0, "one": 1.0, "lowest": float("-inf")}


@keras.saving.register_keras_serializable(package="spp_keras")
class MaskCells(_PlacedLayer):
    """Gives the cells of a map that belong to no image one value.

    An image alone is surrounded by the padding of the next layer. So is an image of a
    batch of mixed sizes if this layer comes before every layer that reads beyond it. Where
    all images have the size of the batch, the layer does nothing.

    Args:
        value: `"zero"`; `"one"`, before a division; or `"lowest"` for minus infinity, before
            max pooling. Defaults to `"zero"`.
        finite: Whether every cell holds a finite number. A product with the mask then
            gives zeros, faster than a selection does. Defaults to `False`.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        maps: Tensor `(canvases, rows, columns, channels)`.
        placements: Places of images on it in cells, or `None`.

    Example:

    >>> maps = MaskCells()(np.ones((1, 3, 3, 1)), np.array([[2, 3]], "int32"))
    >>> float(maps[0, 1, 2, 0]), float(maps[0, 2, 2, 0])
    (1.0, 0.0)
    """

    def __init__(
        self, value: Literal["zero", "one", "lowest"] = "zero", finite: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.value = _checks.one_of(value, tuple(_VALUES), "value")
        self.finite = finite

    def call(self, maps: Any, placements: Any = None) -> Any:
        if placements is None:
            return maps
        if self.value == "zero" and self.finite:
            return _canvases.zero_beyond(maps, placements)
        return _canvases.fill_beyond(maps, placements, _VALUES[self.value])

    def compute_output_spec(self, maps: Any, placements: Any = None) -> Any:
        return keras.KerasTensor(maps.shape, maps.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "value": self.value, "finite": self.finite}


@keras.saving.register_keras_serializable(package="spp_keras")
class CropCanvases(_PlacedLayer):
    """Crops maps behind their images to the rows and columns that all of them have.

    Each image has as many cells on all maps. A canvas, which may have any size, may not: half
    of 7 rows is 4, and twice 4 is 8.

    Call arguments:
        maps: List of tensors `(canvases, rows, columns, channels)`.
        placements: Places of images on all of them in cells, or `None`.

    Example:

    >>> layer = CropCanvases()
    >>> maps = layer([np.ones((1, 7, 3, 1)), np.ones((1, 8, 3, 1))], np.array([[6, 3]]))
    >>> [tuple(x.shape) for x in maps]
    [(1, 7, 3, 1), (1, 7, 3, 1)]
    """

    def call(self, maps: Any, placements: Any = None) -> Any:
        if placements is None:
            return maps
        shapes = [ops.shape(x) for x in maps]
        rows, columns = (_find_least([shape[axis] for shape in shapes]) for axis in (1, 2))
        return [x[:, :rows, :columns] for x in maps]

    def compute_output_spec(self, maps: Any, placements: Any = None) -> Any:
        sides = [[x.shape[axis] for x in maps] for axis in (1, 2)]
        least = [None if None in lengths else min(lengths) for lengths in sides]
        return [keras.KerasTensor((x.shape[0], *least, x.shape[-1]), x.dtype) for x in maps]


def _find_least(sides: Sequence[Any]) -> Any:
    """The least of sides; an int where all are known, as slices of JAX must be."""
    known = all(isinstance(side, int) for side in sides)
    return min(sides) if known else functools.reduce(ops.minimum, sides)


@keras.saving.register_keras_serializable(package="spp_keras")
class SpreadToCells(_PlacedLayer):
    """Brings a value of each image, `(images, 1, 1, channels)`, to the cells of the image.

    Call arguments:
        values: Tensor `(images, 1, 1, channels)`.
        maps: Tensor `(canvases, rows, columns, any channels)`.
        placements: Places of images on it in cells, or `None`.

    Output:
        A tensor that broadcasts with `maps`.

    Example:

    >>> values = np.array([[[[3.0]]], [[[4.0]]]])
    >>> both = np.array([[0, 0, 0, 1, 2], [0, 0, 2, 1, 1]], "int32")
    >>> SpreadToCells()(values, np.ones((1, 1, 3, 1)), both).numpy().ravel().tolist()
    [3.0, 3.0, 4.0]
    """

    def call(self, values: Any, maps: Any, placements: Any = None) -> Any:
        return _canvases.spread_to_cells(values, maps, placements)

    def compute_output_spec(self, values: Any, maps: Any, placements: Any = None) -> Any:
        return keras.KerasTensor((*maps.shape[:-1], values.shape[-1]), values.dtype)


@keras.saving.register_keras_serializable(package="spp_keras")
class UnpackImages(_PlacedLayer):
    """The map of each image at the top left of an item of its own, with zeros behind it.

    Call arguments:
        maps: Tensor `(canvases, rows, columns, channels)`.
        placements: Places of images on it in cells, or `None`.

    Output:
        The maps `(images, rows, columns, channels)`, and the rows and columns of each,
        int32 `(images, 2)`, or `None` where every cell counts.

    Example:

    >>> both = np.array([[0, 0, 0, 1, 2], [0, 0, 2, 1, 1]], "int32")
    >>> maps, sizes = UnpackImages()(np.array([[[[1.0], [2.0], [3.0]]]]), both)
    >>> maps.numpy()[:, 0, :, 0].tolist(), sizes.numpy().tolist()
    ([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0]], [[1, 2], [1, 1]])
    """

    def call(self, maps: Any, placements: Any = None) -> Any:
        if placements is None:
            return maps, None
        placements = _assertions.check_placements(placements, maps)
        return _canvases.unpack(maps, placements)

    def compute_output_spec(self, maps: Any, placements: Any = None) -> Any:
        return (
            keras.KerasTensor((None, *maps.shape[1:]), maps.dtype),
            keras.KerasTensor((None, 2), "int32"),
        )
