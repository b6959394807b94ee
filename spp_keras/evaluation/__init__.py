"""Evaluation: the paper's testing protocols, ensembles, and features by SVMs."""

from spp_keras.evaluation.feature_evaluation import evaluate_features as evaluate_features
from spp_keras.evaluation.feature_evaluation import format_feature_results as format_feature_results
from spp_keras.evaluation.feature_svm import SVMOptions as SVMOptions
from spp_keras.evaluation.protocol_evaluation import evaluate as evaluate
from spp_keras.evaluation.protocol_evaluation import format_results as format_results
from spp_keras.evaluation.protocols import PROTOCOLS as PROTOCOLS
from spp_keras.evaluation.protocols import Scorer as Scorer
