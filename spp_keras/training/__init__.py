"""Training on images of every size, on one device or many."""

from spp_keras.training.checkpoints import Checkpoint as Checkpoint
from spp_keras.training.distribution import ReplicatedModel as ReplicatedModel
from spp_keras.training.distribution import WorkerLost as WorkerLost
from spp_keras.training.distribution import choose_strategy as choose_strategy
from spp_keras.training.fine_tuning import fine_tune as fine_tune
from spp_keras.training.learning_rate_multiplier import (
    LearningRateMultiplier as LearningRateMultiplier,
)
from spp_keras.training.plateau import has_stopped_learning as has_stopped_learning
from spp_keras.training.recipe_choice import choose_recipe as choose_recipe
from spp_keras.training.trainer import TrainingResult as TrainingResult
from spp_keras.training.trainer import train_model as train_model
