"""Object detection: one Keras model from an image to boxes, and its training.

Loaded on first use, so that `spp_keras.detection.detections` can be imported without
TensorFlow or Keras.
"""

from typing import TYPE_CHECKING

from spp_keras import _lazy_names

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
__getattr__, __dir__ = _lazy_names.make_lazy(__name__, _HOMES)
