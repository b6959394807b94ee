"""Object detection: one Keras model from an image to boxes, and its training.

Loaded on first use, so that `spp_keras.detection.detections` can be imported without
TensorFlow or Keras.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spp_keras.detection.detections import Detections as Detections
    from spp_keras.detection.detector import FIVE_SCALES as FIVE_SCALES
    from spp_keras.detection.detector import ONE_SCALE as ONE_SCALE
    from spp_keras.detection.detector import Detector as Detector
    from spp_keras.detection.rpn import RegionProposalNetwork as RegionProposalNetwork
    from spp_keras.detection.training import train_detector as train_detector

_HOMES = {
    "Detections": "spp_keras.detection.detections",
    "Detector": "spp_keras.detection.detector",
    "FIVE_SCALES": "spp_keras.detection.detector",
    "ONE_SCALE": "spp_keras.detection.detector",
    "RegionProposalNetwork": "spp_keras.detection.rpn",
    "train_detector": "spp_keras.detection.training",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
