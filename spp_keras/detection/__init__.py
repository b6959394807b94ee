"""Detection: an image is convolved once, all windows of it are pooled from the map."""

from spp_keras.detection.detector import FIVE_SCALES as FIVE_SCALES
from spp_keras.detection.detector import ONE_SCALE as ONE_SCALE
from spp_keras.detection.detector import Detector as Detector
from spp_keras.detection.rcnn import RegionDetector as RegionDetector
from spp_keras.detection.rpn import RegionProposalNetwork as RegionProposalNetwork
from spp_keras.detection.training import train_detector as train_detector
