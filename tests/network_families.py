"""Families of convolutional networks, small members of each, for images of any size."""

from functools import partial

import keras
from keras import applications, layers

from spp_keras.zoo import tables
from spp_keras.zoo.network_builder import _build_trunk

# The smallest or best known member of each convolutional family of `keras.applications`.
APPLICATIONS = (
    "VGG16",
    "ResNet50",
    "ResNet50V2",
    "InceptionV3",
    "InceptionResNetV2",
    "Xception",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "ConvNeXtTiny",
)


def build_application(name, side=None, **settings):
    settings = {"include_top": False, "weights": None, **settings}
    return getattr(applications, name)(input_shape=(side, side, 3), **settings)


def build_nasnet(side=97):
    """NASNetMobile as Keras builds it for one size, with inputs of any."""
    built = build_application("NASNetMobile", side)
    return keras.models.clone_model(built, input_tensors=keras.Input((None, None, 3)))


def build_zf5():
    """The paper's ZF-5 without a pyramid, an eighth as wide, as a plain Keras model."""
    images, maps = _build_trunk(tables.ZF5, None, 0.125)
    return keras.Model(images, maps, name="zf5")


def build_xception():
    """Two of Xception's blocks, "same" throughout, with its shortcuts."""
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(16, 3, 2, use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for filters in (24, 32):
        shortcut = layers.Conv2D(filters, 1, 2, "same", use_bias=False)(x)
        shortcut = layers.BatchNormalization()(shortcut)
        for _ in range(2):
            x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(3, 2, "same")(x)
        x = layers.Add()([x, shortcut])
    return keras.Model(inputs, x, name="small_xception")


def build_efficientnet():
    """Inverted residuals with 5x5 kernels down to stride 32, and squeeze-and-excite."""
    inputs = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127.5, -1)(inputs)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.ReLU(6)(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, use_bias=False)(x)))
    for filters, kernel in ((16, 3), (16, 5), (24, 3), (32, 5)):
        y = layers.Conv2D(4 * x.shape[-1], 1, use_bias=False)(x)
        y = layers.ReLU(6)(layers.BatchNormalization()(y))
        y = layers.DepthwiseConv2D(kernel, 2, "same", use_bias=False)(y)
        y = layers.ReLU(6)(layers.BatchNormalization()(y))
        squeezed = layers.GlobalAveragePooling2D(keepdims=True)(y)
        squeezed = layers.Conv2D(8, 1, activation="swish")(squeezed)
        y = y * layers.Conv2D(y.shape[-1], 1, activation="sigmoid")(squeezed)
        x = layers.BatchNormalization()(layers.Conv2D(filters, 1, use_bias=False)(y))
        y = layers.DepthwiseConv2D(kernel, 1, "same", use_bias=False)(x)
        x = layers.Add()([x, layers.BatchNormalization()(y)])
    return keras.Model(inputs, x, name="small_efficientnet")


def build_convnext():
    """ConvNeXt with one block a stage."""
    # Not public: only networks of some depths are.
    from keras.src.applications.convnext import ConvNeXt

    return ConvNeXt(
        depths=[1, 1, 1, 1],
        projection_dims=[8, 16, 16, 24],
        drop_path_rate=0.0,
        include_top=False,
        weights=None,
        input_shape=(None, None, 3),
    )


SMALL = {
    "ZF-5": build_zf5,
    "MobileNetV3Small": partial(build_application, "MobileNetV3Small", alpha=0.5),
    "small Xception": build_xception,
    "small EfficientNet": build_efficientnet,
    "small ConvNeXt": build_convnext,
}
