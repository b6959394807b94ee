"""Every use of private Keras API outside `ops/_cpu_max_pooling.py`.

Each says why no public way does, and what to do when a new Keras breaks it. Tried on Keras
3.15; `tests/test_private_apis.py` fails first.
"""

from typing import Any

import keras


class BuildFromOneReplica:
    """A mixin for `keras.Model`: `fit` builds metrics from one replica's part of a batch.

    Private: `keras.Model._maybe_symbolic_build`, `keras.Model._distribute_strategy`.

    Why: before the first step under a `tf.distribute` strategy Keras averages the first batch
    over replicas, to learn its shapes. That fails where replicas have images of different
    sizes, and between workers always. `fit` has no public hook before it.

    When it breaks: look in `keras/src/backend/tensorflow/trainer.py` for the place where `fit`
    reduces the first batch with "MEAN", and override the method that holds it. Where Keras does
    not reduce any more, delete this class.
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if iterator is not None and self._distribute_strategy is not None:  # type: ignore[attr-defined]
            import tensorflow as tf

            strategy = self._distribute_strategy  # type: ignore[attr-defined]
            _, _, batches = next(iter(iterator))
            # `tf.nest` takes a ragged tensor as one value, as is needed here.
            data_batch = tf.nest.map_structure(
                lambda value: strategy.experimental_local_results(value)[0], next(batches)
            )
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)  # type: ignore[misc]


def copy_direction(source: keras.metrics.Metric, target: keras.metrics.Metric) -> None:
    """Tells Keras' callbacks that a metric is better up, or down, as another one is.

    Private: `keras.metrics.Metric._direction`.

    Why: `EarlyStopping` and `ModelCheckpoint` with `mode="auto"` read it from the metric that
    they monitor, also from one that wraps another. There is no public attribute.

    When it breaks: look in `keras/src/callbacks/monitor_callback.py`, `_set_monitor_op`, for
    what it reads, and copy that. Where it reads nothing, delete this function and have users
    pass `mode`.

    Args:
        source: Metric that knows its direction.
        target: Metric that gets it.
    """
    target._direction = getattr(source, "_direction", "down")


def find_producer(tensor: keras.KerasTensor) -> keras.Operation | None:
    """The layer or operation whose output a symbolic tensor is, `None` for none.

    Private: `keras.KerasTensor._keras_history`.

    Why: a layer that is called on the input of a model has no public way to that input.

    When it breaks: look in `keras/src/ops/node.py` for how a `KerasTensor` knows its operation.

    Args:
        tensor: Symbolic tensor, or anything else.

    Example:

    >>> find_producer(keras.Input((2,), name="images")).name
    'images'
    """
    return getattr(getattr(tensor, "_keras_history", None), "operation", None)
