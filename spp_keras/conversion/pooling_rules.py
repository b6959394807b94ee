"""Rules of layers that make vectors of one length from a map: pyramids and `Flatten`."""

import math
from typing import Any

from spp_keras.conversion.graph_builder import FeatureMap, GraphBuilder
from spp_keras.layers import SpatialPyramidPooling


def convert_pyramid(graph: GraphBuilder, layer: Any, x: FeatureMap, **kwargs: Any) -> Any:
    """Pyramid and adaptive pooling take the place of each image."""
    graph.require_free(x, (0, 0))
    return graph.call(graph.share(layer), x, sizes=graph.place(x), **kwargs)


def convert_flatten(graph: GraphBuilder, layer: Any, x: FeatureMap) -> Any:
    """`Flatten` of an n x n map is an n x n level: the same vector at the old size."""
    rows, columns = x.original_size
    if rows is None or columns is None:
        raise ValueError(
            f"Layer {layer.name!r} flattens a map of unknown size. Build the model for the one "
            "size that it was made for, or put a `SpatialPyramidPooling` in its place."
        )
    pyramid = SpatialPyramidPooling(
        [(rows, columns)], data_format="channels_last", name=graph.name_layer(layer)
    )
    graph.require_free(x, (0, 0))
    return graph.call(pyramid, x, sizes=graph.place(x))


def convert_reshape(graph: GraphBuilder, layer: Any, x: FeatureMap) -> Any:
    """A reshape to a vector is `Flatten`; others depend on the size of the map."""
    shape = tuple(getattr(layer, "target_shape", None) or getattr(layer, "newshape", ())[1:])
    sides = (*x.original_size, x.tensor.shape[-1])
    whole = None if None in sides else math.prod(sides)
    if len(shape) != 1 or shape[0] not in (-1, None, whole):
        raise ValueError(
            f"Layer {layer.name!r} reshapes a map, which ties it to one size. Leave it out, or cut "
            "the model in front of it, `keras.Model(model.input, layer.input)`."
        )
    return convert_flatten(graph, layer, x)
