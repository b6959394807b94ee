"""Stateless operations: boxes, their matching, non-maximum suppression and pooling."""

from spp_keras.ops.boxes import box_iou as box_iou
from spp_keras.ops.boxes import clip_boxes as clip_boxes
from spp_keras.ops.boxes import decode_boxes as decode_boxes
from spp_keras.ops.boxes import encode_boxes as encode_boxes
from spp_keras.ops.matching import BACKGROUND as BACKGROUND
from spp_keras.ops.matching import FOREGROUND as FOREGROUND
from spp_keras.ops.matching import IGNORED as IGNORED
from spp_keras.ops.matching import match_boxes as match_boxes
from spp_keras.ops.non_max_suppression import nms as nms
