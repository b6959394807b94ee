"""A network cut at its pooling, into a trunk and a top."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from spp_keras import geometry
from spp_keras.layers import (
    MaskPadding,
    PadRagged,
    PerImage,
    RoISpatialPyramidPooling,
    SpatialPyramidPooling,
)
from spp_keras.zoo import layer_chain

_POOLING = (SpatialPyramidPooling, PerImage, keras.layers.Flatten)


class ModelParts(NamedTuple):
    """A network cut at its pooling. The parts have its layers.

    Args:
        trunk: Model from images of one size to feature maps.
        pooling: Layer from feature maps to vectors: a pyramid, `PerImage`, which applies a
            backbone first, or `Flatten`.
        top: Layers after the pooling, in their order.
        cell_grid: Grid of the feature maps, `None` where the trunk is not one of this zoo.
    """

    trunk: keras.Model
    pooling: keras.layers.Layer
    top: tuple[keras.layers.Layer, ...]
    cell_grid: geometry.CellGrid | None

    @property
    def grid(self) -> geometry.CellGrid:
        """Grid of the feature maps; an error where the trunk is not one of this zoo."""
        if self.cell_grid is None:
            raise ValueError(
                "`model` must have a trunk of this zoo, whose table says where cells lie. "
                f"Received: a model with the trunk {self.trunk.name!r}."
            )
        return self.cell_grid

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
    types = [type(layer) for layer in layer_chain.list_layers(model)]
    if SpatialPyramidPooling not in types or MaskPadding not in types:
        raise ValueError(
            "`model` must have a trunk of this zoo and a pyramid after it, since the trunk's "
            f"table says where cells lie. Received: model={model.name!r}."
        )
    return split_at_pooling(model)


def split_at_pooling(model: keras.Model) -> ModelParts:
    """Cuts a network at the layer that turns feature maps into vectors.

    Args:
        model: Network of this zoo with or without a pyramid, or one of `spp_classifier`.

    Example:

    >>> parts = split_at_pooling(zf5(classes=10, width=0.125))
    >>> parts.pooling.name, parts.top[0].name
    ('flatten', 'fc6')
    """
    indices = [i for i, layer in enumerate(model.layers) if isinstance(layer, _POOLING)]
    if not indices:
        raise ValueError(
            "`model` must pool by a pyramid or by `Flatten`, as the networks of this zoo and of "
            f"`spp_classifier` do. Received: model={model.name!r}."
        )
    pooling, top = model.layers[indices[0]], model.layers[indices[0] + 1 :]
    if not any(isinstance(layer, PadRagged) for layer in model.layers):
        return ModelParts(keras.Model(model.input, pooling.input), pooling, tuple(top), None)
    layers = layer_chain.list_layers(model)
    trunk_layers = layers[: layers.index(pooling)]
    grids = [
        geometry.CellGrid(layer.stride, layer.first_center, layer.ceil_excess)
        for layer in trunk_layers
        if isinstance(layer, MaskPadding)
    ]
    # An input for images of one size: ragged ones would have to be padded first.
    images = keras.Input(model.inputs[0].shape[1:], name="images", dtype=model.inputs[0].dtype)
    trunk = keras.Model(images, _apply(images, trunk_layers), name=f"{model.name}_trunk")
    return ModelParts(trunk, pooling, tuple(top), grids[-1] if grids else None)


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
        *parts.grid,
        levels=pyramid.levels,
        mode=pyramid.mode,
        bounding_box_format=bounding_box_format,
        data_format=pyramid.data_format,
        dtype=pyramid.dtype_policy,
        name="roi_spp",
    )


def _apply(x: Any, layers: Sequence[keras.layers.Layer]) -> Any:
    for layer in layers:
        if isinstance(layer, PadRagged | MaskPadding):
            # The other output says which part of a padded batch counts: here, all of it.
            x, _ = layer(x)
        else:
            x = layer(x)
    return x
