"""The layers of a network that is one chain, in the order in which images pass through them."""

import inspect
import itertools
from typing import Any

import keras

from spp_keras.layers import MaskPadding, PadRagged, PerImage, SpatialPyramidPooling


def list_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model that is one chain from images of any size on.

    Args:
        model: Model of this zoo that takes any size, `spp_classifier`'s
            included, or a model made from one by cutting or adding layers at
            its end.

    Returns:
        Its layers without the input; the first is a `PadRagged`.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> [layer.name for layer in list_layers(model)][-3:]
    ['fc7', 'drop7', 'predictions']
    """
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if not layers or not isinstance(layers[0], PadRagged) or not _is_chain(layers):
        raise ValueError(
            "`model` must begin with `PadRagged` and go on as one chain of layers, as the "
            f"SPP models of this zoo do. Received: model={model.name!r}."
        )
    return layers


def apply_layers(model: keras.Model, images: Any, sizes: Any = None, training: Any = None) -> Any:
    """Applies a model to images with or without sizes, whichever inputs it was built with.

    Args:
        model: As for `list_layers`.
        images: Images in every form that `PadRagged` takes, or a symbolic tensor.
        sizes: Height and width of each image of a padded batch. Defaults to `None`.
        training: As for any Keras layer. Defaults to `None`.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> tuple(apply_layers(model, np.zeros((2, 64, 96, 3)), np.array([[64, 50], [40, 96]])).shape)
    (2, 10)
    """
    pad, *layers = list_layers(model)
    x, pixels = pad(images, sizes=sizes)
    cells = None
    for layer in layers:
        if isinstance(layer, MaskPadding):
            x, cells = layer(x, sizes=pixels)
        elif isinstance(layer, SpatialPyramidPooling):
            x = layer(x, sizes=cells)
        elif isinstance(layer, PerImage):
            x = layer(x, sizes=pixels)
        elif "training" in inspect.signature(layer.call).parameters:
            x = layer(x, training=training)
        else:
            x = layer(x)
    return x


def min_image_size(model: keras.Model) -> int:
    """Pixels that the shorter side of an image needs for a model.

    Example:

    >>> min_image_size(zf5_spp(classes=10, width=0.125))
    29
    """
    sizes = [layer.min_size for layer in model.layers if isinstance(layer, PadRagged)]
    return max(sizes, default=1)


def _is_chain(layers: list[keras.layers.Layer]) -> bool:
    """Whether the first input of each layer is the first output of the one before."""
    return all(
        keras.tree.flatten(layer.input)[0] is keras.tree.flatten(before.output)[0]
        for before, layer in itertools.pairwise(layers)
    )
