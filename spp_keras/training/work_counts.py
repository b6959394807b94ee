"""How much a network has to do for an image, from its graph."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from spp_keras._private_apis import run_graph

# Side of the square image that is counted for: large enough for every network.
_SIDE = 224


class WorkCounts(NamedTuple):
    """What a network has to do for an image.

    Args:
        dense: Multiplications of convolutions over all channels, for each pixel.
        depthwise: Multiplications of convolutions of each channel by itself, for each pixel.
        values: Values on all maps that it makes, for each pixel: memory that is written.
        top: Multiplications of the layers behind the pooling, which are the same for every image.
        layers: Number of layers.
    """

    dense: float
    depthwise: float
    values: float
    top: int
    layers: int


def count_work(model: keras.Model) -> WorkCounts:
    """Counts the work of a functional model; nothing is computed.

    Args:
        model: Model of images of any size, or of one.

    Example:

    >>> inputs = keras.Input((None, None, 3))
    >>> maps = keras.layers.Conv2D(8, 3, strides=2, padding="same")(inputs)
    >>> vectors = keras.layers.GlobalAveragePooling2D()(maps)
    >>> count_work(keras.Model(inputs, keras.layers.Dense(5)(vectors)))
    WorkCounts(dense=54.0, depthwise=0.0, values=2.0, top=40, layers=4)
    """
    counts = {"dense": 0, "depthwise": 0, "values": 0, "top": 0}

    def wrap(layer: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            outputs = layer(*args, **kwargs)
            shape = getattr(outputs, "shape", ())
            kernel = getattr(layer, "kernel", None)
            if kernel is not None:
                kind, places = _classify(layer, shape)
                counts[kind] += int(np.prod(kernel.shape)) * places
            if len(shape) == 4:
                counts["values"] += int(np.prod(shape[1:]))
            return outputs

        return call

    height, width = (_SIDE if side is None else side for side in model.inputs[0].shape[1:3])
    image = keras.KerasTensor((1, height, width, model.inputs[0].shape[-1]))
    # Other inputs are sizes and placements, which may be left out.
    inputs = [image if tensor is model.inputs[0] else None for tensor in model.inputs]
    run_graph(model, inputs, wrap)
    pixels = height * width
    each = {kind: counts[kind] / pixels for kind in ("dense", "depthwise", "values")}
    return WorkCounts(**each, top=counts["top"], layers=len(model.layers))


def _classify(layer: Any, shape: tuple[int | None, ...]) -> tuple[str, int]:
    """The kind of a layer with a kernel, and at how many places it is applied."""
    if len(shape) != 4:
        return "top", 1
    is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    places = [side for axis, side in enumerate(shape[1:], 1) if axis != 3]
    return "depthwise" if is_depthwise else "dense", int(np.prod([side or 0 for side in places]))
