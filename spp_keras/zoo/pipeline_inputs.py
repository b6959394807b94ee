"""`fit`, `evaluate` and `predict` on a pipeline: what Keras is told in its place."""

import inspect
from typing import Any

import keras

_FIT = inspect.signature(keras.Model.fit)
_EVALUATE = inspect.signature(keras.Model.evaluate)
_PREDICT = inspect.signature(keras.Model.predict)


def fit_arguments(model: keras.Model, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Arguments of `fit`, with batches in the place of each pipeline.

    Args:
        model: The model that is asked.
        *args: What it was given.
        **kwargs: What it was given by name.
    """
    given = _arguments(_FIT, model, args, kwargs)
    first = given.get("initial_epoch", 0)
    if _feed(model, given, "x", "steps_per_epoch", first, training=True):
        # Keras would warn that it does not.
        given.setdefault("shuffle", False)
    _feed(model, given, "validation_data", "validation_steps")
    return given


def evaluate_arguments(model: keras.Model, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Arguments of `evaluate`, likewise."""
    given = _arguments(_EVALUATE, model, args, kwargs)
    _feed(model, given, "x", "steps")
    return given


def predict_arguments(model: keras.Model, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Arguments of `predict`, likewise."""
    given = _arguments(_PREDICT, model, args, kwargs)
    _feed(model, given, "x", "steps")
    return given


def _arguments(
    signature: inspect.Signature, model: keras.Model, args: Any, kwargs: Any
) -> dict[str, Any]:
    given = dict(signature.bind(model, *args, **kwargs).arguments)
    del given["self"]
    more = given.pop("kwargs", {})
    return {**given, **more}


def _feed(
    model: keras.Model,
    given: dict[str, Any],
    name: str,
    steps: str,
    epoch: int = 0,
    training: bool = False,
) -> bool:
    """Whether an argument was a pipeline, which is replaced by its batches and their number."""
    pipeline: Any = given.get(name)
    if not hasattr(pipeline, "batches_for"):
        return False
    strategy = getattr(model, "distribute_strategy", None)
    given[name] = pipeline.batches_for(strategy, epoch, training=training)
    if given.get(steps) is None:
        given[steps] = pipeline.steps_per_epoch
    return True
