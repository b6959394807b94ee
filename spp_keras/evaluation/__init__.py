"""Evaluation: the testing protocols of the paper, ensembles, features, the rates they reach."""

from spp_keras.evaluation.evaluate import evaluate as evaluate
from spp_keras.evaluation.evaluate import table as table
from spp_keras.evaluation.evaluate_features import evaluate_features as evaluate_features
from spp_keras.evaluation.evaluate_features import features_table as features_table
from spp_keras.evaluation.protocols import PROTOCOLS as PROTOCOLS
from spp_keras.evaluation.protocols import Scorer as Scorer
