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
    finite = {id(x): graph.fill(x, "finite", layer) for x in maps}
    tensors = graph.align([finite[id(x)] for x in maps], layer)
    finite = {
        id(x): replace(finite[id(x)], tensor=tensor)
        for x, tensor in zip(maps, tensors, strict=True)
    }

    def convert(value: Any) -> Any:
        if isinstance(value, FeatureMap):
            return finite[id(value)]
        if isinstance(value, keras.KerasTensor):
            return _spread(graph, layer, value, maps[0])
        _require_free_of_places(layer, value)
        return value

    args, kwargs = keras.tree.map_structure(convert, (args, kwargs))
    tensor = graph.call(graph.share(layer), *args, **kwargs)
    kinds = [finite[id(x)].beyond for x in maps]
    return replace(maps[0], tensor=tensor, beyond=_merge_beyond(layer, kinds, len(flat)))


def convert_division(
    graph: GraphBuilder, layer: keras.Operation, x: Any, divisor: Any
) -> FeatureMap:
    """A quotient; beyond images the divisor becomes one, or gradients would be 0 times infinity."""
    if isinstance(divisor, FeatureMap):
        divisor = graph.fill(divisor, "one", layer)
    return convert_merging(graph, layer, x, divisor)


def convert_concatenation(graph: GraphBuilder, layer: Any, *args: Any, **kwargs: Any) -> FeatureMap:
    """A concatenation of the channels of maps of one size."""
    flat = keras.tree.flatten((args, kwargs))
    if layer.axis % 4 != 3:
        raise ValueError(
            f"Layer {layer.name!r} has to concatenate channels, axis=-1. It has axis={layer.axis}."
        )
    if not all(isinstance(x, FeatureMap) for x in flat):
        raise ValueError(
            f"Layer {layer.name!r} concatenates a map with what is no map of the same images. "
            "Values of images can be added to a map or multiplied with it."
        )
    return convert_merging(graph, layer, *args, **kwargs)


def _merge_beyond(layer: keras.Operation, kinds: Sequence[Beyond], arguments: int) -> Beyond:
    """What lies beyond images behind a layer, from what lay there on its maps."""
    name = type(layer).__name__
    zero = [kind == "zero" for kind in kinds]
    keeps_zero = any(zero) if name == "Multiply" else all(zero) and len(kinds) == arguments
    return "zero" if keeps_zero else "finite"


def _require_free_of_places(layer: Any, constant: Any) -> None:
    """Raises where a constant has a value of its own for each cell."""
    shape = tuple(getattr(constant, "shape", ()))
    if any(side != 1 for side in shape[-3:-1]):
        raise ValueError(
            f"Layer {layer.name!r} merges a map with a constant of shape {shape}, which ties it "
            "to one size. A constant may have one value, or one for each channel."
        )


def _spread(graph: GraphBuilder, layer: Any, value: Any, x: FeatureMap) -> Any:
    shape = tuple(value.shape)
    if len(shape) < 4 and not any(size is None for size in shape):
        _require_free_of_places(layer, value)
        return value
    if len(shape) != 4 or shape[1:3] != (1, 1):
        raise ValueError(
            f"Layer {layer.name!r} merges a map with values of shape {shape}; values of images "
            "have to be (images, 1, 1, channels)."
        )
    return graph.spread(value, x, layer)
