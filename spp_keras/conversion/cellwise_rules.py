"""Rules of layers that map each cell on its own."""

from dataclasses import replace
from typing import Any

import keras

from spp_keras.conversion.graph_builder import Beyond, FeatureMap, GraphBuilder

# Functions that are 0 at 0: zero stays zero beyond images.
_ZERO_AT_ZERO = {"elu", "gelu", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear"}
_ZERO_AT_ZERO |= {"mish", "relu", "relu6", "selu", "silu", "softsign", "swish", "tanh"}


def convert_cellwise(
    graph: GraphBuilder, layer: keras.Operation, x: FeatureMap, *args: Any, **kwargs: Any
) -> FeatureMap:
    """A layer that maps each cell on its own: nothing to do, but zero does not stay zero.

    The rule to register for layers of your own that do not look at neighboring cells.

    Args:
        graph: The graph that is built.
        layer: Layer or operation of the original graph.
        x: Its map.
        *args: Further arguments of its call.
        **kwargs: Further keyword arguments of its call.

    Returns:
        The map behind the new layer.

    Example:

    >>> graph = GraphBuilder(keras.Input((2,), dtype="int32"))
    >>> x = FeatureMap(keras.Input((None, None, 3)), beyond="zero")
    >>> convert_cellwise(graph, keras.layers.Rescaling(2.0, offset=1.0), x).beyond
    'finite'
    """
    if isinstance(layer, keras.Layer) and layer.weights:
        # 0 times NaN would reach the gradients of the weights.
        x = graph.fill(x, "finite", layer)
    tensor = graph.call(graph.share(layer), x, *args, **kwargs)
    return replace(x, tensor=tensor, beyond=weaken(x))


def convert_zero_preserving(
    graph: GraphBuilder, layer: keras.Operation, x: FeatureMap, *args: Any, **kwargs: Any
) -> FeatureMap:
    """A layer that maps each cell on its own, and zero to zero."""
    return replace(x, tensor=graph.call(graph.share(layer), x, *args, **kwargs))


def convert_relu(
    graph: GraphBuilder, layer: Any, x: FeatureMap, *args: Any, **kwargs: Any
) -> FeatureMap:
    """A ReLU: zero stays zero, but with a slope below a threshold above zero."""
    moves_zero = layer.threshold > 0 and layer.negative_slope != 0
    rule = convert_cellwise if moves_zero else convert_zero_preserving
    return rule(graph, layer, x, *args, **kwargs)


def convert_activation(graph: GraphBuilder, layer: Any, x: FeatureMap, **kwargs: Any) -> FeatureMap:
    """An activation: zero stays zero where the function is zero at zero."""
    name = getattr(layer.activation, "__name__", "")
    if name in ("softmax", "log_softmax", "sparsemax"):
        return convert_cellwise(graph, layer, x, **kwargs)
    rule = convert_zero_preserving if name in _ZERO_AT_ZERO else convert_cellwise
    return rule(graph, layer, x, **kwargs)


def convert_over_channels(
    graph: GraphBuilder, layer: Any, x: FeatureMap, **kwargs: Any
) -> FeatureMap:
    """A softmax or normalization over the channels of each cell."""
    require_channels(layer, layer.axis)
    return convert_cellwise(graph, layer, x, **kwargs)


def convert_channels_last(
    graph: GraphBuilder, layer: Any, x: FeatureMap, **kwargs: Any
) -> FeatureMap:
    """A layer of keras-hub that maps each cell on its own where channels are last."""
    require_channels_last(layer)
    return convert_cellwise(graph, layer, x, **kwargs)


def convert_split(graph: GraphBuilder, operation: Any, x: FeatureMap) -> list[FeatureMap]:
    """A split of channels."""
    require_channels(operation, operation.axis)
    return [replace(x, tensor=tensor) for tensor in graph.call(graph.share(operation), x)]


def convert_prelu(graph: GraphBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    """A PReLU with one slope a channel."""
    if not {1, 2} <= set(layer.shared_axes or ()):
        raise ValueError(
            f"Layer {layer.name!r} has a slope for each cell, so it takes one size alone. "
            "Give it shared_axes=[1, 2]."
        )
    return convert_cellwise(graph, layer, x)


def convert_constant_normalization(graph: GraphBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    """Constant means and variances, of channels or of all values."""
    if {axis % 4 for axis in as_axes(layer.axis or ())} - {3}:
        raise ValueError(
            f"Layer {layer.name!r} has a mean for each cell. Give it axis=-1 or axis=None."
        )
    return convert_cellwise(graph, layer, x)


def weaken(x: FeatureMap) -> Beyond:
    """What lies beyond images behind a layer that maps zero to anything."""
    return "anything" if x.beyond == "anything" else "finite"


def as_axes(axis: Any) -> tuple[int, ...]:
    """One axis or several as a tuple."""
    return (axis,) if isinstance(axis, int) else tuple(axis)


def require_channels(layer: Any, axis: Any) -> None:
    """Raises unless a layer works on channels, the last axis."""
    if [value % 4 for value in as_axes(axis)] != [3]:
        raise ValueError(f"Layer {layer.name!r} has axis={axis}; it has to be -1, the channels.")


def require_channels_last(layer: Any) -> None:
    """Raises unless a layer takes channels last."""
    if layer.data_format != "channels_last":
        raise ValueError(
            f'Layer {layer.name!r} has data_format="channels_first". Build the model with channels '
            "last, whose weights have the same shapes, and load its weights."
        )
