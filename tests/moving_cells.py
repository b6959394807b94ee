"""Networks whose cells move with the size of the image, by strides with "same" padding."""

import keras

from spp_keras import zoo

LEVELS = (2, 1)


def make_small_network(classes=3):
    """Of three strides of 2 with "same" padding, as EfficientNetV2 has."""
    keras.utils.set_random_seed(4)
    backbone = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(3, 2, padding="same"),
            keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        ]
    )
    return zoo.spp_classifier(backbone, classes, levels=LEVELS, units=(12,), dropout=0.0)


def first_center_of_small_network(pixels):
    """By hand: each layer's first window begins one cell before the image if it has odd sides."""
    center, stride = 0, 1
    for _ in range(3):
        center += stride * (0 if pixels % 2 else 1)
        pixels, stride = (pixels + 1) // 2, 2 * stride
    return center


def make_mobilenet(classes=3):
    keras.utils.set_random_seed(4)
    images = {"input_shape": (None, None, 3), "include_top": False, "weights": None}
    backbone = keras.applications.MobileNetV3Small(alpha=0.25, **images)
    return zoo.spp_classifier(backbone, classes, levels=LEVELS, units=(12,), dropout=0.0)


def first_center_of_mobilenet(pixels):
    """By hand: one convolution with "same" padding, and four strides with layers that pad."""
    return 31 - pixels % 2
