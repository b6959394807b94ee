"""The class of our networks: one model that takes images in every form."""

from spp_keras.models.image_model import ImageModel as ImageModel
from spp_keras.models.layer_outputs import features as features
