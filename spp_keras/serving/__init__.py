"""Answers for photographs from whatever a model was left in."""

from spp_keras.serving.batch_prediction import predict_images as predict_images
from spp_keras.serving.detector import Found as Found
from spp_keras.serving.detector import load_detector as load_detector
from spp_keras.serving.detector import read_orientation as read_orientation
from spp_keras.serving.predictor import Answer as Answer
from spp_keras.serving.predictor import load as load
