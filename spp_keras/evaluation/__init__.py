"""Evaluation: the testing protocols of the paper, ensembles, and the rates they reach."""

from spp_keras.evaluation.evaluate import evaluate as evaluate
from spp_keras.evaluation.evaluate import table as table
from spp_keras.evaluation.protocols import PROTOCOLS as PROTOCOLS
from spp_keras.evaluation.protocols import Scorer as Scorer
