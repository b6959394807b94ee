"""Prediction for images from a run, a SavedModel or a TFLite file."""

from spp_keras.serving.batch_prediction import predict_images as predict_images
from spp_keras.serving.detector import load_detector as load_detector
from spp_keras.serving.image_inputs import ImageLike as ImageLike
from spp_keras.serving.predictor import Prediction as Prediction
from spp_keras.serving.predictor import load_predictor as load_predictor
