"""The layers of a network of any size, in the order in which images go through them."""

import inspect
import itertools
from typing import Any

import keras

from spp_keras.layers import MaskPadding, PadRagged, PerImage, SpatialPyramidPooling


def list_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model that is one chain from images of any size on.

    Args:
        model: Model of this zoo that takes any size, `spp_classifier`'s
            included, or what follows from one by cutting or adding layers at
            its end.

    Returns:
        Its layers without the input; the first is a `PadRagged`.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> [layer.name for layer in list_layers(model)][-3:]
    ['fc7', 'drop7', 'predictions']
    """
    chain = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    fits = bool(chain) and isinstance(chain[0], PadRagged)
    for before, layer in itertools.pairwise(chain):
        source = keras.tree.flatten(before.output)[0]
        fits = fits and keras.tree.flatten(layer.input)[0] is source
    if not fits:
        raise ValueError(
            "`model` must begin with `PadRagged` and go on as one chain of layers, as the "
            f"SPP models of this zoo do. Received: model={model.name!r}."
        )
    return chain


def apply_layers(model: keras.Model, images: Any, sizes: Any = None, training: Any = None) -> Any:
    """What a model answers, with or without sizes, whichever it was built for.

    Args:
        model: As for `list_layers`.
        images: Images of every form that `PadRagged` takes, or a symbolic tensor.
        sizes: Height and width of each image of a padded batch. Defaults to `None`.
        training: As for any Keras layer. Defaults to `None`.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> tuple(apply_layers(model, np.zeros((2, 64, 96, 3)), np.array([[64, 50], [40, 96]])).shape)
    (2, 10)
    """
    mixed, *layers = list_layers(model)
    x, pixels = mixed(images, sizes=sizes)
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
    """Pixels that the shorter side of an image must have for a model.

    Example:

    >>> min_side(zf5_spp(classes=10, width=0.125))
    29
    """
    sides = [layer.min_size for layer in model.layers if isinstance(layer, PadRagged)]
    return max(sides, default=1)
