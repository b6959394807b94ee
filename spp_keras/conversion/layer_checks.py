"""Checks of what layers of Keras may hold beside what they are: activations and regularizers."""

from typing import Any

import keras

from spp_keras.conversion import cellwise_rules, merging_rules, rule_table

_LIBRARIES = ("jax", "keras", "tensorflow", "torch")
_CELLWISE = (
    cellwise_rules.convert_activation,
    cellwise_rules.convert_cellwise,
    cellwise_rules.convert_relu,
    cellwise_rules.convert_zero_preserving,
    merging_rules.convert_merging,
)


def check_layer(layer: Any) -> None:
    """Raises where a layer of Keras has what its rule does not know of.

    Layers of others are not checked: who registers a rule knows the layer.

    Example:

    >>> check_layer(keras.layers.Conv2D(8, 3, activation="relu"))
    """
    if type(layer).__module__.partition(".")[0] != keras.Layer.__module__.partition(".")[0]:
        return
    if getattr(layer, "activity_regularizer", None) is not None:
        raise ValueError(
            f"Layer {layer.name!r} has an activity regularizer, which would count cells that are "
            "no image. Give it None."
        )
    _require_cellwise_activation(layer)


def _require_cellwise_activation(layer: Any) -> None:
    """Raises unless the activation function is known to map each cell on its own.

    It is where Keras has it by that name, or where it consists of operations that do.
    """
    activation = getattr(layer, "activation", None)
    if activation is None or _is_known(activation):
        return
    inputs = keras.Input((None, None, 8))
    try:
        operations = keras.Model(inputs, activation(inputs)).operations[1:]
    except Exception:
        operations = [None]
    if not all(rule_table.find_rule(operation) in _CELLWISE for operation in operations):
        name = getattr(activation, "__name__", type(activation).__name__)
        raise ValueError(
            f"Layer {layer.name!r} has the activation {name!r}, which may see more than one cell. "
            "Use one of `keras.activations`, one made of `keras.ops`, or a layer of yours behind "
            "it and `spp_keras.register_rule`."
        )


def _is_known(activation: Any) -> bool:
    name = getattr(activation, "__name__", None)
    library = getattr(activation, "__module__", None) or ""
    return library.split(".")[0] in _LIBRARIES and name in _NAMES


_NAMES = {name for name in dir(keras.activations) if callable(getattr(keras.activations, name))}
_NAMES -= {"deserialize", "get", "serialize"}
_NAMES |= {"swish", "hard_swish", "softmax_v2"}
