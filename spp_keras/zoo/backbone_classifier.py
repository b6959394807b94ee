"""A pyramid and a classifier on any convolutional Keras model."""

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import keras

from spp_keras import _checks
from spp_keras.conversion import transformation
from spp_keras.layers import PadRagged, PerImage
from spp_keras.models.image_model import ImageModel
from spp_keras.zoo import (
    backbones,
    layer_builder,
    model_parts,
    network_builder,
    preprocessing,
    registry,
    weight_packages,
)
from spp_keras.zoo.weights import load_weights


def spp_classifier(
    backbone: keras.Model | str,
    classes: int,
    *,
    weights: str | None = None,
    layer: str | None = None,
    levels: network_builder.Levels = (6, 3, 2, 1),
    mode: Literal["max", "average"] = "max",
    units: Sequence[int] = (),
    dropout: float = 0.5,
    classifier_activation: str | None = "softmax",
    train_backbone: bool = False,
    train_normalization: bool = False,
    name: str | None = None,
    **options: Any,
) -> keras.Model:
    """A pyramid and a classifier on any convolutional Keras model.

    Takes images of any size, in every form of `ImageModel`. An image's scores do not depend
    on the others in its batch, see `spp_keras.any_size`; a backbone that cannot be converted
    runs on one image at a time, see `spp_keras.layers.PerImage`.

    Args:
        backbone: Name of a network of `keras.applications`, see `spp_keras.zoo.list_backbones`,
            or of one with a pyramid of the zoo. Its preprocessing becomes a part of the network,
            which takes raw RGB values 0..255. Or a `keras.Model` from images to one feature map,
            such as one of `keras.applications` with `include_top=False` or of keras-hub; it gets
            raw pixels: include the preprocessing it needs.
        classes: Number of classes.
        weights: `"imagenet"`, for a backbone by name: those that Keras downloads, or has in its
            cache; or the path of a file that `save_weights` of this network wrote. Defaults to
            `None`, random weights or those of the model.
        layer: Name of the layer whose feature map is pooled. Defaults to `None`, the last one.
        levels: Pyramid levels. Defaults to the paper's `(6, 3, 2, 1)`.
        mode: `"max"` or `"average"`, how the pyramid pools its bins. Defaults to `"max"`.
        units: Units of the hidden dense layers, such as the paper's `(4096, 4096)`. Defaults to
            `()`: the classifier reads the pyramid itself.
        dropout: Rate after each hidden dense layer. Defaults to 0.5.
        classifier_activation: Activation of the last layer; `None` for logits.
            Defaults to `"softmax"`.
        train_backbone: Whether to fine-tune the backbone. Sets the `trainable` of its layers.
            Defaults to `False`.
        train_normalization: Whether batch normalization is trained, by the statistics of
            each batch. That is for random weights; with trained ones it is better to keep the
            stored statistics. Defaults to `False`.
        name: Name of the model. Defaults to that of the backbone and `"_spp"`.
        **options: Further arguments of the function of `keras.applications`, such as
            `alpha=0.35`.

    Returns:
        An `ImageModel`, a functional `keras.Model` from images to class scores.

    Example:

    >>> model = spp_classifier("MobileNetV3Small", classes=5, levels=(3, 2, 1), alpha=0.5)
    >>> tuple(model(np.zeros((1, 64, 80, 3), "float32")).shape)
    (1, 5)
    >>> maps = keras.applications.MobileNetV2(
    ...     input_shape=(None, None, 3), include_top=False, weights=None, alpha=0.35
    ... )
    >>> spp_classifier(maps, 10, layer="block_12_add", levels=(2, 1)).output_shape
    (None, 10)
    """
    _checks.at_least(classes, 1, "classes")
    if isinstance(backbone, str) and backbone in registry.NETWORKS:
        _check_zoo_options(backbone, layer=layer, units=tuple(units))
        model = registry.find_builder(backbone)(
            classes,
            weights=weights,
            levels=levels,
            mode=mode,
            dropout=dropout,
            classifier_activation=classifier_activation,
            name=name or backbone,
            **options,
        )
        _set_trainable(model, train_backbone, train_normalization)
        return model
    of_backbone = weights if weights == "imagenet" else None
    if isinstance(backbone, str):
        backbone = _create_backbone(backbone, of_backbone, options)
    elif options or of_backbone:
        given = ", ".join([*options, *(["weights='imagenet'"] if of_backbone else [])])
        raise ValueError(
            f"`backbone` must be a name where the network is to be made with {given}. "
            f"Received: backbone={backbone!r}."
        )
    if layer is not None:
        backbone = _cut_backbone(backbone, layer)
    _check_backbone(backbone)
    name = name or f"{backbone.name}_spp"
    pyramid = layer_builder.make_pyramid(levels, mode)
    top = network_builder.list_top_rows(1, tuple(units), dropout, classes, classifier_activation)
    scores = layer_builder.build_top(pyramid(backbone.outputs[0]), top)
    try:
        model = transformation.any_size(keras.Model(backbone.inputs, scores, name=name))
    except ValueError as error:
        model = _build_per_image(backbone, pyramid, top, name, error)
        backbone.trainable = train_backbone
    else:
        _set_trainable(model, train_backbone, train_normalization)
    if weights is not None and not of_backbone:
        load_weights(model, weights)
    return model


def _check_zoo_options(name: str, **options: Any) -> None:
    if not name.endswith("_spp") and name not in weight_packages.PACKAGES:
        raise ValueError(
            f"`backbone` must be a network with a pyramid, such as {name}_spp. "
            f"Received: backbone={name!r}."
        )
    for option, value in options.items():
        if value:
            raise ValueError(
                f"`{option}` is not for networks of the zoo, which have their own. "
                f"Received: {option}={value!r} with backbone={name!r}."
            )


def _set_trainable(model: keras.Model, train_backbone: bool, train_normalization: bool) -> None:
    pooling, _ = model_parts.find_top(model)
    for part in model.layers[: model.layers.index(pooling)]:
        # Frozen, batch normalization keeps its stored statistics: Keras' way.
        is_normalization = isinstance(part, keras.layers.BatchNormalization)
        part.trainable = train_normalization if is_normalization else train_backbone


def _create_backbone(name: str, weights: str | None, options: dict[str, Any]) -> keras.Model:
    """A network of `keras.applications` without its top, for raw pixels of images of any size."""
    images = keras.Input((None, None, 3), name="images")
    mode = backbones.find_backbone(name).preprocessing
    x = preprocessing.apply_preprocessing(images, mode)
    try:
        with warnings.catch_warnings():
            # That weights of 224 pixels are taken for images of any size is what is asked for.
            warnings.filterwarnings("ignore", "`input_shape` is undefined")
            network = getattr(keras.applications, name)(
                input_tensor=x,
                input_shape=(None, None, 3),
                include_top=False,
                weights=weights,
                **options,
            )
            # Not as an argument: EfficientNetV2 looks up its blocks by the name that it has.
            network.name = name
            return network
    except Exception as error:
        # Keras raises errors of downloads as plain exceptions.
        if weights is None or "URL fetch failure" not in str(error):
            raise
        raise ValueError(
            f"`weights` 'imagenet' of {name} must be downloaded, or in the cache of Keras: copy "
            f"them to ~/.keras/models from another machine, or take weights=None or a network of "
            f"`list_models(weights='imagenet')`. Received: {error}."
        ) from error


def _cut_backbone(backbone: keras.Model, layer: str) -> keras.Model:
    """The part of a backbone up to a layer, which may be in a model within it."""
    names = [part.name for part in getattr(backbone, "layers", ())]
    if layer in names:
        return keras.Model(backbone.inputs, backbone.get_layer(layer).output, name=backbone.name)
    raise ValueError(
        f"`layer` must be the name of a layer of {backbone.name!r}: {', '.join(names)}. "
        f"Received: layer={layer!r}."
    )


def _build_per_image(
    backbone: keras.Model, pyramid: Any, top: Any, name: str, error: Exception
) -> keras.Model:
    if tuple(backbone.inputs[0].shape[1:3]) != (None, None):
        raise ValueError(
            "`backbone` must be built for any height and width, input_shape=(None, None, 3), as "
            f"it runs on one image at a time. Received: {backbone.name!r} for images "
            f"{tuple(backbone.inputs[0].shape)}, which cannot be converted: {error}"
        ) from error
    images = keras.Input(backbone.inputs[0].shape[1:], name="images", ragged=True)
    x, sizes = PadRagged(name="mixed_sizes")(images)
    x = PerImage(backbone, pyramid, name="backbone")(x, sizes=sizes)
    return ImageModel(images, layer_builder.build_top(x, top), name=name)


def _check_backbone(backbone: Any) -> None:
    """Checks that a backbone maps images to one feature map."""
    rule = (
        "`backbone` must be a name of `list_backbones()`, or a built `keras.Model` from images "
        "(batch, height, width, channels) to one feature map (batch, rows, columns, channels), "
        "for instance one of `keras.applications` with include_top=False; `layer` names a layer "
        "within."
    )
    if not isinstance(backbone, keras.Model) or len(getattr(backbone, "inputs", None) or ()) != 1:
        raise ValueError(f"{rule} Received: backbone={backbone!r}.")
    (images,), maps = backbone.inputs, keras.tree.flatten(backbone.outputs)
    if len(images.shape) != 4 or len(maps) != 1 or len(maps[0].shape) != 4:
        shapes = [tuple(tensor.shape) for tensor in maps]
        raise ValueError(
            f"{rule} Received: {backbone.name!r} from {tuple(images.shape)} to {shapes}."
        )
