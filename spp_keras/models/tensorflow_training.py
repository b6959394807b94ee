"""Keras' TensorFlow training for images of mixed sizes: under every strategy, range checked."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from spp_keras._private_apis import BuildFromOneReplica
from spp_keras.models.image_batches import WeighsByImages, get_images
from spp_keras.models.range_check import RangeCheck

_LOG_NAME = "range_code_of_images"


class ReplicatedModel(BuildFromOneReplica, WeighsByImages):
    """A functional model whose `fit` and `evaluate` take mixed sizes under any strategy.

    Keras 3.15 averages the logs of a step between workers along an axis that scalars do not
    have. Here each value gets one.

    Example:

    >>> model = zf5_spp(classes=3, width=0.125)
    >>> replicated = ReplicatedModel(model.inputs, model.outputs)
    >>> replicated.count_params() == model.count_params()
    True
    """

    def train_step(self, data: Any) -> dict[str, Any]:
        return self._make_averageable(super().train_step(data))

    def test_step(self, data: Any) -> dict[str, Any]:
        return self._make_averageable(super().test_step(data))

    def _make_averageable(self, logs: dict[str, Any]) -> dict[str, Any]:
        if not is_multi_worker(self.distribute_strategy):
            return logs
        return {name: tf.reshape(value, (-1,)) for name, value in logs.items()}


class RangeCheckedModel(ReplicatedModel):
    """A functional model whose training checks the range of values of its first images.

    Python never sees the images that `fit` sends through a graph. So a step adds the code of
    their range to its logs, which is read here and not passed on to callbacks. The graph
    of a call, which exports save, has no such code.
    """

    range_check = RangeCheck(None)
    train_function: Any
    test_function: Any
    predict_function: Any

    def train_step(self, data: Any) -> dict[str, Any]:
        return self._add_code(super().train_step(data), data)

    def test_step(self, data: Any) -> dict[str, Any]:
        return self._add_code(super().test_step(data), data)

    def make_train_function(self, force: bool = False) -> Any:
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = self._read_code_after(self.train_function)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = self._read_code_after(self.test_function)
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Any:
        if self.predict_function is None or force:
            super().make_predict_function(force)
            self.predict_function = self._check_before(self.predict_function)
        return self.predict_function

    def _add_code(self, logs: dict[str, Any], data: Any) -> dict[str, Any]:
        code = self.range_check.compute_code(get_images(data))
        return logs if code is None else {**logs, **self._make_averageable({_LOG_NAME: code})}

    def _read_code_after(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def step(iterator: Any) -> Any:
            logs = function(iterator)
            if _LOG_NAME in logs:
                logs = dict(logs)
                self.range_check.read_code(logs.pop(_LOG_NAME))
            return logs

        return step

    def _check_before(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def step(data: Any) -> Any:
            if not self.range_check.done:
                images = get_images(data[0])
                per_replica = self.distribute_strategy.experimental_local_results(images)
                self.range_check.check(per_replica[0])
            return function(data)

        return step


def is_multi_worker(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether other processes, on this machine or others, take part in a training."""
    return getattr(strategy, "cluster_resolver", None) is not None
