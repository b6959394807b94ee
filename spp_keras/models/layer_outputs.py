"""Outputs of layers within a network for images of any size, each image's cells alone."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from spp_keras.models.image_model import ImageModel
from spp_keras.ops import _canvases, _inputs


def features(model: keras.Model, layers: str | Sequence[str]) -> Callable[[Any], Any]:
    """Makes a function from images of any size to the outputs of layers of a network.

    What an image gets is what it gets alone, whatever sizes are in its batch: the vector of a
    pyramid, or a feature map without the cells that padding makes.

    Args:
        model: Network of `spp_keras.any_size`, of the zoo or of `spp_keras.zoo.spp_classifier`;
            any other functional model for images of the sizes that it takes.
        layers: Name of a layer of the network, see `model.layers`, or several names.

    Returns:
        A function from images in every form of `spp_keras.models.ImageModel` to the output of
        the layer, or to a dictionary of outputs by names. Layers run in inference mode. Vectors,
        and maps of one size, are a tensor; maps of different sizes are a `tf.RaggedTensor`
        `(images, (rows), (columns), channels)`, or a list of arrays on other backends.

    Example:

    >>> extract = features(zf5_spp(classes=10, width=0.125), ["conv5", "spp"])
    >>> photographs = [np.zeros((120, 90, 3), "float32"), np.zeros((64, 96, 3), "float32")]
    >>> outputs = extract(tf.ragged.stack(photographs))
    >>> tuple(outputs["spp"].shape), [tuple(maps.shape) for maps in outputs["conv5"]]
    ((2, 1600), [(6, None, 32), (3, None, 32)])
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    outputs = [_get_output(model, name) for name in names]
    part = ImageModel(model.input, outputs, name=f"{model.name}_features")
    has_maps = [len(output.shape) == 4 for output in outputs]
    run = _make_function(part)

    @functools.cache
    def find_shapes(height: int, width: int) -> list[tuple[int, ...]]:
        image = keras.KerasTensor((1, height, width, model.inputs[0].shape[-1]))
        alone = keras.Model(model.input, outputs).compute_output_spec(image)
        return [tuple(spec.shape) for spec in keras.tree.flatten(alone)]

    def extract(images: Any) -> Any:
        if any(has_maps):
            images = _pad_images(images)
        values = keras.tree.flatten(run(images))
        sizes = images.get("sizes") if isinstance(images, dict) else None
        if sizes is not None:
            sizes = [tuple(map(int, size)) for size in keras.ops.convert_to_numpy(sizes)]
            for index in np.flatnonzero(has_maps):
                cells = np.array([find_shapes(*size)[index][1:3] for size in sizes])
                values[index] = _crop_maps(values[index], cells)
        return values[0] if isinstance(layers, str) else dict(zip(names, values, strict=True))

    return extract


def _get_output(model: keras.Model, name: str) -> Any:
    outputs = {
        layer.name: layer.output
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
        and isinstance(layer.output, keras.KerasTensor)
    }
    if name not in outputs:
        raise ValueError(
            f"`layers` must be names of layers of {model.name!r} with one output: "
            f"{', '.join(outputs)}. Received: {name!r}."
        )
    return outputs[name]


def _make_function(model: keras.Model) -> Callable[[Any], Any]:
    """The model in inference mode, on TensorFlow as a graph for all sizes."""

    def run(images: Any) -> Any:
        return model(images, training=False)

    if keras.backend.backend() != "tensorflow":
        return run
    import tensorflow as tf

    def relax(x: Any) -> Any:
        """The type of a tensor with any number of images, rows and columns."""
        shape = [*[None] * (len(x.shape) - 1), x.shape[-1]]
        if _inputs.is_ragged(x):
            return tf.RaggedTensorSpec(shape, x.dtype, x.ragged_rank, x.row_splits.dtype)
        return tf.TensorSpec(shape, x.dtype)

    # By the form of the images, as tracing takes long.
    functions: dict[str, Any] = {}

    def run_graph(images: Any) -> Any:
        signature = [tf.nest.map_structure(relax, images)]
        key = repr(signature)
        if key not in functions:
            functions[key] = tf.function(run, input_signature=signature, autograph=False)
        return functions[key](images)

    return run_graph


def _pad_images(images: Any) -> Any:
    """Images of one size, or `{"images", "sizes"}` with each at the top left of its canvas.

    Cells of a map then begin at its top left, too.
    """
    if isinstance(images, list | tuple) and len(images) == 2:
        is_packed = np.shape(images[1])[-1] == 5
        images = dict(zip(("images", "placements" if is_packed else "sizes"), images, strict=True))
    if isinstance(images, dict):
        placements, sizes = images.get("placements"), images.get("sizes")
        images = images["images"]
        if placements is not None:
            canvases = keras.ops.convert_to_tensor(images)
            placements = keras.ops.convert_to_tensor(placements, "int32")
            images, sizes = _canvases.unpack(canvases, placements)
    else:
        sizes = None
    if _inputs.is_ragged(images):
        images, sizes = _inputs.to_dense(images, "images")
    return images if sizes is None else {"images": images, "sizes": sizes}


def _crop_maps(maps: Any, cells: np.ndarray) -> Any:
    """Maps without the cells behind each one's rows and columns."""
    if (cells == cells[0]).all():
        return maps[:, : cells[0, 0], : cells[0, 1]]
    if keras.backend.backend() != "tensorflow":
        return [x[:rows, :columns] for x, (rows, columns) in zip(maps, cells, strict=True)]
    import tensorflow as tf

    rows, columns = (
        np.arange(side)[np.newaxis] < count[:, np.newaxis]
        for side, count in zip(maps.shape[1:3], cells.T, strict=True)
    )
    values = tf.boolean_mask(maps, rows[:, :, np.newaxis] & columns[:, np.newaxis])
    widths = np.repeat(cells[:, 1], cells[:, 0])
    return tf.RaggedTensor.from_nested_row_lengths(values, [cells[:, 0], widths])
