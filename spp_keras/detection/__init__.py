"""Detection: an image is convolved once, some 2,000 windows of it are pooled from the map."""

from spp_keras.detection.detector import Detector as Detector
from spp_keras.detection.proposer import Proposer as Proposer
