"""Rules of layers that reduce or draw something for each image: not for its canvas."""

from dataclasses import replace
from typing import Any

from spp_keras.conversion import per_image_layers
from spp_keras.conversion.cellwise_rules import (
    as_axes,
    convert_cellwise,
    convert_zero_preserving,
    require_channels,
    require_channels_last,
    weaken,
)
from spp_keras.conversion.graph_builder import FeatureMap, GraphBuilder


def convert_batch_normalization(
    graph: GraphBuilder, layer: Any, x: FeatureMap, **kwargs: Any
) -> FeatureMap:
    """In training the moments are those of the cells that are image."""
    require_channels(layer, layer.axis)
    if layer.synchronized or getattr(layer, "renorm", False):
        raise ValueError(
            f"Layer {layer.name!r} has synchronized=True or renorm=True, for which Keras leaves "
            "out no cells from its moments. Give it False for both."
        )
    return _normalize(graph, layer, x, per_image_layers.BatchNormalization, **kwargs)


def convert_group_normalization(graph: GraphBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    """Moments of the groups of channels of each image."""
    require_channels(layer, layer.axis)
    return _normalize(graph, layer, x, per_image_layers.GroupNormalization)


def convert_layer_normalization(graph: GraphBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    """Over channels each cell is on its own; over rows and columns each image is."""
    if _reduces_cells(layer):
        if layer.weights:
            raise ValueError(
                f"Layer {layer.name!r} has weights for each cell, so it takes one size alone. "
                "Give it axis=-1, or center=False and scale=False."
            )
        return _normalize(graph, layer, x, per_image_layers.LayerNormalization)
    return convert_cellwise(graph, layer, x)


def convert_unit_normalization(graph: GraphBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    """Over channels each cell is on its own; over rows and columns each image is."""
    if _reduces_cells(layer):
        return _normalize(graph, layer, x, per_image_layers.UnitNormalization)
    # The norm of zero has no gradient: JAX would multiply infinity by zero.
    return convert_cellwise(graph, layer, graph.fill(x, "one", layer))


def convert_dropout(graph: GraphBuilder, layer: Any, x: FeatureMap, **kwargs: Any) -> FeatureMap:
    """Draws for each value do not see neighbors; a draw for an image is made by image."""
    shape = getattr(layer, "noise_shape", None)
    if shape is None:
        return convert_zero_preserving(graph, layer, x, **kwargs)
    if tuple(shape[1:3]) != (1, 1):
        raise ValueError(
            f"Layer {layer.name!r} has noise_shape={shape}, which depends on the size of images. "
            "Its entries for rows and columns have to be 1."
        )
    return convert_per_image_noise(graph, layer, x, **kwargs)


def convert_alpha_dropout(
    graph: GraphBuilder, layer: Any, x: FeatureMap, **kwargs: Any
) -> FeatureMap:
    """Dropout that puts a value in the place of those it drops: zero does not stay zero."""
    if layer.noise_shape is not None:
        raise ValueError(
            f"Layer {layer.name!r} has noise_shape={layer.noise_shape}. Give it noise_shape=None."
        )
    return convert_cellwise(graph, layer, x, **kwargs)


def convert_per_image_noise(
    graph: GraphBuilder, layer: Any, x: FeatureMap, **kwargs: Any
) -> FeatureMap:
    """One random factor for an image, or for each of its channels: drop path, `SpatialDropout2D`.

    The layer has to multiply its input by what it draws.

    Args:
        graph: The graph that is built.
        layer: Layer of the original graph.
        x: Its map.
        **kwargs: Further keyword arguments of its call.

    Returns:
        The map behind the new layer.

    Example:

    >>> graph = GraphBuilder(keras.Input((2,), dtype="int32"))
    >>> x = FeatureMap(keras.Input((None, None, 3)))
    >>> convert_per_image_noise(graph, keras.layers.SpatialDropout2D(0.5), x).tensor.shape
    (None, None, None, 3)
    """
    if hasattr(layer, "data_format"):
        require_channels_last(layer)
    x = graph.fill(x, "finite", layer)
    graph.require_free(x, (0, 0))
    noise = graph.wrap(layer, per_image_layers.PerImageNoise)
    tensor = graph.call(noise, x, placements=graph.place(x), **kwargs)
    return replace(x, tensor=tensor)


def convert_global_pooling(graph: GraphBuilder, layer: Any, x: FeatureMap) -> Any:
    """A 1x1 level of means or maxima of each image."""
    require_channels_last(layer)
    x = graph.fill(x, "finite", layer)
    graph.require_free(x, (0, 0))
    layer_class = getattr(per_image_layers, type(layer).__name__)
    return graph.call(graph.share(layer, layer_class), x, graph.place(x))


def convert_reduction(
    graph: GraphBuilder, operation: Any, x: FeatureMap, *args: Any, **kwargs: Any
) -> Any:
    """`keras.ops.mean` and `max` over rows and columns are global poolings; over channels not."""
    axes = {axis % 4 for axis in as_axes(operation.axis if operation.axis is not None else ())}
    if getattr(operation, "initial", None) is not None:
        raise ValueError(
            f"Operation {operation.name!r} has initial={operation.initial}. Give it None, and take "
            "`keras.ops.maximum` of what it returns."
        )
    if axes == {3} and operation.keepdims:
        return convert_cellwise(graph, operation, x, *args, **kwargs)
    if axes != {1, 2}:
        raise ValueError(
            f"Operation {operation.name!r} reduces the axes {operation.axis} of a map; it has to "
            "reduce rows and columns, (1, 2), or channels with keepdims=True."
        )
    classes = {
        "Mean": per_image_layers.GlobalAveragePooling2D,
        "Max": per_image_layers.GlobalMaxPooling2D,
    }
    x = graph.fill(x, "finite", operation)
    graph.require_free(x, (0, 0))
    pooling = classes[type(operation).__name__](
        keepdims=operation.keepdims,
        data_format="channels_last",
        name=graph.name_layer(operation),
    )
    return graph.call(pooling, x, graph.place(x))


def _normalize(
    graph: GraphBuilder, layer: Any, x: FeatureMap, layer_class: type, **kwargs: Any
) -> FeatureMap:
    x = graph.fill(x, "finite", layer)
    graph.require_free(x, (0, 0))
    tensor = graph.call(graph.share(layer, layer_class), x, graph.place(x), **kwargs)
    return replace(x, tensor=tensor, beyond=weaken(x))


def _reduces_cells(layer: Any) -> bool:
    """Whether a normalization reduces rows and columns, alone or with channels."""
    axes = {axis % 4 for axis in as_axes(layer.axis)}
    if axes not in ({3}, {1, 2}, {1, 2, 3}):
        raise ValueError(
            f"Layer {layer.name!r} has axis={layer.axis}; it has to be -1, (1, 2) or (1, 2, 3)."
        )
    return axes != {3}
