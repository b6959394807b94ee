"""Keras layers: pyramid pooling of maps and of windows, and what they stand on."""

from spp_keras.layers.local_response_normalization import (
    LocalResponseNormalization as LocalResponseNormalization,
)
from spp_keras.layers.mixed_size_images import MixedSizeImages as MixedSizeImages
from spp_keras.layers.one_size_at_a_time import OneSizeAtATime as OneSizeAtATime
from spp_keras.layers.roi_spatial_pyramid_pooling import (
    RoiSpatialPyramidPooling as RoiSpatialPyramidPooling,
)
from spp_keras.layers.spatial_pyramid_pooling import SpatialPyramidPooling as SpatialPyramidPooling
from spp_keras.layers.valid_cells import ValidCells as ValidCells
