"""A functional model whose training works on mixed sizes under every strategy of TensorFlow."""

from typing import Any

import keras
import tensorflow as tf


class ReplicatedModel(keras.Model):
    """A functional model whose `fit` and `evaluate` work on mixed sizes under any strategy.

    Keras 3.15 looks at the first batch by taking its mean over replicas, which
    fails where these have different sizes, and between machines always; one
    replica's share says as much. Between machines it also averages the logs of a
    step along an axis that scalars do not have. Both lie in the two methods below;
    the private one is Keras', tried on 3.15.

    Example:

    >>> model = zf5_spp(classes=3, width=0.125)
    >>> replicated = ReplicatedModel(model.inputs, model.outputs)
    >>> replicated.count_params() == model.count_params()
    True
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if iterator is not None and self._distribute_strategy is not None:
            _, _, batches = next(iter(iterator))
            # Not the structure's composites: a ragged tensor is one value here.
            data_batch = tf.nest.map_structure(
                lambda value: self.distribute_strategy.experimental_local_results(value)[0],
                next(batches),
            )
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)

    def train_step(self, data: Any) -> dict[str, Any]:
        return self._averageable(super().train_step(data))

    def test_step(self, data: Any) -> dict[str, Any]:
        return self._averageable(super().test_step(data))

    def _averageable(self, logs: dict[str, Any]) -> dict[str, Any]:
        if not is_multi_worker(self.distribute_strategy):
            return logs
        return {name: tf.reshape(value, (-1,)) for name, value in logs.items()}


def is_multi_worker(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether other processes, on this machine or others, take part."""
    return getattr(strategy, "cluster_resolver", None) is not None
