"""The layers of a network of any size, in the order in which images go through them."""

import itertools

import keras

from spp_keras.layers import MixedSizeImages


def layers_of(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model that is one chain from images of any size on.

    Args:
        model: Model of this zoo that takes any size, `spp_classifier`'s
            included, or what follows from one by cutting or adding layers at
            its end.

    Returns:
        Its layers without the input; the first is a `MixedSizeImages`.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> [layer.name for layer in layers_of(model)][-3:]
    ['fc7', 'drop7', 'predictions']
    """
    chain = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    fits = bool(chain) and isinstance(chain[0], MixedSizeImages)
    for before, layer in itertools.pairwise(chain):
        source = keras.tree.flatten(before.output)[0]
        fits = fits and keras.tree.flatten(layer.input)[0] is source
    if not fits:
        raise ValueError(
            "`model` must begin with `MixedSizeImages` and go on as one chain of layers, as the "
            f"SPP models of this zoo do. Received: model={model.name!r}."
        )
    return chain


def least_side(model: keras.Model) -> int:
    """Pixels that the shorter side of an image must have for a model.

    Example:

    >>> least_side(zf5_spp(classes=10, width=0.125))
    29
    """
    sides = [layer.least_size for layer in model.layers if isinstance(layer, MixedSizeImages)]
    return max(sides, default=1)
