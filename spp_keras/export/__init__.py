"""Models for servers and devices that know neither Keras nor this package."""

from spp_keras.export.saved_model import save as save
