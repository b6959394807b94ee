"""The class of our networks: one model that takes images in every form."""

from spp_keras.models.image_model import ImageModel as ImageModel
