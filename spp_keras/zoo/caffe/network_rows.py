"""The layers of a Caffe network as rows: one chain from the images on, its pyramid one row.

Needs no tensors and no weights. Networks that cannot be rebuilt exactly are refused here.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from spp_keras import geometry
from spp_keras.zoo import layer_rows
from spp_keras.zoo.caffe import prototxt
from spp_keras.zoo.layer_rows import Conv, Dense, Dropout, Norm, Pool, Pyramid, Relu, Row

Shape = tuple[int, int, int]


class GlobalPool(NamedTuple):
    """Max pooling of a whole feature map. In the end it is a level of a pyramid."""

    name: str


Path = tuple[Row | GlobalPool, ...]


def read_rows(network: prototxt.CaffeNetwork, scale_train: bool) -> tuple[Row, ...]:
    """The rows of a network, from the images to the output of its last layer.

    Args:
        network: The network of a `.prototxt` file.
        scale_train: Whether a dropout without `scale_train` in the file scales in training.
    """
    if not network.layers:
        raise ValueError("`prototxt` must have layers. Received: none but the images.")
    # Name of a blob -> the rows that lead from the images to it.
    paths: dict[str, Path] = {network.input: ()}
    last = network.input
    for layer in network.layers:
        _check_layer(layer, paths)
        before = [paths[name] for name in layer.bottoms]
        last = layer.tops[0]
        if layer.kind == "concat":
            paths[last] = _add_pyramid(layer, before, network.shape)
        elif layer.kind == "dropout":
            paths[last] = (*before[0], _read_dropout(layer, scale_train))
        else:
            paths[last] = _READERS[layer.kind](layer, before[0], network.shape)
    rows: Any = paths[last]
    _check_rows(rows)
    return rows


def _read_convolution(layer: prototxt.CaffeLayer, before: Path, _: Shape) -> Path:
    parameters = layer.parameters("convolution_param", "conv_param")
    if any(dilation != 1 for dilation in parameters.dilation):
        raise _unsupported(layer, f"dilation {list(parameters.dilation)}")
    conv = Conv(
        parameters.num_output,
        _read_square(layer, parameters, "kernel"),
        _read_square(layer, parameters, "stride", 1),
        _read_square(layer, parameters, "pad", 0),
        parameters.group,
        parameters.bias_term,
        relu=False,
        name=layer.name,
    )
    return (*before, conv)


def _read_pooling(layer: prototxt.CaffeLayer, before: Path, _: Shape) -> Path:
    parameters = layer.parameters("pooling_param", "pool_param")
    if parameters.pool != 0:
        raise _unsupported(layer, "another pooling than MAX")
    if parameters.global_pooling:
        return (*before, GlobalPool(layer.name))
    kernel = _read_square(layer, parameters, "kernel")
    stride = _read_square(layer, parameters, "stride", 1)
    padding = _read_square(layer, parameters, "pad", 0)
    # Otherwise Caffe drops a last window that would begin beyond the map, at some sizes.
    if padding > kernel - stride:
        raise _unsupported(layer, f"kernel {kernel}, stride {stride} and pad {padding} together")
    return (*before, Pool(kernel, stride, padding, ceil_mode=True, name=layer.name))


def _read_lrn(layer: prototxt.CaffeLayer, before: Path, _: Shape) -> Path:
    parameters = layer.parameters("lrn_param")
    # Caffe's alpha multiplies a mean, ours a sum. Within a channel Caffe has no k.
    size, alpha, beta = parameters.local_size, parameters.alpha, parameters.beta
    if parameters.norm_region == 1:
        return (*before, Norm("within", size, alpha / size**2, 1.0, beta, layer.name))
    return (*before, Norm("across", size, alpha / size, parameters.k, beta, layer.name))


def _read_relu(layer: prototxt.CaffeLayer, before: Path, _: Shape) -> Path:
    slope = layer.parameters("relu_param").negative_slope
    if slope:
        raise _unsupported(layer, f"negative_slope {slope}")
    if before and isinstance(before[-1], Conv):
        return (*before[:-1], before[-1]._replace(relu=True))
    if before and isinstance(before[-1], Dense):
        return (*before[:-1], before[-1]._replace(activation="relu"))
    return (*before, Relu(layer.name))


def _read_flatten(layer: prototxt.CaffeLayer, before: Path, _: Shape) -> Path:
    if not before or not isinstance(before[-1], Pool | GlobalPool):
        raise _not_a_chain(layer, "only the output of a pooling is flattened")
    return before


def _add_pyramid(layer: prototxt.CaffeLayer, before: Sequence[Path], shape: Shape) -> Path:
    parameters = layer.parameters("concat_param")
    pools = [path[-1] for path in before if path and isinstance(path[-1], Pool | GlobalPool)]
    if len(pools) != len(before) or len({path[:-1] for path in before}) != 1:
        raise _not_a_chain(layer, "only the poolings of one map, flattened, are concatenated")
    if (parameters.axis, parameters.concat_dim) != (1, 1):
        raise _unsupported(layer, f"axis {parameters.axis} and concat_dim {parameters.concat_dim}")
    trunk = before[0][:-1]
    return (*trunk, Pyramid(tuple(_compute_level(pool, trunk, shape) for pool in pools)))


def _read_inner_product(layer: prototxt.CaffeLayer, before: Path, shape: Shape) -> Path:
    parameters = layer.parameters("inner_product_param")
    if parameters.transpose or parameters.axis != 1:
        raise _unsupported(layer, f"transpose {parameters.transpose} and axis {parameters.axis}")
    if before and isinstance(before[-1], Pool | GlobalPool):
        # The last pooling of a network without a pyramid becomes a pyramid of one level.
        trunk = before[:-1]
        before = (*trunk, Pyramid((_compute_level(before[-1], trunk, shape),)))
    if not any(isinstance(row, Pyramid) for row in before):
        raise _not_a_chain(layer, "a pooling must come before it")
    scale = before[-1].scale if isinstance(before[-1], Dropout) else 1.0
    dense = Dense(parameters.num_output, None, layer.name, parameters.bias_term, scale)
    return (*before, dense)


def _read_softmax(layer: prototxt.CaffeLayer, before: Path, _: Shape) -> Path:
    if not before or not isinstance(before[-1], Dense) or before[-1].activation:
        raise _not_a_chain(layer, "an InnerProduct must come before it")
    return (*before[:-1], before[-1]._replace(activation="softmax"))


def _read_dropout(layer: prototxt.CaffeLayer, scale_train: bool) -> Dropout:
    parameters = layer.parameters("dropout_param")
    if parameters.HasField("scale_train"):
        scale_train = parameters.scale_train
    rate = parameters.dropout_ratio
    return Dropout(rate, layer.name, 1.0 if scale_train else 1.0 - rate)


_READERS: dict[str, Callable[..., Any]] = {
    "concat": _add_pyramid,
    "convolution": _read_convolution,
    "dropout": _read_dropout,
    "flatten": _read_flatten,
    "innerproduct": _read_inner_product,
    "lrn": _read_lrn,
    "pooling": _read_pooling,
    "relu": _read_relu,
    "softmax": _read_softmax,
}


def _compute_level(pool: Any, trunk: Any, shape: Shape) -> geometry.Level:
    """The pyramid level whose bins a pooling has on the map of the size it was trained on."""
    if isinstance(pool, GlobalPool):
        return 1, 1
    grid = layer_rows.last_grid(trunk)
    _, height, width = shape
    return _count_bins(pool, grid.map_size(height)), _count_bins(pool, grid.map_size(width))


def _count_bins(pool: Pool, length: int) -> int:
    bins = -(-(length + 2 * pool.padding - pool.kernel) // pool.stride) + 1
    for index in range(bins):
        start = index * pool.stride - pool.padding
        window = max(start, 0), min(start + pool.kernel, length)
        edges = geometry.bin_edges(index, length, bins)
        # The released 2x2 level has windows of 7 and 6 of 13 cells, the paper's has two of 7.
        if any(abs(a - b) > 1 for a, b in zip(window, edges, strict=True)):
            raise ValueError(
                f"`prototxt` must have poolings before its first InnerProduct that divide the map "
                f"evenly. Received: the layer {pool.name!r}, whose window {index} of {bins} covers "
                f"cells {window} of {length}, not {edges}."
            )
    return bins


def _read_square(
    layer: prototxt.CaffeLayer, parameters: Any, name: str, default: int | None = None
) -> int:
    """A size that is the same in both directions, in any field that holds it."""
    values = list(parameters.kernel_size if name == "kernel" else getattr(parameters, name))
    fields = (f"{name}_h", f"{name}_w")
    values += [getattr(parameters, field) for field in fields if parameters.HasField(field)]
    if not values and default is not None:
        values = [default]
    if len(set(values)) != 1:
        raise _unsupported(layer, f"{name} {values}: one number is needed")
    return values[0]


def _check_layer(layer: prototxt.CaffeLayer, paths: dict[str, Path]) -> None:
    if layer.kind not in _READERS:
        raise ValueError(
            f"`prototxt` must have layers of the kinds {', '.join(_READERS)} alone, as the "
            f"file for deployment of a chain has. Received: the layer {layer.name!r} of the "
            f"type {layer.kind!r}."
        )
    missing = [name for name in layer.bottoms if name not in paths]
    if missing or not layer.bottoms or not layer.tops:
        raise _not_a_chain(layer, f"it takes {list(layer.bottoms)} and gives {list(layer.tops)}")
    if layer.kind != "concat" and len(layer.bottoms) > 1:
        raise _not_a_chain(layer, f"it takes {list(layer.bottoms)}")


def _check_rows(rows: Sequence[Any]) -> None:
    """Checks the rules on neighboring rows."""
    positive = False
    for row, following in itertools.zip_longest(rows, rows[1:]):
        if isinstance(row, Conv | Relu):
            positive = isinstance(row, Relu) or row.relu
        # Zeros beyond the map change no maximum where no value is negative.
        if isinstance(row, GlobalPool) or (isinstance(row, Pool) and not positive):
            raise ValueError(
                "`prototxt` must have a ReLU before each pooling but those of the pyramid, and an "
                f"InnerProduct after a global one. Received: neither for {row.name!r}."
            )
        if isinstance(row, Dropout) and row.scale != 1 and not isinstance(following, Dense):
            raise ValueError(
                "`prototxt` must have an InnerProduct right after each Dropout that scales at "
                f"test. Received: none after {row.name!r}, whose scale is {row.scale}."
            )


def _unsupported(layer: prototxt.CaffeLayer, problem: str) -> ValueError:
    return ValueError(
        "`prototxt` must have layers that can be rebuilt exactly. "
        f"Received: the layer {layer.name!r} of the type {layer.kind!r} with {problem}."
    )


def _not_a_chain(layer: prototxt.CaffeLayer, problem: str) -> ValueError:
    return ValueError(
        "`prototxt` must be one chain of layers from the images on, but for the poolings of a "
        f"pyramid. Received: the layer {layer.name!r} of the type {layer.kind!r}, where this does "
        f"not hold: {problem}."
    )
