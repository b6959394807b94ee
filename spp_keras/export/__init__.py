"""Models for servers and devices that know neither Keras nor this package."""

from spp_keras.export.tf_serving.classifier import export_saved_model as export_saved_model
from spp_keras.export.tf_serving.detector import export_detector as export_detector
from spp_keras.export.tflite.classifier import export_tflite as export_tflite
from spp_keras.export.tflite.detector import export_detector_tflite as export_detector_tflite
