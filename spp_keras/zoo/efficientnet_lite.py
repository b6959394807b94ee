"""EfficientNet-Lite0, -Lite1 and -Lite2, with weights trained on ImageNet."""

from typing import Any, Literal

import keras

from spp_keras import _checks
from spp_keras.conversion import transformation
from spp_keras.zoo import efficientnet_lite_tables as tables
from spp_keras.zoo import layer_builder, network_builder, package_weights
from spp_keras.zoo.network_builder import InputShape, Levels

_EPSILON = 1e-3
_INITIALIZER = keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")


def efficientnet_lite0(
    classes: int = 1000,
    *,
    include_top: bool = True,
    weights: str | None = None,
    input_shape: InputShape | None = None,
    pooling: Literal["avg", "max", "spp"] | None = None,
    classifier_activation: str | None = "softmax",
    levels: Levels = (1,),
    mode: Literal["max", "average"] = "average",
    dropout: float = 0.2,
    width: float = 1.0,
    name: str = "efficientnet_lite0",
) -> keras.Model:
    """EfficientNet-Lite0 for images of any size, with weights trained on ImageNet.

    Convolutions with batch normalization and ReLU6, without squeeze-and-excitation: it runs
    on every device. Behind them is a pyramid. The pyramid of one bin, the default, is the
    global average that the published networks have; others are for training.

    Takes images of any size in every form of `ImageModel`. Raw RGB values 0..255. An image's
    scores do not depend on the others in its batch (training batch normalization excepted).

    Reference:

    - [EfficientNet-Lite](https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html)
    - [Tan and Le, 2019](https://arxiv.org/abs/1905.11946)

    Args:
        classes: Number of classes. Defaults to 1000.
        include_top: Whether to include the pyramid and the layer that scores classes. Defaults
            to `True`.
        weights: `"imagenet"`, weights trained on ImageNet, from a package of the extra
            `weights`; the path of a file that `model.save_weights` wrote; or `None` for random
            weights. The layer `predictions` gets ImageNet's only where `classes`, `levels` and
            `mode` are the defaults. Defaults to `None`.
        input_shape: `(height, width, channels)`, height and width `None` or a number.
            Defaults to `(None, None, 3)`.
        pooling: Without top: `None` for the feature map, `"avg"` or `"max"` over
            the image, `"spp"` for the pyramid. Defaults to `None`.
        classifier_activation: Activation of the last layer; `None` for logits.
            Defaults to `"softmax"`.
        levels: Pyramid levels. Defaults to `(1,)`.
        mode: `"max"` or `"average"`, how the pyramid pools its bins. Defaults to `"average"`.
        dropout: Rate behind the pyramid. Defaults to 0.2.
        width: Factor on filters, for smaller networks. Defaults to 1.
        name: Name of the model. Defaults to `"efficientnet_lite0"`.

    Returns:
        An `ImageModel`, a functional `keras.Model`.

    Example:

    >>> model = efficientnet_lite0(10, width=0.25)
    >>> tuple(model(np.zeros((1, 150, 224, 3), "float32")).shape)
    (1, 10)
    """
    return _build(tables.LITE0, **locals())


def efficientnet_lite1(
    classes: int = 1000,
    *,
    include_top: bool = True,
    weights: str | None = None,
    input_shape: InputShape | None = None,
    pooling: Literal["avg", "max", "spp"] | None = None,
    classifier_activation: str | None = "softmax",
    levels: Levels = (1,),
    mode: Literal["max", "average"] = "average",
    dropout: float = 0.2,
    width: float = 1.0,
    name: str = "efficientnet_lite1",
) -> keras.Model:
    """EfficientNet-Lite1: deeper than `efficientnet_lite0`, whose arguments it has.

    Example:

    >>> efficientnet_lite1(10, width=0.25).output_shape
    (None, 10)
    """
    return _build(tables.LITE1, **locals())


def efficientnet_lite2(
    classes: int = 1000,
    *,
    include_top: bool = True,
    weights: str | None = None,
    input_shape: InputShape | None = None,
    pooling: Literal["avg", "max", "spp"] | None = None,
    classifier_activation: str | None = "softmax",
    levels: Levels = (1,),
    mode: Literal["max", "average"] = "average",
    dropout: float = 0.3,
    width: float = 1.0,
    name: str = "efficientnet_lite2",
) -> keras.Model:
    """EfficientNet-Lite2: deeper and wider than `efficientnet_lite0`, whose arguments it has.

    Example:

    >>> efficientnet_lite2(10, width=0.25).output_shape
    (None, 10)
    """
    return _build(tables.LITE2, **locals())


def _build(
    variant: tables.Variant,
    *,
    classes: int,
    include_top: bool,
    weights: str | None,
    input_shape: InputShape | None,
    pooling: Literal["avg", "max", "spp"] | None,
    classifier_activation: str | None,
    levels: Levels,
    mode: Literal["max", "average"],
    dropout: float,
    width: float,
    name: str,
) -> keras.Model:
    network_builder.check_options(include_top, pooling, ("avg", "max", "spp"), classes)
    images = keras.Input(_checks.image_shape(input_shape or (None, None, 3), 1), name="images")
    maps = _apply_trunk(images, variant, _checks.positive(width, "width"))
    if include_top:
        vectors = layer_builder.make_pyramid(levels, mode)(maps)
        vectors = keras.layers.Dropout(dropout, name="top_dropout")(vectors)
        top = network_builder.list_top_rows(1, (), 0.0, classes, classifier_activation)
        outputs = layer_builder.build_top(vectors, top)
    else:
        outputs = network_builder.pool_maps(maps, pooling, levels, mode)
    plain = keras.Model(images, outputs, name=name)
    model = transformation.convert_model(plain, images.shape[1:], name)
    has_global_average = mode == "average" and _checks.levels(levels) == ((1, 1),)
    package_weights.load_weights(model, weights, variant.name, with_predictions=has_global_average)
    return model


def _apply_trunk(images: Any, variant: tables.Variant, width: float) -> Any:
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="preprocessing")(images)
    x = _convolve(x, tables.scale_filters(tables.STEM_FILTERS, width), 3, 2, "stem")
    for block in tables.list_blocks(variant, width):
        x = _apply_block(x, block)
    return _convolve(x, tables.scale_filters(tables.TOP_FILTERS, width), 1, 1, "top")


def _apply_block(x: Any, block: tables.Block) -> Any:
    inputs, channels, name = x, x.shape[-1], block.name
    if block.expansion > 1:
        x = _convolve(x, channels * block.expansion, 1, 1, f"{name}_expand")
    convolution = keras.layers.DepthwiseConv2D(
        block.kernel,
        block.stride,
        "same",
        use_bias=False,
        depthwise_initializer=_INITIALIZER,
        data_format="channels_last",
        name=f"{name}_dwconv",
    )
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_bn")(convolution(x))
    x = keras.layers.ReLU(6.0, name=f"{name}_activation")(x)
    x = _convolve(x, block.filters, 1, 1, f"{name}_project", activation=False)
    if block.stride == 1 and channels == block.filters:
        x = keras.layers.Add(name=f"{name}_add")([x, inputs])
    return x


def _convolve(
    x: Any, filters: int, kernel: int, stride: int, name: str, activation: bool = True
) -> Any:
    convolution = keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        "same",
        use_bias=False,
        kernel_initializer=_INITIALIZER,
        data_format="channels_last",
        name=f"{name}_conv",
    )
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_bn")(convolution(x))
    return keras.layers.ReLU(6.0, name=f"{name}_activation")(x) if activation else x
