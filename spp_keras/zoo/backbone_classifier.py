"""A pyramid and a classifier on any convolutional Keras model."""

from collections.abc import Sequence
from typing import Any

import keras

from spp_keras import _checks
from spp_keras.conversion import transformation
from spp_keras.layers import PadRagged, PerImage
from spp_keras.models.image_model import ImageModel
from spp_keras.zoo import layer_builder, network_builder


def spp_classifier(
    backbone: keras.Model,
    classes: int,
    *,
    levels: network_builder.Levels = (6, 3, 2, 1),
    units: Sequence[int] = (4096, 4096),
    dropout: float = 0.5,
    classifier_activation: str | None = "softmax",
    train_backbone: bool = False,
    name: str | None = None,
) -> keras.Model:
    """The top of the zoo's SPP networks on any convolutional Keras model.

    Takes images of any size, in every form of `ImageModel`. An image's scores do not depend
    on the others in its batch, see `spp_keras.any_size`; a backbone that cannot be converted
    runs on one image at a time, see `spp_keras.layers.PerImage`. Batch normalization keeps its
    stored statistics.

    Args:
        backbone: `keras.Model` built for any height and width, from images to
            one feature map: `keras.applications` with `include_top=False` and
            `input_shape=(None, None, 3)`, keras-hub backbones with
            `(None, None, 3)` likewise. It gets raw pixels: include the
            preprocessing it needs.
        classes: Number of classes.
        levels: Pyramid levels. Defaults to the paper's `(6, 3, 2, 1)`.
        units: Units of the hidden dense layers. A wide backbone has many channels in each of
            the 50 bins: with `()` the classifier reads the pyramid itself. Defaults to the
            paper's `(4096, 4096)`.
        dropout: Rate after each hidden dense layer. Defaults to 0.5.
        classifier_activation: Activation of the last layer; `None` for logits.
            Defaults to `"softmax"`.
        train_backbone: Whether to fine-tune the backbone. Sets its `trainable`.
            Defaults to `False`.
        name: Name of the model. Defaults to that of the backbone and `"_spp"`.

    Returns:
        An `ImageModel`, a functional `keras.Model` from images to class scores.

    Example:

    >>> backbone = keras.applications.MobileNetV2(
    ...     input_shape=(None, None, 3), include_top=False, weights=None, alpha=0.35
    ... )
    >>> model = spp_classifier(backbone, 10, levels=(2, 1), units=())
    >>> tuple(model(np.zeros((1, 64, 80, 3), "float32")).shape)
    (1, 10)
    """
    _check_backbone(backbone)
    _checks.at_least(classes, 1, "classes")
    backbone.trainable = train_backbone
    name = name or f"{backbone.name}_spp"
    pyramid = layer_builder.make_pyramid(levels)
    top = network_builder.list_top_rows(1, tuple(units), dropout, classes, classifier_activation)
    scores = layer_builder.build_top(pyramid(backbone.outputs[0]), top)
    try:
        model = transformation.any_size(keras.Model(backbone.inputs, scores, name=name))
    except ValueError:
        return _build_per_image(backbone, pyramid, top, name)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Keras' way to keep the stored statistics; the weights of the layer stay as well.
            layer.trainable = False
    return model


def _build_per_image(backbone: keras.Model, pyramid: Any, top: Any, name: str) -> keras.Model:
    images = keras.Input(backbone.inputs[0].shape[1:], name="images", ragged=True)
    x, sizes = PadRagged(name="mixed_sizes")(images)
    x = PerImage(backbone, pyramid, name="backbone")(x, sizes=sizes)
    return ImageModel(images, layer_builder.build_top(x, top), name=name)


def _check_backbone(backbone: Any) -> None:
    """Checks that a backbone maps images of any size to one feature map."""
    rule = (
        "`backbone` must be a built `keras.Model` from images (batch, None, None, channels) to one "
        "feature map (batch, rows, columns, channels), for instance one of `keras.applications` "
        "with include_top=False and input_shape=(None, None, 3)."
    )
    if not isinstance(backbone, keras.Model) or len(getattr(backbone, "inputs", None) or ()) != 1:
        raise ValueError(f"{rule} Received: backbone={backbone!r}.")
    (images,), maps = backbone.inputs, keras.tree.flatten(backbone.outputs)
    any_size = len(images.shape) == 4 and images.shape[1] is None and images.shape[2] is None
    if not any_size or len(maps) != 1 or len(maps[0].shape) != 4 or maps[0].shape[-1] is None:
        shapes = [tuple(tensor.shape) for tensor in maps]
        raise ValueError(
            f"{rule} Received: {backbone.name!r} from {tuple(images.shape)} to {shapes}."
        )
