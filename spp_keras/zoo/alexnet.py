"""Convnet*-5, the network of Krizhevsky with its pools after conv2 and conv3."""

from typing import Literal

import keras

from spp_keras.zoo import tables
from spp_keras.zoo.network_builder import (
    InputShape,
    Levels,
    build_fixed_network,
    build_spp_network,
)


def alexnet5_spp(
    classes: int = 1000,
    *,
    include_top: bool = True,
    weights: str | None = None,
    input_shape: InputShape | None = None,
    pooling: Literal["avg", "max", "spp"] | None = None,
    classifier_activation: str | None = "softmax",
    levels: Levels = (6, 3, 2, 1),
    mode: Literal["max", "average"] = "max",
    dropout: float = 0.5,
    width: float = 1.0,
    name: str = "alexnet5_spp",
) -> keras.Model:
    """Convnet*-5 with spatial pyramid pooling: images of any size, at their own size.

    See `zf5_spp` for the arguments, the inputs and the result. Images need at least
    31 pixels in height and width.

    Example:

    >>> model = alexnet5_spp(10, width=0.125)
    >>> tuple(model(np.zeros((1, 180, 224, 3), "float32")).shape)
    (1, 10)
    """
    return build_spp_network(
        tables.ALEXNET5,
        classes,
        include_top=include_top,
        weights=weights,
        input_shape=input_shape,
        pooling=pooling,
        classifier_activation=classifier_activation,
        levels=levels,
        mode=mode,
        dropout=dropout,
        width=width,
        name=name,
    )


def alexnet5(
    classes: int = 1000,
    *,
    include_top: bool = True,
    weights: str | None = None,
    input_shape: InputShape | None = None,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | None = "softmax",
    dropout: float = 0.5,
    width: float = 1.0,
    name: str = "alexnet5",
) -> keras.Model:
    """Convnet*-5 without a pyramid: images of one size.

    See `zf5` for the arguments, the inputs and the result. `alexnet5_spp` takes images of any
    size.

    Example:

    >>> model = alexnet5(10, width=0.125)
    >>> tuple(model(np.zeros((1, 224, 224, 3), "float32")).shape)
    (1, 10)
    """
    return build_fixed_network(
        tables.ALEXNET5,
        classes,
        include_top=include_top,
        weights=weights,
        input_shape=input_shape,
        pooling=pooling,
        classifier_activation=classifier_activation,
        dropout=dropout,
        width=width,
        name=name,
    )
