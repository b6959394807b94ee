"""Runs a network on images with or without sizes, whichever inputs it was built with."""

from collections.abc import Callable
from typing import Any

import keras

from spp_keras._private_apis import run_graph
from spp_keras.canvas_rules import CanvasRules
from spp_keras.layers import PadRagged


def apply_model(
    model: keras.Model,
    images: Any,
    sizes: Any = None,
    placements: Any = None,
    training: Any = None,
) -> Any:
    """Applies a network for images of any size, whichever inputs it was built with.

    Args:
        model: Functional model that begins with `PadRagged`, as those of `any_size` and of
            the zoo do, or one made from it by cutting or adding layers.
        images: Images in every form that `PadRagged` takes, or a symbolic tensor.
        sizes: Height and width of each image of a padded batch. Defaults to `None`.
        placements: Places of images on canvases, see `PadRagged`. Defaults to `None`.
        training: As for any Keras layer. Defaults to `None`.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> tuple(apply_model(model, np.zeros((2, 64, 96, 3)), np.array([[64, 50], [40, 96]])).shape)
    (2, 10)
    """
    find_entrance(model)

    def wrap(layer: Any) -> Callable[..., Any]:
        if isinstance(layer, PadRagged):
            return lambda *args, **kwargs: layer(
                images, sizes=sizes, placements=placements, training=training
            )
        if training is None or "training" not in getattr(layer, "call_signature_parameters", ()):
            return layer
        return lambda *args, **kwargs: layer(*args, **{**kwargs, "training": training})

    # An input for sizes in the graph leads to `PadRagged` alone.
    inputs = [images if tensor is model.inputs[0] else None for tensor in model.inputs]
    return run_graph(model, inputs, wrap)


def find_entrance(model: keras.Model) -> PadRagged:
    """The layer that makes a network take images of any size.

    Example:

    >>> find_entrance(zf5_spp(classes=10, width=0.125)).name
    'mixed_sizes'
    """
    for layer in getattr(model, "layers", ()):
        if isinstance(layer, PadRagged):
            return layer
    raise ValueError(
        "`model` must be a network for images of any size: one of `spp_keras.any_size` or an SPP "
        f"network of the zoo. Received: model={getattr(model, 'name', model)!r}."
    )


def find_canvas_rules(model: keras.Model) -> CanvasRules | None:
    """How close images may lie on one canvas of a network; `None` where each needs its own.

    Args:
        model: Any Keras model.

    Example:

    >>> find_canvas_rules(zf5_spp(classes=10, width=0.125)).footprint(224, 100)
    (240, 112)
    """
    entrances = (layer for layer in model.layers if isinstance(layer, PadRagged))
    return next((layer.canvas_rules for layer in entrances), None)


def min_image_size(model: keras.Model) -> int:
    """Pixels that the shorter side of an image needs for a model.

    Example:

    >>> min_image_size(zf5_spp(classes=10, width=0.125))
    29
    """
    sizes = [layer.min_size for layer in model.layers if isinstance(layer, PadRagged)]
    return max(sizes, default=1)
