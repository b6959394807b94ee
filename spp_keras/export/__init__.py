"""Models for servers and devices that know neither Keras nor this package."""

from spp_keras.export.saved_detector import save_detector as save_detector
from spp_keras.export.saved_model import save as save
from spp_keras.export.tflite import save_tflite as save_tflite
from spp_keras.export.tflite_detector import save_detector_tflite as save_detector_tflite
