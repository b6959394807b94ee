"""ZF-5, the network of Zeiler and Fergus in the paper's form."""

from typing import Literal

import keras

from spp_keras.zoo import tables
from spp_keras.zoo.network_builder import (
    InputShape,
    Levels,
    build_fixed_network,
    build_spp_network,
)


def zf5_spp(
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
    name: str = "zf5_spp",
) -> keras.Model:
    """ZF-5 with spatial pyramid pooling: images of any size, at their own size.

    Takes a tensor `(batch, height, width, 3)` of any size, a `tf.RaggedTensor` of
    images that each have their own, or padded images with their sizes,
    `{"images": ..., "sizes": (batch, 2)}`: see `ImageModel`. Raw RGB values 0..255.
    An image's scores do not depend on the others in its batch.

    Args:
        classes: Number of classes. Defaults to 1000.
        include_top: Whether to include the dense layers. Defaults to `True`.
        weights: Path of a file that `model.save_weights` wrote, or `None` for
            random weights. From a file with another number of classes all but
            `predictions` is loaded, and without top only the convolutions.
            `"shapes"`, `"shapes_warped"` and `"shapes_cropped"` come with this
            package, for `width=0.125`: trained on the 12 classes of the drawn
            images `shapes`, whole, warped and cropped. Defaults to `None`.
        input_shape: `(height, width, channels)`, height and width `None` or at
            least 29. Defaults to `(None, None, 3)`.
        pooling: Without top: `None` for the feature map, `"avg"` or `"max"` over
            the image, `"spp"` for the pyramid. Defaults to `None`.
        classifier_activation: Activation of the last layer; `None` for logits.
            Defaults to `"softmax"`.
        levels: Pyramid levels. Defaults to the paper's `(6, 3, 2, 1)`.
        mode: `"max"` or `"average"`, how the pyramid pools its bins. Defaults to `"max"`.
        dropout: Rate after each hidden dense layer. Defaults to 0.5.
        width: Factor on filters and units, for smaller networks. Defaults to 1.
        name: Name of the model. Defaults to `"zf5_spp"`.

    Returns:
        An `ImageModel`, a functional `keras.Model`.

    Example:

    >>> model = zf5_spp(10, width=0.125)
    >>> tuple(model(np.zeros((1, 180, 224, 3), "float32")).shape)
    (1, 10)
    """
    return build_spp_network(
        tables.ZF5,
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


def zf5(
    classes: int = 1000,
    *,
    include_top: bool = True,
    weights: str | None = None,
    input_shape: InputShape | None = None,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | None = "softmax",
    dropout: float = 0.5,
    width: float = 1.0,
    name: str = "zf5",
) -> keras.Model:
    """ZF-5 without a pyramid: images of one size.

    Takes a tensor `(batch, height, width, 3)` of the size it was built for, raw
    RGB values 0..255. Without top it takes any size, as `zf5_spp` does.

    Args:
        classes: Number of classes. Defaults to 1000.
        include_top: Whether to include the dense layers. Defaults to `True`.
        weights: Path of a weight file, see `zf5_spp`. Defaults to `None`.
        input_shape: `(height, width, channels)`. Defaults to `(224, 224, 3)`, and
            to `(None, None, 3)` without top.
        pooling: Without top: `None` for the feature map, `"avg"` or `"max"` over
            the image. Defaults to `None`.
        classifier_activation: Activation of the last layer; `None` for logits.
            Defaults to `"softmax"`.
        dropout: Rate after each hidden dense layer. Defaults to 0.5.
        width: Factor on filters and units, for smaller networks. Defaults to 1.
        name: Name of the model. Defaults to `"zf5"`.

    Returns:
        An `ImageModel`, a functional `keras.Model`.

    Example:

    >>> model = zf5(10, width=0.125)
    >>> tuple(model(np.zeros((1, 224, 224, 3), "float32")).shape)
    (1, 10)
    """
    return build_fixed_network(
        tables.ZF5,
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
