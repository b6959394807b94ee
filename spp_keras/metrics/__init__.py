"""Metrics of classification and of detection, on NumPy arrays."""

from spp_keras.metrics.average_precision import area_under_curve as area_under_curve
from spp_keras.metrics.average_precision import eleven_point_average as eleven_point_average
from spp_keras.metrics.classification import mean_average_precision as mean_average_precision
from spp_keras.metrics.classification import top_k_accuracy as top_k_accuracy
from spp_keras.metrics.coco import evaluate_coco as evaluate_coco
from spp_keras.metrics.voc import PrecisionRecall as PrecisionRecall
from spp_keras.metrics.voc import VocResult as VocResult
from spp_keras.metrics.voc import evaluate_voc as evaluate_voc
