"""Answers for photographs from whatever a model was left in."""

from spp_keras.serving.batch_prediction import predict_images as predict_images
from spp_keras.serving.detector import DetectorPrediction as DetectorPrediction
from spp_keras.serving.detector import load_detector as load_detector
from spp_keras.serving.detector import read_orientation as read_orientation
from spp_keras.serving.image_inputs import ImageLike as ImageLike
from spp_keras.serving.predictor import Prediction as Prediction
from spp_keras.serving.predictor import load_predictor as load_predictor
