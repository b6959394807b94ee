"""The zoo: the networks of the paper, with and without spatial pyramid pooling.

Names load on first use, so that models can be listed without TensorFlow and Keras.
"""

from typing import TYPE_CHECKING

from spp_keras import _lazy_names
from spp_keras.zoo.backbones import list_backbones as list_backbones
from spp_keras.zoo.registry import NETWORKS as _NETWORKS
from spp_keras.zoo.registry import create_model as create_model
from spp_keras.zoo.registry import list_models as list_models

if TYPE_CHECKING:
    from spp_keras.models.image_model import ImageModel as ImageModel
    from spp_keras.zoo.alexnet import alexnet5 as alexnet5
    from spp_keras.zoo.alexnet import alexnet5_spp as alexnet5_spp
    from spp_keras.zoo.backbone_classifier import spp_classifier as spp_classifier
    from spp_keras.zoo.caffe.loading import load_caffe_model as load_caffe_model
    from spp_keras.zoo.efficientnet_lite import efficientnet_lite0 as efficientnet_lite0
    from spp_keras.zoo.efficientnet_lite import efficientnet_lite1 as efficientnet_lite1
    from spp_keras.zoo.efficientnet_lite import efficientnet_lite2 as efficientnet_lite2
    from spp_keras.zoo.imagenet import decode_predictions as decode_predictions
    from spp_keras.zoo.model_inputs import with_boxes as with_boxes
    from spp_keras.zoo.model_inputs import with_sizes as with_sizes
    from spp_keras.zoo.overfeat import overfeat5 as overfeat5
    from spp_keras.zoo.overfeat import overfeat5_spp as overfeat5_spp
    from spp_keras.zoo.overfeat import overfeat7 as overfeat7
    from spp_keras.zoo.overfeat import overfeat7_spp as overfeat7_spp
    from spp_keras.zoo.zf import zf5 as zf5
    from spp_keras.zoo.zf import zf5_spp as zf5_spp

_HOMES = {
    **{name: f"spp_keras.zoo.{module}" for name, module in _NETWORKS.items()},
    "ImageModel": "spp_keras.models.image_model",
    "decode_predictions": "spp_keras.zoo.imagenet",
    "load_caffe_model": "spp_keras.zoo.caffe.loading",
    "spp_classifier": "spp_keras.zoo.backbone_classifier",
    "with_boxes": "spp_keras.zoo.model_inputs",
    "with_sizes": "spp_keras.zoo.model_inputs",
}
__all__ = ["create_model", "list_backbones", "list_models", *_HOMES]
__getattr__, __dir__ = _lazy_names.make_lazy(__name__, _HOMES)
