"""The test whether a training has stopped learning, or was broken off before."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from spp_keras import recipes

# A smaller gain, as a fraction of the images, is noise rather than learning.
MIN_GAIN = 0.005
STOPPED_LEARNING_RULE = (
    "A training has stopped learning when all drops of its learning rate are made and its last "
    f"`patience` epochs, at the lowest rate, have gained no more than {100 * MIN_GAIN:g} points "
    "of validation accuracy"
)


def has_stopped_learning(history: Sequence[Mapping[str, float]], recipe: recipes.Recipe) -> bool:
    """Whether more epochs by the same recipe would have been unlikely to change the network.

    A training has stopped learning when all drops of its learning rate are made and, at the
    lowest rate, the last `patience` epochs have raised the best validation accuracy (mean average
    precision, if an image can have several classes) by no more than 0.5 points.

    Args:
        history: A row for each epoch, as `train` returns them and `history.csv` holds them.
        recipe: The recipe of the training.

    Returns:
        `False` for a training that was broken off before, also if it made all its epochs.

    Example:

    >>> recipe = recipes.Recipe(learning_rate=0.01, num_lr_drops=1, patience=2)
    >>> history = [
    ...     {"learning_rate": 0.01, "val_accuracy": 0.5},
    ...     {"learning_rate": 0.001, "val_accuracy": 0.6},
    ...     {"learning_rate": 0.001, "val_accuracy": 0.6},
    ...     {"learning_rate": 0.001, "val_accuracy": 0.603},
    ... ]
    >>> has_stopped_learning(history[:3], recipe), has_stopped_learning(history, recipe)
    (False, True)
    """
    earlier, last = history[: -recipe.patience], history[-recipe.patience :]
    if not earlier:
        return False
    # Keras keeps the learning rate in float32.
    lowest_rate = 1.001 * recipe.learning_rate * 0.1**recipe.num_lr_drops
    if any(row["learning_rate"] > lowest_rate for row in last):
        return False
    # The first validation metric decides which weights are best.
    metric = next(name for name in history[0] if name.startswith("val_"))
    gain = max(row[metric] for row in last) - max(row[metric] for row in earlier)
    return gain <= MIN_GAIN


class StopOnPlateau(keras.callbacks.Callback):
    """Ends a training that has stopped learning.

    Args:
        history: The rows of the epochs, to which an earlier callback appends.
        recipe: The recipe of the training.
    """

    def __init__(self, history: Sequence[Mapping[str, float]], recipe: recipes.Recipe):
        super().__init__()
        self.history, self.recipe = history, recipe

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if has_stopped_learning(self.history, self.recipe):
            self.model.stop_training = True
