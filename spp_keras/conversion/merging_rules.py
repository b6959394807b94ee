"""Rules of layers and operators that merge maps with maps, values of images, or numbers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from spp_keras.conversion.graph_builder import Beyond, FeatureMap, GraphBuilder


def convert_merging(
    graph: GraphBuilder, layer: keras.Operation, *args: Any, **kwargs: Any
) -> FeatureMap:
    """Sums, products and the like of maps of one size, of values of images and of numbers."""
    flat = keras.tree.flatten((args, kwargs))
    maps = [x for x in flat if isinstance(x, FeatureMap)]
    for other in maps[1:]:
        graph.require_equal(layer, maps[0], other)
    finite = {id(x): graph.fill(x, "finite", layer) for x in maps}

    def convert(value: Any) -> Any:
        if isinstance(value, FeatureMap):
            return finite[id(value)]
        if isinstance(value, keras.KerasTensor):
            return _spread(graph, layer, value, maps[0])
        return value

    args, kwargs = keras.tree.map_structure(convert, (args, kwargs))
    tensor = graph.call(graph.share(layer), *args, **kwargs)
    kinds = [finite[id(x)].beyond for x in maps]
    return replace(maps[0], tensor=tensor, beyond=_merge_beyond(layer, kinds, len(flat)))


def convert_concatenation(graph: GraphBuilder, layer: Any, *args: Any, **kwargs: Any) -> FeatureMap:
    """A concatenation of the channels of maps of one size."""
    flat = keras.tree.flatten((args, kwargs))
    if layer.axis % 4 != 3 or not all(isinstance(x, FeatureMap) for x in flat):
        raise ValueError(
            f"Layer {layer.name!r} has to concatenate the channels of maps, axis=-1. "
            f"It has axis={layer.axis}."
        )
    return convert_merging(graph, layer, *args, **kwargs)


def _merge_beyond(layer: keras.Operation, kinds: Sequence[Beyond], arguments: int) -> Beyond:
    """What lies beyond images behind a layer, from what lay there on its maps."""
    name = type(layer).__name__
    if "Divide" in name:
        return "anything"  # 0 / 0
    zero = [kind == "zero" for kind in kinds]
    keeps_zero = any(zero) if name == "Multiply" else all(zero) and len(kinds) == arguments
    return "zero" if keeps_zero else "finite"


def _spread(graph: GraphBuilder, layer: Any, value: Any, x: FeatureMap) -> Any:
    shape = tuple(value.shape)
    if len(shape) < 4 and not any(size is None for size in shape):
        return value  # A constant.
    if len(shape) != 4 or shape[1:3] != (1, 1):
        raise ValueError(
            f"Layer {layer.name!r} merges a map with values of shape {shape}; values of images "
            "have to be (images, 1, 1, channels)."
        )
    return graph.spread(value, x, layer)
