"""Geometry of the feature map of a Keras model, read from the attributes of its layers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from spp_keras.stand_in import StandIn

_Pair = tuple[float, float]


class MapGeometry(NamedTuple):
    """The feature map of an image of one size; pairs are (vertical, horizontal).

    Cell `i` is centered on pixel `first_center + stride * i`, 0-based: the middle of
    its receptive field.

    Args:
        size: Rows and columns.
        stride: Pixels from one cell to the next.
        first_center: Pixel that the first cell is centered on.
        receptive_field: Pixels that a cell depends on.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    first_center: _Pair
    receptive_field: tuple[int, int]


class Axis(NamedTuple):
    """Positions of cells along one axis, for images of every size.

    There are `(pixels - offset) // stride + 1` cells. How much a strided layer with "same"
    padding pads in front depends on the side of the image, with the total stride as period:
    `low` and `high` have an entry for each remainder. Cell `i` depends on pixels
    `low[pixels % stride] + stride * i` to `high[pixels % stride] + stride * i`.
    """

    stride: int = 1
    low: tuple[int, ...] = (0,)
    high: tuple[int, ...] = (0,)
    offset: int = 1

    def map_size(self, pixels: int) -> int:
        """Number of cells of an image side."""
        return (pixels - self.offset) // self.stride + 1


def map_geometry(model: keras.Model, size: int | tuple[int, int]) -> MapGeometry:
    """Size, stride and offset of the feature map that a model makes of an image.

    Works for functional and sequential models of convolutions, poolings and layers that
    keep the size, `keras.applications` among them. Paths through global pooling, as in
    squeeze-and-excitation, depend on the whole image and are left out.

    Args:
        model: Model from images to one feature map.
        size: Height and width of the image, or an int for both.

    Raises:
        ValueError: For a layer with unknown geometry, with its name, or an image that is
            too small.

    Example:

    >>> inputs = keras.Input((None, None, 3))
    >>> outputs = keras.layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    >>> map_geometry(keras.Model(inputs, outputs), 224)
    MapGeometry(size=(112, 112), stride=(2, 2), first_center=(1.0, 1.0), receptive_field=(3, 3))
    >>> map_geometry(keras.Model(inputs, outputs), 223).first_center
    (0.0, 0.0)
    """
    height, width = (size, size) if isinstance(size, int) else size
    axes = _trace(model, (height, width))
    fields = []
    for axis, pixels in zip(axes, (height, width), strict=True):
        low, high = (ends[pixels % axis.stride] for ends in (axis.low, axis.high))
        fields.append((axis.map_size(pixels), axis.stride, (low + high) / 2, high - low + 1))
    return MapGeometry(*zip(*fields, strict=True))


def map_axes(model: keras.Model) -> tuple[Axis, Axis]:
    """Rows and columns of the feature map, for images of every size.

    Raises:
        ValueError: For a layer with unknown geometry, with its name.
    """
    return _trace(model, None)


# Axes of a feature map, or `None` for what is none: vectors, sizes, global averages.
_Axes = tuple[Axis, Axis] | None
# Sides of an image that every layer must have a cell of, or `None` to check none.
_Pixels = tuple[int, int] | None

_SLIDING = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)
_GLOBAL = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
_CELLWISE = (
    keras.layers.Activation,
    keras.layers.AlphaDropout,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.GroupNormalization,
    keras.layers.Identity,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.Normalization,
    keras.layers.PReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    keras.layers.Softmax,
    keras.layers.SpatialDropout2D,
    keras.layers.UnitNormalization,
)
_MERGING = (
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Concatenate,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
)
# Operators on symbolic tensors and layers of `keras.applications`, whose classes are not public.
_MERGING_NAMES = {"Add", "Divide", "Maximum", "Minimum", "Multiply", "Subtract", "TrueDivide"}
_MERGING_NAMES |= {"CustomScaleLayer"}
_CELLWISE_NAMES = {"LayerScale", "StochasticDepth"}


def _trace(model: keras.Model, pixels: _Pixels) -> tuple[Axis, Axis]:
    (axes,) = _trace_model(model, [(Axis(), Axis())], pixels) or [None]
    if axes is None:
        raise ValueError(
            "`model` must give one feature map (batch, rows, columns, channels): cut it behind its "
            f"last convolution, `keras.Model(model.input, layer.output)`. Received: {model.name!r}."
        )
    return axes


def _trace_model(model: keras.Model, inputs: Sequence[_Axes], pixels: _Pixels) -> list[_Axes]:
    """Axes of each output of a model, from those of its inputs."""
    if isinstance(model, keras.Sequential):
        axes = list(inputs)
        for layer in model.layers:
            axes = _trace_layer(layer, axes, pixels, _output_rank(layer))
        return axes
    if not hasattr(model, "operations"):
        raise ValueError(
            "`model` must be functional or sequential, as its graph is read. "
            f"Received: {model.name!r} of class {type(model).__name__}."
        )
    known: dict[int, tuple[Any, _Axes]] = {}

    def remember(tensors: Any, axes: Sequence[_Axes]) -> None:
        # With the tensor itself, so that its id is not given to another one.
        for tensor, axis in zip(keras.tree.flatten(tensors), axes, strict=False):
            known[id(tensor)] = (tensor, axis if len(tensor.shape) == 4 else None)

    def call(stand_in: StandIn, *args: Any, **kwargs: Any) -> Any:
        outputs = stand_in(*args, **kwargs)
        maps = [known[id(x)][1] for x in keras.tree.flatten((args, kwargs)) if id(x) in known]
        rank = len(keras.tree.flatten(outputs)[0].shape)
        remember(outputs, _trace_layer(stand_in.original, maps, pixels, rank))
        return outputs

    tensors = keras.tree.map_structure(
        lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype), model.input
    )
    remember(tensors, inputs)
    clone = keras.models.clone_model(
        model, input_tensors=tensors, clone_function=StandIn, call_function=call
    )
    return [known[id(tensor)][1] for tensor in clone.outputs]


def _output_rank(layer: Any) -> int | None:
    try:
        return len(layer.output.shape)
    except AttributeError:
        return None  # Not called yet.


def _trace_layer(
    layer: Any, inputs: Sequence[_Axes], pixels: _Pixels, output_rank: int | None
) -> list[_Axes]:
    """Axes of the outputs of a layer or operation."""
    if isinstance(layer, keras.Model):
        return _trace_model(layer, inputs, pixels)
    maps = [axes for axes in inputs if axes is not None]
    if not maps or isinstance(layer, _GLOBAL):
        return [None]
    if isinstance(layer, _MERGING) or type(layer).__name__ in _MERGING_NAMES:
        return [_merge(layer, maps)]
    if isinstance(layer, _CELLWISE) or type(layer).__name__ in _CELLWISE_NAMES:
        return [maps[0]]
    if getattr(layer, "keeps_cells", False):
        return [maps[0]]
    if isinstance(layer, _SLIDING):
        return [_slide(layer, maps[0], pixels)]
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return [_pad(maps[0], layer.padding, 1)]
    if isinstance(layer, keras.layers.Cropping2D):
        return [_pad(maps[0], layer.cropping, -1)]
    if output_rank not in (4, None):
        return [None]
    raise ValueError(
        f"The geometry of layer {layer.name!r} of class {type(layer).__name__} is not known. If "
        "each of its cells lies where the cell of its input lies, set `layer.keeps_cells = True`."
    )


def _merge(layer: Any, maps: Sequence[tuple[Axis, Axis]]) -> tuple[Axis, Axis]:
    """Axes of a sum or concatenation: its cells depend on the pixels of all inputs."""
    merged = []
    for axes in zip(*maps, strict=True):
        if len({(axis.stride, axis.offset) for axis in axes}) > 1:
            raise ValueError(
                f"The inputs of layer {layer.name!r} must have one stride and size. "
                f"Received: {axes}."
            )
        low = tuple(map(min, zip(*(axis.low for axis in axes), strict=True)))
        high = tuple(map(max, zip(*(axis.high for axis in axes), strict=True)))
        merged.append(axes[0]._replace(low=low, high=high))
    return merged[0], merged[1]


def _pad(axes: tuple[Axis, Axis], margins: Any, sign: int) -> tuple[Axis, Axis]:
    rows, columns = (
        Axis(
            axis.stride,
            tuple(low - sign * axis.stride * before for low in axis.low),
            tuple(high - sign * axis.stride * before for high in axis.high),
            axis.offset - sign * axis.stride * (before + after),
        )
        for axis, (before, after) in zip(axes, margins, strict=True)
    )
    return rows, columns


def _slide(layer: Any, axes: tuple[Axis, Axis], pixels: _Pixels) -> tuple[Axis, Axis]:
    """Axes behind a convolution or pooling."""
    kernel = layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size
    dilation = getattr(layer, "dilation_rate", (1, 1))
    rows, columns = (
        _slide_axis(
            layer,
            axes[i],
            (kernel[i] - 1) * dilation[i] + 1,
            layer.strides[i],
            None if pixels is None else pixels[i],
        )
        for i in (0, 1)
    )
    return rows, columns


def _slide_axis(layer: Any, axis: Axis, kernel: int, stride: int, pixels: int | None) -> Axis:
    offset, total = axis.offset, axis.stride * stride
    margins = [0] * total
    if layer.padding == "same":
        # Padding makes it `ceil(cells / stride)` cells, by as much before as after or one less.
        remainders = [(axis.map_size(side) - 1) % stride + 1 for side in range(total)]
        margins = [max(kernel - remainder, 0) // 2 for remainder in remainders]
    else:
        offset += axis.stride * (kernel - 1)
    lows, highs = axis.low * stride, axis.high * stride
    behind = Axis(
        total,
        tuple(low - axis.stride * before for low, before in zip(lows, margins, strict=True)),
        tuple(
            high + axis.stride * (kernel - 1 - before)
            for high, before in zip(highs, margins, strict=True)
        ),
        offset,
    )
    if pixels is not None and behind.map_size(pixels) < 1:
        raise ValueError(
            f"`size` must be larger: layer {layer.name!r} has no cell. "
            f"Received: a side of {pixels}."
        )
    return behind
