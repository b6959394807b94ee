"""A walk through the graph of a model, which converts it layer by layer."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras

from spp_keras.conversion import rule_table
from spp_keras.conversion.graph_builder import FeatureMap, GraphBuilder
from spp_keras.conversion.layer_checks import check_layer
from spp_keras.stand_in import StandIn


def convert_graph(graph: GraphBuilder, model: keras.Model, inputs: Sequence[Any]) -> list[Any]:
    """Converts every layer of a model.

    Args:
        graph: The graph to build.
        model: Functional or sequential model.
        inputs: A `FeatureMap`, or a tensor with one row for each image, for each input.

    Returns:
        A `FeatureMap` or a tensor for each output.
    """
    model = as_functional(model)
    if not hasattr(model, "operations") or not model.inputs:
        raise ValueError(
            "`model` must be a functional or a built sequential model, as its graph is read. "
            f"Received: {model.name!r} of class {type(model).__name__}."
        )
    values: dict[int, tuple[Any, Any]] = {}

    def remember(tensors: Any, converted: Any) -> None:
        flat = keras.tree.flatten(converted)
        for tensor, value in zip(keras.tree.flatten(tensors), flat, strict=True):
            if isinstance(value, FeatureMap):
                value = replace(value, original_size=tuple(tensor.shape[1:3]))
            # With the tensor itself, so that its id is not given to another one.
            values[id(tensor)] = (tensor, value)

    def call(stand_in: StandIn, *args: Any, **kwargs: Any) -> Any:
        tensors = stand_in(*args, **kwargs)
        args, kwargs = keras.tree.map_structure(
            lambda x: values[id(x)][1] if id(x) in values else x, (args, kwargs)
        )
        remember(tensors, convert_layer(graph, stand_in.original, *args, **kwargs))
        return tensors

    tensors = keras.tree.map_structure(
        lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype), model.input
    )
    remember(tensors, list(inputs))
    clone = keras.models.clone_model(
        model, input_tensors=tensors, clone_function=StandIn, call_function=call
    )
    return [values[id(tensor)][1] for tensor in clone.outputs]


def as_functional(model: keras.Model) -> keras.Model:
    """The same layers as a functional model, where a model is a built sequential one."""
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return model


def convert_layer(graph: GraphBuilder, layer: Any, *args: Any, **kwargs: Any) -> Any:
    """Converts a layer, an operation or a nested model."""
    kwargs = _drop_unused(layer, kwargs)
    flat = keras.tree.flatten((args, kwargs))
    if not any(isinstance(x, FeatureMap) for x in flat):
        # One row for each image: images do not meet.
        return graph.call(graph.share(layer), *args, **kwargs)
    if isinstance(layer, keras.Model):
        training = kwargs.pop("training", None)
        with graph.open(layer, training), _name_in_errors("model", layer):
            return convert_graph(graph, layer, keras.tree.flatten((args, kwargs)))
    rule = rule_table.find_rule(layer)
    if rule is not None:
        check_layer(layer)
        return rule(graph, layer, *args, **kwargs)
    inner = trace_layer(layer, args, kwargs)
    with graph.open(layer), _name_in_errors("layer", layer):
        return convert_graph(graph, inner, [x for x in flat if isinstance(x, _TENSORS)])


@contextlib.contextmanager
def _name_in_errors(kind: str, layer: Any) -> Iterator[None]:
    """Has errors about a part of a model or layer name the whole, too."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{error} It is part of {kind} {layer.name!r}.") from error


def trace_layer(layer: Any, args: Any, kwargs: Any) -> keras.Model:
    """The graph inside a layer that has no rule, found by calling it on symbolic tensors.

    Raises:
        ValueError: Where the layer does what such a graph does not show.
    """
    problem = ""
    if isinstance(layer, keras.layers.Lambda):
        problem = "A Lambda may do anything to neighboring cells"
    elif isinstance(layer, _ATTENTION):
        problem = "Attention reads all cells of a map, those beyond an image, too"
    elif not isinstance(layer, keras.Layer):
        problem = "There is no rule for this operation on maps"
    else:
        try:
            models = [_trace(layer, args, kwargs, training) for training in (None, True)]
        except Exception as error:
            # Keras' errors go on for lines.
            reason = re.split(r"\.\s|\n", str(error).strip())[0] or repr(error)
            problem = f"Its call cannot be followed on symbolic tensors ({reason})"
        else:
            kinds = [[type(operation) for operation in model.operations] for model in models]
            inner = {id(weight) for weight in models[0].weights}
            if any(id(weight) not in inner for weight in layer.weights):
                problem = "It has weights of its own outside of its layers"
            elif kinds[0] != kinds[1]:
                problem = "It does other things in training"
            elif len(kinds[0]) <= len(models[0].inputs):
                problem = "There is nothing inside"
    if problem:
        raise ValueError(
            f"`model` must have layers that have a rule or can be opened. Layer {layer.name!r} of "
            f"class {type(layer).__name__} has no rule. {problem}. Register a rule by "
            "`spp_keras.register_rule`, leave the layer out, or run the model on one image at a "
            "time by `any_size(model, per_image=True)`."
        )
    return models[0]


def _drop_unused(layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Keras records arguments without a value, too, and `training` for layers without it."""
    takes_training = "training" in getattr(layer, "call_signature_parameters", ("training",))
    return {
        name: value
        for name, value in kwargs.items()
        if value is not None and (takes_training or name != "training")
    }


_ATTENTION = (
    keras.layers.AdditiveAttention,
    keras.layers.Attention,
    keras.layers.GroupQueryAttention,
    keras.layers.MultiHeadAttention,
)
_TENSORS = (FeatureMap, keras.KerasTensor)


def _trace(layer: Any, args: Any, kwargs: Any, training: bool | None) -> keras.Model:
    inputs: list[Any] = []

    def make_input(x: Any) -> Any:
        if not isinstance(x, _TENSORS):
            return x
        tensor = x.tensor if isinstance(x, FeatureMap) else x
        inputs.append(keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype))
        return inputs[-1]

    args, kwargs = keras.tree.map_structure(make_input, (args, kwargs))
    if "training" in layer.call_signature_parameters:
        kwargs["training"] = training
    return keras.Model(inputs, layer.call(*args, **kwargs), name=layer.name)
