"""Any Keras CNN for images of any size, by one transformation of its graph."""

from collections.abc import Sequence
from typing import Any

import keras

from spp_keras.canvas_rules import CanvasRules
from spp_keras.conversion.graph_builder import FeatureMap, GraphBuilder
from spp_keras.conversion.graph_walk import as_functional, convert_graph
from spp_keras.conversion.placement_layers import UnpackImages
from spp_keras.layers import PadRagged, PerImage
from spp_keras.models.image_model import ImageModel


def any_size(model: keras.Model, *, per_image: bool = False, name: str | None = None) -> ImageModel:
    """Makes a Keras CNN take images of any size, each answered as if it were alone.

    The result shares the variables of `model`: training or loading one changes the other. Its
    layers have the same names. Batches of one size run through the same operations as in
    `model`. In batches of mixed sizes, what lies beyond an image is kept away from it.

    `GlobalAveragePooling2D` and `GlobalMaxPooling2D` pool each image. `Flatten` of a map of
    n x n cells becomes a pyramid level of n x n bins: the same answers at the size that
    the model was built for, and answers at every other size.

    Args:
        model: Functional or sequential model from one batch of images, channels last. Its
            input may have one size; the result takes all.
        per_image: Whether to run a model that has a layer without a rule on one image at a time
            instead of refusing it: slowly, always in inference mode, and on the TensorFlow
            backend. Its input has to take any size and its output has to be one vector.
            Defaults to `False`.
        name: Name of the result. Defaults to that of `model`.

    Returns:
        An `ImageModel`: it takes dense, ragged and padded batches, and canvases with several
        images.

    Raises:
        ValueError: Where a layer has no rule and cannot be opened, with its name. See
            `spp_keras.register_rule`.

    Example:

    >>> inputs = keras.Input((32, 32, 3))
    >>> x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(inputs)
    >>> outputs = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x))
    >>> model = any_size(keras.Model(inputs, outputs))
    >>> images = tf.ragged.stack([np.ones((33, 20, 3), "float32"), np.ones((9, 50, 3), "float32")])
    >>> tuple(model(images).shape)
    (2, 5)
    """
    channels, _ = _check_input(model)
    shape, name = (None, None, channels), name or model.name
    try:
        return convert_model(model, shape, name)
    except ValueError as error:
        if not per_image:
            raise
        _check_per_image(model, error)
    images, canvases, placements, entrance = _make_entrance(model, shape)
    # Each image is cut out: they may touch.
    entrance.canvas_rules = CanvasRules()
    maps, sizes = UnpackImages(name="single_images")(canvases, placements)
    outputs = PerImage(model, name="per_image")(maps, sizes=sizes)
    return ImageModel(images, outputs, name=name)


def _check_per_image(model: keras.Model, error: ValueError) -> None:
    """Raises unless a model that cannot be converted can run on one image at a time."""
    inputs, outputs = tuple(model.inputs[0].shape), as_functional(model).output
    is_vector = isinstance(outputs, keras.KerasTensor) and len(outputs.shape) == 2
    if inputs[1:3] != (None, None) or not is_vector:
        raise ValueError(
            "`per_image=True` needs a model that takes images of any size, (None, None, channels), "
            f"and gives one vector for each. Received: model={model.name!r} with an input of the "
            f"shape {inputs} and the outputs {outputs}, which cannot be converted: {error}"
        ) from error


def convert_model(model: keras.Model, input_shape: Sequence[int | None], name: str) -> ImageModel:
    """`any_size` with another input shape: one size, if need be."""
    model = as_functional(model)
    images, canvases, placements, entrance = _make_entrance(model, input_shape)
    graph = GraphBuilder(placements)
    operations = getattr(model, "operations", model.layers)
    graph.reserve_names(x.name for x in operations if not isinstance(x, keras.layers.InputLayer))
    outputs = [
        graph.unpack(y) if isinstance(y, FeatureMap) else y
        for y in convert_graph(graph, model, [FeatureMap(canvases)])
    ]
    entrance.min_size, entrance.canvas_rules, entrance.equal_cells = graph.requirements.resolve()
    packed = keras.tree.pack_sequence_as(model.output, outputs)
    result = ImageModel(images, packed, name=name)
    order = dict.fromkeys(graph.list_shared_names(model))
    if [*order] != [layer.name for layer in result.layers if layer.weights]:
        entrance.layer_order = tuple(order)
        # Keras lists weights in the order that layers had when a model was made.
        result = ImageModel(images, packed, name=name)
    return result


def _make_entrance(model: keras.Model, input_shape: Sequence[int | None]) -> tuple[Any, ...]:
    """Images, canvases, placements, and the layer that makes the latter of the former."""
    _, dtype = _check_input(model)
    ragged = {"ragged": True} if keras.backend.backend() == "tensorflow" else {}
    images = keras.Input(input_shape, dtype=dtype, name="images", **ragged)
    entrance = PadRagged(name="mixed_sizes")
    canvases, placements = entrance(images)
    return images, canvases, placements, entrance


def _check_input(model: Any) -> tuple[int, str]:
    """Channels and type of the images that a model takes."""
    name = getattr(model, "name", model)
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a `keras.Model`. Received: model={name!r}.")
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise ValueError(
            "`model` must be functional, or sequential and built, as its graph is read: give it a "
            f"`keras.Input` with the shape of its images. Received: model={name!r} of class "
            f"{type(model).__name__}."
        )
    shapes = [tuple(tensor.shape) for tensor in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ValueError(
            "`model` must have one input, images (batch, height, width, channels). Of a model with "
            "more inputs convert the part that maps images, and put the rest behind it. "
            f"Received: model={name!r} with inputs of the shapes {shapes}."
        )
    if shapes[0][-1] is None:
        raise ValueError(
            "`model` must take images with channels last, and state how many: (batch, height, "
            f"width, channels). Received: model={name!r} with an input of the shape {shapes[0]}."
        )
    if any(isinstance(layer, PadRagged) for layer in model.layers):
        raise ValueError(
            f"`model` takes images of any size already. Received: model={name!r}, a network of "
            "`any_size` or of the zoo."
        )
    return shapes[0][-1], inputs[0].dtype
