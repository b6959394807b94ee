"""The networks of `keras.applications` that `spp_classifier` and recipes take by name.

Knowing them loads neither TensorFlow nor Keras.
"""

import difflib
from typing import NamedTuple


class Backbone(NamedTuple):
    """A network of `keras.applications`.

    Args:
        preprocessing: What its images need, see `preprocessing.apply_preprocessing`.
        min_size: Pixels that the shorter side of an image needs.
        has_alpha: Whether it has the argument `alpha`, a factor on its filters.
    """

    preprocessing: str
    min_size: int
    has_alpha: bool = False


BACKBONES = {
    "ConvNeXtBase": Backbone("none", 32),
    "ConvNeXtLarge": Backbone("none", 32),
    "ConvNeXtSmall": Backbone("none", 32),
    "ConvNeXtTiny": Backbone("none", 32),
    "ConvNeXtXLarge": Backbone("none", 32),
    "DenseNet121": Backbone("torch", 29),
    "DenseNet169": Backbone("torch", 29),
    "DenseNet201": Backbone("torch", 29),
    "EfficientNetB0": Backbone("none", 32),
    "EfficientNetB1": Backbone("none", 32),
    "EfficientNetB2": Backbone("none", 32),
    "EfficientNetB3": Backbone("none", 32),
    "EfficientNetB4": Backbone("none", 32),
    "EfficientNetB5": Backbone("none", 32),
    "EfficientNetB6": Backbone("none", 32),
    "EfficientNetB7": Backbone("none", 32),
    "EfficientNetV2B0": Backbone("none", 1),
    "EfficientNetV2B1": Backbone("none", 1),
    "EfficientNetV2B2": Backbone("none", 1),
    "EfficientNetV2B3": Backbone("none", 1),
    "EfficientNetV2L": Backbone("none", 1),
    "EfficientNetV2M": Backbone("none", 1),
    "EfficientNetV2S": Backbone("none", 1),
    "InceptionResNetV2": Backbone("tf", 75),
    "InceptionV3": Backbone("tf", 75),
    "MobileNet": Backbone("tf", 31, has_alpha=True),
    "MobileNetV2": Backbone("tf", 31, has_alpha=True),
    "MobileNetV3Large": Backbone("none", 31, has_alpha=True),
    "MobileNetV3Small": Backbone("none", 31, has_alpha=True),
    "ResNet101": Backbone("caffe", 1),
    "ResNet101V2": Backbone("tf", 1),
    "ResNet152": Backbone("caffe", 1),
    "ResNet152V2": Backbone("tf", 1),
    "ResNet50": Backbone("caffe", 1),
    "ResNet50V2": Backbone("tf", 1),
    "VGG16": Backbone("caffe", 32),
    "VGG19": Backbone("caffe", 32),
    "Xception": Backbone("tf", 7),
}


def list_backbones() -> list[str]:
    """Names of the networks of `keras.applications` that `spp_classifier` and recipes take.

    Example:

    >>> list_backbones()[:2]
    ['ConvNeXtBase', 'ConvNeXtLarge']
    """
    return sorted(BACKBONES)


def find_backbone(name: str) -> Backbone:
    """The entry of a network of `keras.applications`.

    Args:
        name: Its name there.

    Example:

    >>> find_backbone("MobileNetV2").preprocessing
    'tf'
    """
    if name in BACKBONES:
        return BACKBONES[name]
    near = difflib.get_close_matches(str(name), BACKBONES, n=3)
    hint = f"near names are {', '.join(near)}" if near else "`list_backbones()` lists them"
    raise ValueError(
        f"`backbone` must be the name of a network of `keras.applications`; {hint}. "
        f"Received: backbone={name!r}."
    )
