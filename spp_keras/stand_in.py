"""Layers in a copy of a model's graph that have no weights: the model stays as it is."""

from typing import Any

import keras


class StandIn(keras.Operation):
    """Stands for a layer while `keras.models.clone_model` goes through a graph.

    Args:
        original: Layer or operation.

    Example:

    >>> StandIn(keras.layers.Conv2D(8, 3, name="conv"))(keras.Input((5, 5, 3))).shape
    (None, 3, 3, 8)
    """

    def __init__(self, original: Any):
        super().__init__(name=original.name)
        self.original = original

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        # Keras records `training` for layers that do not take it, too.
        parameters = getattr(self.original, "call_signature_parameters", ("training",))
        if "training" not in parameters:
            kwargs.pop("training", None)
        return self.original.compute_output_spec(*args, **kwargs)
