"""Private APIs of Keras that we use. What fails here says what to do."""

import inspect

import keras
import numpy as np
import pytest

from spp_keras import _private_apis


def advice(function):
    """The part of a docstring that says what to do when a new Keras breaks it."""
    name = function.__name__
    return f"Keras {keras.__version__} breaks `_private_apis.{name}`.\n{inspect.getdoc(function)}"


@pytest.mark.parametrize(
    "function",
    [_private_apis.BuildFromOneReplica, _private_apis.copy_direction, _private_apis.find_producer],
    ids=lambda function: function.__name__,
)
def test_each_says_what_is_private_why_and_what_to_do(function):
    for heading in ("Private: `", "Why: ", "When it breaks: "):
        assert heading in inspect.getdoc(function)


def test_fit_asks_the_method_that_is_overridden_for_the_first_batch():
    trainer = inspect.getsource(inspect.getmodule(keras.Model.fit.__wrapped__))
    method = getattr(keras.Model, "_maybe_symbolic_build", None)
    message = advice(_private_apis.BuildFromOneReplica)
    assert method is not None, message
    assert list(inspect.signature(method).parameters) == ["self", "iterator", "data_batch"], message
    assert "_distribute_strategy" in inspect.getsource(method), message
    assert '"MEAN"' in inspect.getsource(method), message
    assert "self._maybe_symbolic_build(iterator=epoch_iterator)" in trainer, message


def test_one_replica_is_enough_to_build_from():
    import tensorflow as tf

    class Model(_private_apis.BuildFromOneReplica, keras.Model):
        pass

    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    with strategy.scope():
        images = keras.Input((2,))
        model = Model(images, keras.layers.Dense(1)(images))
        model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, verbose=0).history
    assert set(history) == {"loss", "mae"}, advice(_private_apis.BuildFromOneReplica)


@pytest.mark.parametrize(("name", "expected"), [("accuracy", "greater"), ("mae", "less")])
def test_callbacks_see_the_direction_of_the_metric_inside(name, expected):
    class Wrapped(keras.metrics.Mean):
        def __init__(self, metric):
            super().__init__(name=name)
            _private_apis.copy_direction(metric, self)

        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_pred)

    inside = {"accuracy": keras.metrics.BinaryAccuracy(), "mae": keras.metrics.MeanAbsoluteError()}
    images = keras.Input((2,))
    model = keras.Model(images, keras.layers.Dense(1)(images))
    model.compile("sgd", "mse", metrics=[Wrapped(inside[name])])
    stop = keras.callbacks.EarlyStopping(monitor=f"val_{name}", mode="auto", patience=5)
    data = np.ones((4, 2)), np.ones((4, 1))
    model.fit(*data, validation_data=data, callbacks=[stop], verbose=0)
    message = advice(_private_apis.copy_direction)
    assert stop.monitor_op is getattr(keras.ops, expected), message


def test_the_layer_that_made_a_symbolic_tensor_is_found():
    images = keras.Input((2,), name="images")
    dense = keras.layers.Dense(1)
    message = advice(_private_apis.find_producer)
    assert _private_apis.find_producer(images).name == "images", message
    assert _private_apis.find_producer(dense(images)) is dense, message
    assert _private_apis.find_producer(np.ones(3)) is None
