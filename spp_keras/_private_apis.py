"""Every use of private Keras API outside `ops/_cpu_max_pooling.py`.

Each says why no public way does, and what to do when a new Keras breaks it. Tried on Keras
3.15; `tests/test_private_apis.py` fails first.
"""

import inspect
from collections.abc import Callable
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


# Attributes of a layer that belong to the object: its nodes, and what is bound to it.
_OWN_ATTRIBUTES = {"_inbound_nodes", "_outbound_nodes", "build", "quantize"}


def share_layer(layer: keras.Operation, layer_class: Any) -> Any:
    """A new layer with the name, settings and variables of a built one, but without its nodes.

    Private: `keras.Operation._inbound_nodes`, `_outbound_nodes`, `keras.Layer._call_signature`,
    and that a layer has its state in its `__dict__`.

    Why: a layer that is in two models has the nodes of both, and `layer.output` is the tensor
    of the first. There is no public way to a second layer with the same variables: `from_config`
    and `build` make new ones, and a copy goes through a file.

    When it breaks: look in `keras/src/layers/layer.py`, `__new__` and `__init__`, for new
    attributes that are bound to the object, and add them to `_OWN_ATTRIBUTES`.

    Args:
        layer: Layer or operation.
        layer_class: Its class, or a subclass whose `__init__` sets no further attributes.

    Example:

    >>> dense = keras.layers.Dense(2)
    >>> dense.build((None, 3))
    >>> share_layer(dense, keras.layers.Dense).kernel is dense.kernel
    True
    """
    shared: Any = layer_class.__new__(layer_class)
    own = {name: value for name, value in vars(shared).items() if name in _OWN_ATTRIBUTES}
    vars(shared).update({**vars(layer), **own, "_inbound_nodes": [], "_outbound_nodes": []})
    if isinstance(shared, keras.Layer):
        signature = inspect.signature(shared.call)
        parameters = list(signature.parameters)
        vars(shared).update(_call_signature=signature, call_signature_parameters=parameters)
    return shared


def list_sublayers(layer: keras.Layer) -> list[keras.Layer]:
    """The layers that a layer or model is made of, in the order of its weights.

    Private: `keras.Layer._flatten_layers`.

    Why: models list their layers in public, other layers do not.

    When it breaks: look in `keras/src/layers/layer.py`, `weights`, for where it finds sublayers.

    Args:
        layer: Layer or model.

    Example:

    >>> [part.name for part in list_sublayers(keras.layers.TimeDistributed(keras.layers.ReLU()))]
    ['re_lu']
    """
    return list(layer._flatten_layers(include_self=False, recursive=False))


def run_graph(model: keras.Model, inputs: Any, wrap: Callable[[Any], Callable[..., Any]]) -> Any:
    """Runs the graph of a functional model with something else in the place of each layer.

    Private: `keras.Function._run_through_graph`.

    Why: `keras.models.clone_model` is the public way to go through a graph, but it makes
    symbolic tensors only.

    When it breaks: look in `keras/src/ops/function.py` for the loop over nodes in `call`.

    Args:
        model: Functional model.
        inputs: Values for its inputs.
        wrap: Maps each layer or operation of the graph to what is called in its place.
    """
    return model._run_through_graph(inputs, operation_fn=wrap)


def list_seed_generators(layer: keras.Layer) -> list[keras.random.SeedGenerator]:
    """The seed generators by which a layer and those in it draw in a graph of TensorFlow.

    Private: `keras.Layer._flatten_layers`, `_get_seed_generator` of preprocessing layers.

    Why: `Pipeline(augment=...)` makes draws depend on an image alone. Preprocessing layers take
    no seed when they are called, and some draw by layers that they hold.

    When it breaks: collect the attributes of the layer that are seed generators. The test says
    which layers draw otherwise.
    """
    generators = []
    for part in layer._flatten_layers():
        if hasattr(part, "generator") and hasattr(part, "_get_seed_generator"):
            generators.append(part._get_seed_generator("tensorflow"))
        held = vars(part).values()
        generators += [x for x in held if isinstance(x, keras.random.SeedGenerator)]
    return list({id(generator): generator for generator in generators}.values())
