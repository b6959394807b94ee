"""Any Keras CNN for images of any size, by one transformation of its graph."""

from collections.abc import Sequence
from typing import Any

import keras

from spp_keras.conversion.graph_builder import FeatureMap, GraphBuilder
from spp_keras.conversion.graph_walk import as_functional, convert_graph
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
    except ValueError:
        if not per_image:
            raise
    images, canvases, placements, _ = _make_entrance(model, shape)
    outputs = PerImage(model, name="per_image")(canvases, sizes=placements)
    return ImageModel(images, outputs, name=name)


def convert_model(model: keras.Model, input_shape: Sequence[int | None], name: str) -> ImageModel:
    """`any_size` with another input shape: one size, if need be."""
    model = as_functional(model)
    images, canvases, placements, entrance = _make_entrance(model, input_shape)
    graph = GraphBuilder(placements)
    operations = getattr(model, "operations", model.layers)
    graph.reserve_names(x.name for x in operations if not isinstance(x, keras.layers.InputLayer))
    outputs = [
        graph.unpack(y)[0] if isinstance(y, FeatureMap) else y
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
    inputs: Sequence[Any] = getattr(model, "inputs", None) or ()
    shapes = [tuple(tensor.shape) for tensor in inputs]
    if not isinstance(model, keras.Model) or len(shapes) != 1 or len(shapes[0]) != 4:
        raise ValueError(
            "`model` must be a built `keras.Model` with one input, images (batch, height, width, "
            f"channels). Received: model={getattr(model, 'name', model)!r} with inputs of the "
            f"shapes {shapes}."
        )
    if shapes[0][-1] is None:
        raise ValueError(
            f"`model` must state its number of channels. Received: {model.name!r} with an input "
            f"of the shape {shapes[0]}."
        )
    return shapes[0][-1], inputs[0].dtype
