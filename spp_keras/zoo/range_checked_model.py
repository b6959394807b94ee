"""`fit`, `evaluate` and `predict` of TensorFlow that check the range of the first images."""

from collections.abc import Callable
from typing import Any

import keras

from spp_keras.zoo.replicated_model import ReplicatedModel
from spp_keras.zoo.value_range import RangeCheck

_LOG = "range_code_of_images"


class RangeCheckedModel(ReplicatedModel):
    """A functional model whose training looks at the range of values of its first images.

    What `fit` sends through a graph is never seen by Python. So a step adds to its logs the
    code of its images' range, which is read here and does not reach callbacks. The graph
    of a call, which exports save, has nothing of it.
    """

    range_check = RangeCheck(None)
    train_function: Any
    test_function: Any
    predict_function: Any

    def train_step(self, data: Any) -> dict[str, Any]:
        return self._with_code(super().train_step(data), data)

    def test_step(self, data: Any) -> dict[str, Any]:
        return self._with_code(super().test_step(data), data)

    def make_train_function(self, force: bool = False) -> Any:
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = self._reading_code(self.train_function)
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = self._reading_code(self.test_function)
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Any:
        if self.predict_function is None or force:
            super().make_predict_function(force)
            self.predict_function = self._looking_first(self.predict_function)
        return self.predict_function

    def _with_code(self, logs: dict[str, Any], data: Any) -> dict[str, Any]:
        code = self.range_check.code(_images_of(data))
        return logs if code is None else {**logs, **self._averageable({_LOG: code})}

    def _reading_code(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def step(iterator: Any) -> Any:
            logs = function(iterator)
            if _LOG in logs:
                logs = dict(logs)
                self.range_check.read(logs.pop(_LOG))
            return logs

        return step

    def _looking_first(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def step(data: Any) -> Any:
            if not self.range_check.done:
                images = _images_of(data[0])
                share = self.distribute_strategy.experimental_local_results(images)[0]
                self.range_check.look(share)
            return function(data)

        return step


def _images_of(data: Any) -> Any:
    """The images of a batch as `fit` or `predict` gets it."""
    inputs = keras.utils.unpack_x_y_sample_weight(data)[0]
    if isinstance(inputs, dict):
        return inputs["images"]
    return inputs[0] if isinstance(inputs, list | tuple) else inputs
