"""Stateless operations: pyramid and RoI pooling, boxes, their matching, NMS."""

from spp_keras.ops.boxes import box_iou as box_iou
from spp_keras.ops.boxes import clip_boxes as clip_boxes
from spp_keras.ops.boxes import decode_boxes as decode_boxes
from spp_keras.ops.boxes import encode_boxes as encode_boxes
from spp_keras.ops.matching import BACKGROUND as BACKGROUND
from spp_keras.ops.matching import FOREGROUND as FOREGROUND
from spp_keras.ops.matching import IGNORED as IGNORED
from spp_keras.ops.matching import match_boxes as match_boxes
from spp_keras.ops.non_max_suppression import nms as nms
from spp_keras.ops.pyramid_pooling import adaptive_average_pool as adaptive_average_pool
from spp_keras.ops.pyramid_pooling import adaptive_max_pool as adaptive_max_pool
from spp_keras.ops.pyramid_pooling import spatial_pyramid_pool as spatial_pyramid_pool
from spp_keras.ops.roi_pooling import roi_align as roi_align
from spp_keras.ops.roi_pooling import roi_pool as roi_pool
from spp_keras.ops.roi_pyramid_pooling import boxes_to_cells as boxes_to_cells
from spp_keras.ops.roi_pyramid_pooling import roi_spatial_pyramid_pool as roi_spatial_pyramid_pool
