"""The zoo: the networks of the paper, with and without spatial pyramid pooling.

Loaded on first use, so that `spp_keras.zoo.tables` can be read without
TensorFlow or Keras.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spp_keras.zoo.caffe.network import load_caffe_model as load_caffe_model
    from spp_keras.zoo.image_model import ImageModel as ImageModel
    from spp_keras.zoo.networks import alexnet5 as alexnet5
    from spp_keras.zoo.networks import alexnet5_spp as alexnet5_spp
    from spp_keras.zoo.networks import overfeat5 as overfeat5
    from spp_keras.zoo.networks import overfeat5_spp as overfeat5_spp
    from spp_keras.zoo.networks import overfeat7 as overfeat7
    from spp_keras.zoo.networks import overfeat7_spp as overfeat7_spp
    from spp_keras.zoo.networks import spp_classifier as spp_classifier
    from spp_keras.zoo.networks import zf5 as zf5
    from spp_keras.zoo.networks import zf5_spp as zf5_spp
    from spp_keras.zoo.roi_model import with_boxes as with_boxes
    from spp_keras.zoo.sized_model import with_sizes as with_sizes

_HOMES = {
    **dict.fromkeys(
        (
            "alexnet5",
            "alexnet5_spp",
            "overfeat5",
            "overfeat5_spp",
            "overfeat7",
            "overfeat7_spp",
            "spp_classifier",
            "zf5",
            "zf5_spp",
        ),
        "spp_keras.zoo.networks",
    ),
    "ImageModel": "spp_keras.zoo.image_model",
    "load_caffe_model": "spp_keras.zoo.caffe.network",
    "with_boxes": "spp_keras.zoo.roi_model",
    "with_sizes": "spp_keras.zoo.sized_model",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
