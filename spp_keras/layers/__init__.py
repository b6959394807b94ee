"""Keras layers: pyramid, adaptive and RoI pooling, and layers for batches of mixed sizes."""

from spp_keras.layers.adaptive_pooling import AdaptiveAveragePooling2D as AdaptiveAveragePooling2D
from spp_keras.layers.adaptive_pooling import AdaptiveMaxPooling2D as AdaptiveMaxPooling2D
from spp_keras.layers.local_response_normalization import (
    LocalResponseNormalization as LocalResponseNormalization,
)
from spp_keras.layers.pad_ragged import PadRagged as PadRagged
from spp_keras.layers.per_image import PerImage as PerImage
from spp_keras.layers.roi_pooling import RoIAlign as RoIAlign
from spp_keras.layers.roi_pooling import RoIPool as RoIPool
from spp_keras.layers.roi_spatial_pyramid_pooling import (
    RoISpatialPyramidPooling as RoISpatialPyramidPooling,
)
from spp_keras.layers.spatial_pyramid_pooling import SpatialPyramidPooling as SpatialPyramidPooling
