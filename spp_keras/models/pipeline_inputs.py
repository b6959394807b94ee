"""`fit`, `evaluate` and `predict` on a pipeline: the arguments that Keras gets in its place."""

import inspect
from typing import Any

import keras

from spp_keras.models.graph_run import find_canvas_rules

_FIT = inspect.signature(keras.Model.fit)
_EVALUATE = inspect.signature(keras.Model.evaluate)
_PREDICT = inspect.signature(keras.Model.predict)


def make_fit_arguments(model: keras.Model, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Arguments of `fit`, each pipeline replaced by its batches and their number.

    Args:
        model: Model whose `fit` is called.
        *args: Positional arguments of the call.
        **kwargs: Keyword arguments of the call.
    """
    arguments = _bind(_FIT, model, args, kwargs)
    first_epoch = arguments.get("initial_epoch", 0)
    if _replace_pipeline(model, arguments, "x", "steps_per_epoch", first_epoch, training=True):
        # Keras would warn that it does not shuffle a dataset.
        arguments.setdefault("shuffle", False)
    _replace_pipeline(model, arguments, "validation_data", "validation_steps")
    return arguments


def make_evaluate_arguments(model: keras.Model, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Arguments of `evaluate`, likewise."""
    arguments = _bind(_EVALUATE, model, args, kwargs)
    _replace_pipeline(model, arguments, "x", "steps")
    return arguments


def make_predict_arguments(model: keras.Model, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Arguments of `predict`, likewise."""
    arguments = _bind(_PREDICT, model, args, kwargs)
    _replace_pipeline(model, arguments, "x", "steps")
    return arguments


def _bind(
    signature: inspect.Signature, model: keras.Model, args: Any, kwargs: Any
) -> dict[str, Any]:
    """The arguments of a call by their names."""
    arguments = dict(signature.bind(model, *args, **kwargs).arguments)
    del arguments["self"]
    more = arguments.pop("kwargs", {})
    return {**arguments, **more}


def _replace_pipeline(
    model: keras.Model,
    arguments: dict[str, Any],
    name: str,
    steps_name: str,
    epoch: int = 0,
    training: bool = False,
) -> bool:
    """Replaces an argument that is a pipeline; whether it was one."""
    pipeline: Any = arguments.get(name)
    if not hasattr(pipeline, "batches_for"):
        return False
    strategy = getattr(model, "distribute_strategy", None)
    rules = find_canvas_rules(model)
    arguments[name] = pipeline.batches_for(strategy, epoch, training=training, canvas_rules=rules)
    if arguments.get(steps_name) is None:
        arguments[steps_name] = pipeline.steps_per_epoch
    return True
