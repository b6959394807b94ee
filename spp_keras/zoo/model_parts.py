"""A network cut at its pooling, into a trunk and a top."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from spp_keras import geometry
from spp_keras.layers import (
    PadRagged,
    PerImage,
    RoISpatialPyramidPooling,
    SpatialPyramidPooling,
)
from spp_keras.models.graph_run import apply_model

_POOLING = (SpatialPyramidPooling, PerImage, keras.layers.Flatten)
_GLOBAL_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)


class ModelParts(NamedTuple):
    """A network cut at its pooling. The parts have its layers.

    Args:
        trunk: Model from images of one size to feature maps.
        pooling: Layer from feature maps to vectors: a pyramid, `PerImage`, which applies a
            backbone first, `Flatten`, or global pooling.
        top: Layers after the pooling, in their order.
    """

    trunk: keras.Model
    pooling: keras.layers.Layer
    top: tuple[keras.layers.Layer, ...]

    @property
    def grid(self) -> geometry.CellGrid:
        """Grid of the feature maps, read from the layers of the trunk on each access."""
        return geometry.CellGrid.of(self.trunk)

    def pool(self, images: Any) -> Any:
        """Vectors of images of one size."""
        return self.pooling(self.trunk(images))

    def apply_top(self, vectors: Any) -> Any:
        """Outputs of the network for pooled vectors."""
        return _apply(vectors, self.top)

    def apply_hidden(self, vectors: Any) -> Any:
        """Inputs of the last layer for pooled vectors."""
        return _apply(vectors, self.top[:-1])


def split_model(model: keras.Model) -> ModelParts:
    """Cuts a network with a trunk of this zoo at its pyramid.

    Args:
        model: SPP network of this zoo, or a model made from one by cutting or adding layers
            after its pyramid.

    Example:

    >>> parts = split_model(zf5_spp(classes=10, width=0.125))
    >>> tuple(parts.trunk(np.zeros((1, 224, 224, 3))).shape), parts.grid.stride
    ((1, 13, 13, 32), 16)
    """
    parts = split_at_pooling(model)
    if not isinstance(parts.pooling, SpatialPyramidPooling):
        raise ValueError(
            "`model` must have a pyramid, `SpatialPyramidPooling`, behind its trunk. "
            f"Received: model={model.name!r}, which pools by {type(parts.pooling).__name__}."
        )
    return parts


def split_at_pooling(model: keras.Model) -> ModelParts:
    """Cuts a network at the layer that turns feature maps into vectors.

    Args:
        model: Network of this zoo with or without a pyramid, one of `spp_classifier`, or one
            with global pooling in front of layers in a row.

    Example:

    >>> parts = split_at_pooling(zf5(classes=10, width=0.125))
    >>> parts.pooling.name, parts.top[0].name
    ('flatten', 'fc6')
    """
    pooling, top = find_top(model)
    maps = keras.tree.flatten(pooling.input)[0]
    trunk = keras.Model(model.input, maps, name=f"{model.name}_trunk")
    if any(isinstance(layer, PadRagged) for layer in model.layers):
        # With an input for images of one size: ragged ones would have to be padded first.
        first = model.inputs[0]
        images = keras.Input(first.shape[1:], name="images", dtype=first.dtype)
        trunk = keras.Model(images, apply_model(trunk, images), name=trunk.name)
    return ModelParts(trunk, pooling, top)


def find_top(model: keras.Model) -> tuple[keras.layers.Layer, tuple[keras.layers.Layer, ...]]:
    """The layer that turns feature maps into vectors, and those behind it in their order.

    Args:
        model: Network as for `split_at_pooling`.

    Example:

    >>> pooling, top = find_top(zf5_spp(classes=10, width=0.125))
    >>> pooling.name, top[-1].name
    ('spp', 'predictions')
    """
    layers = model.layers
    indices = [i for i, layer in enumerate(layers) if isinstance(layer, _POOLING)]
    if not indices:
        # The last one: squeeze-and-excite pools, too.
        indices = [i for i, layer in enumerate(layers) if isinstance(layer, _GLOBAL_POOLING)][-1:]
    if not indices or not _is_row(layers[indices[0] :], model.outputs):
        raise ValueError(
            "`model` must pool by a pyramid, by `Flatten` or globally, with layers in a row behind "
            "that, as the networks of this zoo and of `spp_classifier` do. "
            f"Received: model={model.name!r}."
        )
    return layers[indices[0]], tuple(layers[indices[0] + 1 :])


def make_roi_pooling(
    parts: ModelParts, bounding_box_format: str = "xyxy"
) -> RoISpatialPyramidPooling:
    """The layer that pools boxes as the pyramid of a network pools whole feature maps.

    Args:
        parts: The network, see `split_model`.
        bounding_box_format: See `spp_keras.layers.RoISpatialPyramidPooling`. Defaults to
            `"xyxy"`.

    Example:

    >>> pool = make_roi_pooling(split_model(zf5_spp(classes=10, width=0.125)))
    >>> tuple(pool(np.zeros((1, 13, 13, 32)), np.array([[[0, 0, 96, 64]]])).shape)
    (1, 1, 1600)
    """
    pyramid = parts.pooling
    return RoISpatialPyramidPooling(
        **parts.grid._asdict(),
        levels=pyramid.levels,
        mode=pyramid.mode,
        bounding_box_format=bounding_box_format,
        data_format=pyramid.data_format,
        dtype=pyramid.dtype_policy,
        name="roi_spp",
    )


def _is_row(layers: Sequence[keras.layers.Layer], outputs: Sequence[Any]) -> bool:
    """Whether each layer takes what the one before it gives, and the last one gives the outputs."""
    in_row = all(after.input is before.output for before, after in itertools.pairwise(layers))
    return in_row and len(outputs) == 1 and layers[-1].output is outputs[0]


def _apply(x: Any, layers: Sequence[keras.layers.Layer]) -> Any:
    for layer in layers:
        x = layer(x)
    return x
