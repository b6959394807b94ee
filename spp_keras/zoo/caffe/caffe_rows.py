"""A Caffe network as rows of numbers, from the images on: one chain, its pyramid one row.

No tensors and no weights: what there is to say about a network's layers before
they are built, and an error for what cannot be.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from spp_keras import geometry
from spp_keras.zoo.caffe import caffe_files


class CaffeConv(NamedTuple):
    """A convolution, rounding down."""

    name: str
    filters: int
    kernel: int
    stride: int
    padding: int
    groups: int
    bias: bool
    relu: bool = False


class CaffeNorm(NamedTuple):
    """Local response normalization, `alpha` for each element as in our layer."""

    name: str
    region: Literal["across", "within"]
    size: int
    alpha: float
    beta: float
    bias: float


class CaffePool(NamedTuple):
    """Max pooling, rounding up, or of the `whole` map."""

    name: str
    kernel: int
    stride: int
    padding: int
    whole: bool = False


class Relu(NamedTuple):
    """A ReLU that does not come right behind weights."""

    name: str


class Pyramid(NamedTuple):
    """The poolings before the first dense layer, in the order of its weights."""

    levels: tuple[geometry.Level, ...]


class Dense(NamedTuple):
    """A dense layer; its input is multiplied by `scale`."""

    name: str
    units: int
    bias: bool
    scale: float = 1.0
    relu: bool = False
    softmax: bool = False


class Dropout(NamedTuple):
    """Dropout; `scale` is what Caffe multiplies by at test."""

    name: str
    rate: float
    scale: float


Row = CaffeConv | CaffeNorm | CaffePool | Relu | Pyramid | Dense | Dropout


def read_rows(network: caffe_files.CaffeNetwork, scale_train: bool) -> tuple[Row, ...]:
    """The rows of a network, up to what its last layer gives.

    Args:
        network: What the file says.
        scale_train: Whether dropout that does not say scales while training.
    """
    if not network.layers:
        raise ValueError("`prototxt` must have layers. Received: none but the images.")
    # Of each blob, the rows from the images to it.
    paths: dict[str, tuple[Row, ...]] = {network.input: ()}
    last = network.input
    for layer in network.layers:
        if layer.kind not in _READERS:
            raise ValueError(
                f"`prototxt` must have layers of the kinds {', '.join(_READERS)} alone, as the "
                f"file for deployment of a chain has. Received: the layer {layer.name!r} of the "
                f"type {layer.kind!r}."
            )
        missing = [name for name in layer.bottoms if name not in paths]
        if missing or not layer.bottoms or not layer.tops:
            raise _no_chain(layer, f"it takes {list(layer.bottoms)} and gives {list(layer.tops)}")
        before = [paths[name] for name in layer.bottoms]
        if layer.kind != "concat" and len(before) > 1:
            raise _no_chain(layer, f"it takes {list(layer.bottoms)}")
        last = layer.tops[0]
        if layer.kind == "concat":
            paths[last] = _concatenated(layer, before, network.shape)
        elif layer.kind == "dropout":
            paths[last] = (*before[0], _dropout(layer, scale_train))
        else:
            paths[last] = _READERS[layer.kind](layer, before[0], network.shape)
    _check(paths[last])
    return paths[last]


def list_grids(rows: Sequence[Row]) -> Iterator[tuple[Row, geometry.CellGrid, geometry.CellGrid]]:
    """Each row with the grid of the map before it and that of the map behind it."""
    before = geometry.CellGrid()
    for row in rows:
        behind = before
        if isinstance(row, CaffeConv | CaffePool):
            ceil_mode = isinstance(row, CaffePool)
            behind = before.after_layer(row.kernel, row.stride, row.padding, ceil_mode=ceil_mode)
        yield row, before, behind
        before = behind


def _convolution(layer: caffe_files.CaffeLayer, before: tuple[Row, ...], _: Any) -> tuple[Row, ...]:
    what = layer.parameters("convolution_param", "conv_param")
    if any(dilation != 1 for dilation in what.dilation):
        raise _unsupported(layer, f"dilation {list(what.dilation)}")
    sizes = _square(layer, what, "kernel"), _square(layer, what, "stride", 1)
    padding = _square(layer, what, "pad", 0)
    conv = CaffeConv(layer.name, what.num_output, *sizes, padding, what.group, what.bias_term)
    return (*before, conv)


def _pooling(
    layer: caffe_files.CaffeLayer, before: tuple[Row, ...], shape: tuple[int, int, int]
) -> tuple[Row, ...]:
    what = layer.parameters("pooling_param", "pool_param")
    if what.pool != 0:
        raise _unsupported(layer, "another pooling than MAX")
    if what.global_pooling:
        return (*before, CaffePool(layer.name, 1, 1, 0, whole=True))
    kernel, stride = _square(layer, what, "kernel"), _square(layer, what, "stride", 1)
    padding = _square(layer, what, "pad", 0)
    # Otherwise Caffe drops a last window that would begin beyond the map, at some sizes.
    if padding > kernel - stride:
        raise _unsupported(layer, f"kernel {kernel}, stride {stride} and pad {padding} together")
    return (*before, CaffePool(layer.name, kernel, stride, padding))


def _lrn(layer: caffe_files.CaffeLayer, before: tuple[Row, ...], _: Any) -> tuple[Row, ...]:
    what = layer.parameters("lrn_param")
    # Caffe's alpha multiplies a mean; within a channel it has no k.
    if what.norm_region == 1:
        alpha = what.alpha / what.local_size**2
        norm: tuple[Any, ...] = ("within", what.local_size, alpha, what.beta, 1.0)
    else:
        norm = ("across", what.local_size, what.alpha / what.local_size, what.beta, what.k)
    return (*before, CaffeNorm(layer.name, *norm))


def _relu(layer: caffe_files.CaffeLayer, before: tuple[Row, ...], _: Any) -> tuple[Row, ...]:
    slope = layer.parameters("relu_param").negative_slope
    if slope:
        raise _unsupported(layer, f"negative_slope {slope}")
    if before and isinstance(before[-1], CaffeConv | Dense):
        return (*before[:-1], before[-1]._replace(relu=True))
    return (*before, Relu(layer.name))


def _flatten(layer: caffe_files.CaffeLayer, before: tuple[Row, ...], _: Any) -> tuple[Row, ...]:
    if not before or not isinstance(before[-1], CaffePool):
        raise _no_chain(layer, "only what was pooled is flattened")
    return before


def _concatenated(
    layer: caffe_files.CaffeLayer, before: Sequence[tuple[Row, ...]], shape: tuple[int, int, int]
) -> tuple[Row, ...]:
    what = layer.parameters("concat_param")
    pools = [path[-1] for path in before if path and isinstance(path[-1], CaffePool)]
    if len(pools) != len(before) or len({path[:-1] for path in before}) != 1:
        raise _no_chain(layer, "only the poolings of one map, flattened, are concatenated")
    if (what.axis, what.concat_dim) != (1, 1):
        raise _unsupported(layer, f"axis {what.axis} and concat_dim {what.concat_dim}")
    trunk = before[0][:-1]
    return (*trunk, Pyramid(tuple(_level(pool, trunk, shape) for pool in pools)))


def _inner_product(
    layer: caffe_files.CaffeLayer, before: tuple[Row, ...], shape: tuple[int, int, int]
) -> tuple[Row, ...]:
    what = layer.parameters("inner_product_param")
    if what.transpose or what.axis != 1:
        raise _unsupported(layer, f"transpose {what.transpose} and axis {what.axis}")
    if before and isinstance(before[-1], CaffePool):
        # A network without a pyramid has one of one level: its last pooling.
        before = (*before[:-1], Pyramid((_level(before[-1], before[:-1], shape),)))
    if not any(isinstance(row, Pyramid) for row in before):
        raise _no_chain(layer, "a pooling must come before it")
    scale = before[-1].scale if isinstance(before[-1], Dropout) else 1.0
    return (*before, Dense(layer.name, what.num_output, what.bias_term, scale))


def _softmax(layer: caffe_files.CaffeLayer, before: tuple[Row, ...], _: Any) -> tuple[Row, ...]:
    if not before or not isinstance(before[-1], Dense) or before[-1].relu:
        raise _no_chain(layer, "an InnerProduct must come before it")
    return (*before[:-1], before[-1]._replace(softmax=True))


def _dropout(layer: caffe_files.CaffeLayer, scale_train: bool) -> Dropout:
    what = layer.parameters("dropout_param")
    if what.HasField("scale_train"):
        scale_train = what.scale_train
    rate = what.dropout_ratio
    return Dropout(layer.name, rate, 1.0 if scale_train else 1.0 - rate)


_READERS: dict[str, Callable[..., Any]] = {
    "concat": _concatenated,
    "convolution": _convolution,
    "dropout": _dropout,
    "flatten": _flatten,
    "innerproduct": _inner_product,
    "lrn": _lrn,
    "pooling": _pooling,
    "relu": _relu,
    "softmax": _softmax,
}


def _level(pool: CaffePool, trunk: tuple[Row, ...], shape: tuple[int, int, int]) -> geometry.Level:
    """The level whose bins a pooling has on the map of the size that was trained."""
    *_, (_, grid, _) = list_grids((*trunk, pool))
    _, height, width = shape
    return _bins(pool, grid.map_size(height)), _bins(pool, grid.map_size(width))


def _bins(pool: CaffePool, length: int) -> int:
    if pool.whole:
        return 1
    bins = -(-(length + 2 * pool.padding - pool.kernel) // pool.stride) + 1
    for index in range(bins):
        start = index * pool.stride - pool.padding
        window = max(start, 0), min(start + pool.kernel, length)
        edges = geometry.bin_edges(index, length, bins)
        # The released 2x2 level has windows of 7 and 6 of 13 cells, the paper's has two of 7.
        if any(abs(one - other) > 1 for one, other in zip(window, edges, strict=True)):
            raise ValueError(
                f"`prototxt` must have poolings before its first InnerProduct that divide the map "
                f"evenly. Received: the layer {pool.name!r}, whose window {index} of {bins} covers "
                f"cells {window} of {length}, not {edges}."
            )
    return bins


def _check(rows: Sequence[Row]) -> None:
    """What only the rows behind or before tell."""
    positive = False
    for row, following in itertools.zip_longest(rows, rows[1:]):
        if isinstance(row, CaffeConv | Relu):
            positive = isinstance(row, Relu) or row.relu
        # Zeros beyond the map change no maximum where no value is below.
        if isinstance(row, CaffePool) and (row.whole or not positive):
            raise ValueError(
                "`prototxt` must have a ReLU before each pooling but those of the pyramid, and an "
                f"InnerProduct behind a global one. Received: neither for {row.name!r}."
            )
        if isinstance(row, Dropout) and row.scale != 1 and not isinstance(following, Dense):
            raise ValueError(
                "`prototxt` must have an InnerProduct right behind each Dropout that scales at "
                f"test. Received: none behind {row.name!r}, whose scale is {row.scale}."
            )


def _square(layer: caffe_files.CaffeLayer, what: Any, name: str, default: int | None = None) -> int:
    """A size that is the same in both directions, however it is written."""
    values = list(what.kernel_size if name == "kernel" else getattr(what, name))
    values += [getattr(what, side) for side in (f"{name}_h", f"{name}_w") if what.HasField(side)]
    if not values and default is not None:
        values = [default]
    if len(set(values)) != 1:
        raise _unsupported(layer, f"{name} {values}: one number is needed")
    return values[0]


def _unsupported(layer: caffe_files.CaffeLayer, what: str) -> ValueError:
    return ValueError(
        "`prototxt` must have layers that can be rebuilt exactly. "
        f"Received: the layer {layer.name!r} of the type {layer.kind!r} with {what}."
    )


def _no_chain(layer: caffe_files.CaffeLayer, why: str) -> ValueError:
    return ValueError(
        "`prototxt` must be one chain of layers from the images on, but for the poolings of a "
        f"pyramid. Received: the layer {layer.name!r} of the type {layer.kind!r}, where this does "
        f"not hold: {why}."
    )
