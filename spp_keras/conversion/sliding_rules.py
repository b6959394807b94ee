"""Rules of layers that read neighboring cells or change the size of a map."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from spp_keras.conversion import sliding_layers
from spp_keras.conversion.cellwise_rules import require_channels_last, weaken
from spp_keras.conversion.graph_builder import Beyond, FeatureMap, GraphBuilder


def convert_sliding(graph: GraphBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    """Convolutions and poolings.

    Without padding the cells of an image see its cells alone: nothing to do. With "same"
    padding, cells beyond an image are what is padded with; with a stride, too, the leading
    padding depends on the image's own size.
    """
    require_channels_last(layer)
    kernel = layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size
    dilation = getattr(layer, "dilation_rate", (1, 1))
    spans = [(size - 1) * rate + 1 for size, rate in zip(kernel, dilation, strict=True)]
    strides = tuple(layer.strides)
    counts = zip((x.rows, x.columns), spans, strides, strict=True)
    if layer.padding == "same":
        rows, columns = (count.slide_same(stride) for count, _, stride in counts)
        tensor, beyond = _slide_same(graph, layer, x, spans, strides)
    else:
        rows, columns = (count.slide(span, stride) for count, span, stride in counts)
        tensor = graph.call(graph.share(layer), graph.fill(x, "finite", layer))
        beyond = "finite"
    return graph.require_cells(FeatureMap(tensor, rows, columns, beyond))


def convert_zero_padding(graph: GraphBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    """Margins of zeros become part of each image; the layer behind needs nothing more."""
    require_channels_last(layer)
    return _pad(graph, layer, graph.fill(x, "zero", layer), layer.padding)


def convert_pad(
    graph: GraphBuilder, operation: Any, x: FeatureMap, constant_values: Any = None
) -> FeatureMap:
    """`keras.ops.pad` with zeros, or with minus infinity before max pooling."""
    widths = [tuple(width) for width in operation.pad_width]
    value = 0.0 if constant_values is None else float(constant_values)
    only_cells = len(widths) == 4 and {widths[0], widths[3]} == {(0, 0)}
    if operation.mode != "constant" or value not in (0.0, -math.inf) or not only_cells:
        raise ValueError(
            f"Operation {operation.name!r} pads by {widths} with mode={operation.mode!r} and the "
            f"value {value}. It has to pad rows and columns with zero or minus infinity."
        )
    beyond: Beyond = "zero" if value == 0 else "lowest"
    x = graph.fill(x, beyond, operation)
    return _pad(graph, operation, x, widths[1:3], constant_values=constant_values)


def convert_cropping(graph: GraphBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    """What is cropped is no part of an image any more."""
    require_channels_last(layer)
    (top, bottom), (left, right) = layer.cropping
    rows, columns = x.rows.pad(-top - bottom), x.columns.pad(-left - right)
    tensor = graph.call(graph.share(layer), x)
    return graph.require_cells(FeatureMap(tensor, rows, columns, weaken(x)))


def convert_slice(graph: GraphBuilder, operation: Any, x: FeatureMap, key: Any) -> FeatureMap:
    """A slice `x[:, top:-bottom:step, left:-right:step, channels]`: a cropping with strides."""
    keys = list(key) if isinstance(key, tuple | list) else [key]
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        keys[place : place + 1] = [slice(None)] * (5 - len(keys))
    keys += [slice(None)] * (4 - len(keys))
    cuts = [cut for part in keys[:3] if (cut := _read_slice(part)) is not None]
    if len(cuts) < 3 or cuts[0] != (0, 1) or not isinstance(keys[3], slice):
        raise ValueError(
            f"Operation {operation.name!r} cuts [{key}] out of a map, which is no cropping of each "
            "image. It may count rows and columns from the first and from the last of an image, "
            "[:, 1:-1], take every second one, [:, ::2], and cut channels, [..., start:stop]."
        )
    rows, columns = (
        count.pad(-cut).slide_same(step)
        for count, (cut, step) in zip((x.rows, x.columns), cuts[1:], strict=True)
    )
    tensor = graph.call(graph.share(operation), x, key)
    beyond = x.beyond if cuts[1][0] == cuts[2][0] == 0 else weaken(x)
    return graph.require_cells(FeatureMap(tensor, rows, columns, beyond))


def _read_slice(part: Any) -> tuple[int, int] | None:
    """How many cells a slice cuts off in all, and its step; `None` for other slices."""
    if not isinstance(part, slice):
        return None
    start, stop, step = part.start or 0, part.stop or 0, part.step or 1
    return (start - stop, step) if start >= 0 >= stop and step >= 1 else None


def convert_upsampling(graph: GraphBuilder, layer: Any, x: FeatureMap) -> FeatureMap:
    """Upsampling by whole factors that repeats cells."""
    require_channels_last(layer)
    if layer.interpolation != "nearest":
        raise ValueError(
            f"Layer {layer.name!r} interpolates between cells, beyond the last one of an image, "
            'too. Give it interpolation="nearest".'
        )
    rows, columns = layer.size
    tensor = graph.call(graph.share(layer), x)
    return FeatureMap(tensor, x.rows.upsample(rows), x.columns.upsample(columns), x.beyond)


def convert_local_response_normalization(
    graph: GraphBuilder, layer: Any, x: FeatureMap
) -> FeatureMap:
    """Across channels each cell is on its own; within a channel the cells around it count."""
    within = layer.region == "within"
    x = graph.fill(x, "zero" if within else "finite", layer)
    reach = layer.size // 2 if within else 0
    graph.require_free(x, (reach, reach))
    tensor = graph.call(graph.share(layer), x)
    return FeatureMap(tensor, x.rows, x.columns, x.beyond)


def _pad(graph: GraphBuilder, layer: Any, x: FeatureMap, margins: Any, **kwargs: Any) -> FeatureMap:
    """A map that holds beyond its images what a layer pads it with."""
    (top, bottom), (left, right) = margins
    graph.require_free(x, (max(top, bottom), max(left, right)))
    tensor = graph.call(graph.share(layer), x, **kwargs)
    return FeatureMap(tensor, x.rows.pad(top + bottom), x.columns.pad(left + right), x.beyond)


def _slide_same(
    graph: GraphBuilder, layer: Any, x: FeatureMap, spans: Sequence[int], strides: Sequence[int]
) -> tuple[Any, Beyond]:
    is_max = isinstance(layer, keras.layers.MaxPooling2D)
    if max(*spans, *strides) == 1:
        return graph.call(graph.share(layer), graph.fill(x, "finite", layer)), "finite"
    rows, columns = (_reach(span, stride) for span, stride in zip(spans, strides, strict=True))
    graph.require_free(x, (rows, columns))
    if max(strides) == 1 and not isinstance(layer, keras.layers.AveragePooling2D):
        x = graph.fill(x, "lowest" if is_max else "zero", layer)
        tensor = graph.call(graph.share(layer), x)
    else:
        # These pad each image on their own, and so clean the map themselves.
        layer_class = getattr(sliding_layers, type(layer).__name__)
        tensor = graph.call(graph.share(layer, layer_class), x, graph.place(x))
    return tensor, "anything" if is_max else "finite"


def _reach(span: int, stride: int) -> int:
    """Cells that have to be free between images before a layer with "same" padding.

    The windows of an image end by its own padding behind it; those of the next image begin
    by its leading padding before it, which is shorter for some sizes.
    """
    return max(span - 1 - max(span - stride, 0) // 2, (span - 1) // 2)
