"""The zoo: the networks of the paper, with and without spatial pyramid pooling.

Names load on first use, so that models can be listed without TensorFlow and Keras.
"""

import importlib
from typing import TYPE_CHECKING, Any

from spp_keras.zoo.registry import NETWORKS as _NETWORKS
from spp_keras.zoo.registry import create_model as create_model
from spp_keras.zoo.registry import list_models as list_models

if TYPE_CHECKING:
    from spp_keras.zoo.alexnet import alexnet5 as alexnet5
    from spp_keras.zoo.alexnet import alexnet5_spp as alexnet5_spp
    from spp_keras.zoo.backbone_classifier import spp_classifier as spp_classifier
    from spp_keras.zoo.caffe.loading import load_caffe_model as load_caffe_model
    from spp_keras.zoo.image_model import ImageModel as ImageModel
    from spp_keras.zoo.model_inputs import with_boxes as with_boxes
    from spp_keras.zoo.model_inputs import with_sizes as with_sizes
    from spp_keras.zoo.overfeat import overfeat5 as overfeat5
    from spp_keras.zoo.overfeat import overfeat5_spp as overfeat5_spp
    from spp_keras.zoo.overfeat import overfeat7 as overfeat7
    from spp_keras.zoo.overfeat import overfeat7_spp as overfeat7_spp
    from spp_keras.zoo.zf import zf5 as zf5
    from spp_keras.zoo.zf import zf5_spp as zf5_spp

_MODULES = {
    **_NETWORKS,
    "ImageModel": "image_model",
    "load_caffe_model": "caffe.loading",
    "spp_classifier": "backbone_classifier",
    "with_boxes": "model_inputs",
    "with_sizes": "model_inputs",
}
__all__ = ["create_model", "list_models", *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        module = importlib.import_module(f"spp_keras.zoo.{_MODULES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
