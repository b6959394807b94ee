"""A model that answers for windows of an image, sharing the layers of one for whole images."""

from typing import Any, NamedTuple

import keras

from spp_keras import geometry
from spp_keras.layers import MaskPadding, PadRagged, RoISpatialPyramidPooling, SpatialPyramidPooling
from spp_keras.zoo import layer_chain
from spp_keras.zoo.image_model import ImageModel


class ModelParts(NamedTuple):
    """A network cut at its pyramid.

    Args:
        trunk: From images to maps.
        grid: Where the cells of the maps lie.
        pyramid: The pooling between the two.
        top: The layers behind it, in their order.
    """

    trunk: keras.Model
    grid: geometry.CellGrid
    pyramid: SpatialPyramidPooling
    top: tuple[keras.layers.Layer, ...]

    def answer(self, vectors: Any) -> Any:
        """What the top makes of pooled vectors."""
        for layer in self.top:
            vectors = layer(vectors)
        return vectors


def with_boxes(model: keras.Model, bounding_box_format: str = "xyxy") -> keras.Model:
    """The same network for windows: an image is convolved once, each window pooled from its map.

    What a detector is made of. The two models have the same layers but for the
    pooling, which has no weights: train one and the other is trained.

    Args:
        model: SPP network of this zoo with its top, or what follows from one by
            cutting or adding layers behind its pyramid.
        bounding_box_format: See `spp_keras.layers.RoISpatialPyramidPooling`.
            Defaults to `"xyxy"`, in pixels, ends exclusive.

    Returns:
        A `keras.Model` from `{"images": (batch, height, width, 3), "boxes":
        (batch, boxes, 4)}` to the scores of each box, `(batch, boxes, classes)`.

    Example:

    >>> model = with_boxes(zf5_spp(classes=10, width=0.125))
    >>> boxes = np.array([[[0, 0, 96, 64], [20, 8, 70, 60]]])
    >>> tuple(model({"images": np.zeros((1, 64, 96, 3)), "boxes": boxes}).shape)
    (1, 2, 10)
    """
    halves = split_model(model)
    images = halves.trunk.input
    boxes = keras.Input((None, 4), name="boxes", dtype="float32")
    pooled = make_roi_pooling(halves, bounding_box_format)(halves.trunk.output, boxes)
    scores = halves.answer(pooled)
    return ImageModel({"images": images, "boxes": boxes}, scores, name=f"{model.name}_with_boxes")


def split_model(model: keras.Model) -> ModelParts:
    """Cuts a network of this zoo at its pyramid; the halves have its layers.

    Args:
        model: As for `with_boxes`.

    Example:

    >>> halves = split_model(zf5_spp(classes=10, width=0.125))
    >>> tuple(halves.trunk(np.zeros((1, 224, 224, 3))).shape), halves.grid.stride
    ((1, 13, 13, 32), 16)
    """
    layers = layer_chain.list_layers(model)
    kinds = [type(layer) for layer in layers]
    if SpatialPyramidPooling not in kinds or MaskPadding not in kinds:
        raise ValueError(
            "`model` must have a trunk of this zoo and the pyramid behind it, since it is the "
            f"trunk's table that says where cells lie. Received: model={model.name!r}."
        )
    pyramid = kinds.index(SpatialPyramidPooling)
    # Not ragged: windows are of images that are there as a whole.
    images = keras.Input(model.inputs[0].shape[1:], name="images", dtype=model.inputs[0].dtype)
    trunk = keras.Model(images, _maps(images, layers[:pyramid]), name=f"{model.name}_trunk")
    grid = [layer for layer in layers[:pyramid] if isinstance(layer, MaskPadding)][-1]
    return ModelParts(
        trunk,
        geometry.CellGrid(grid.stride, grid.first_center, grid.ceil_excess),
        layers[pyramid],
        tuple(layers[pyramid + 1 :]),
    )


def make_roi_pooling(
    halves: ModelParts, bounding_box_format: str = "xyxy"
) -> RoISpatialPyramidPooling:
    """The layer that pools windows as the pyramid of a network pools whole maps.

    Args:
        halves: The network, see `split_model`.
        bounding_box_format: As for `with_boxes`. Defaults to `"xyxy"`.

    Example:

    >>> pool = make_roi_pooling(split_model(zf5_spp(classes=10, width=0.125)))
    >>> tuple(pool(np.zeros((1, 13, 13, 32)), np.array([[[0, 0, 96, 64]]])).shape)
    (1, 1, 1600)
    """
    whole = halves.pyramid
    return RoISpatialPyramidPooling(
        *halves.grid,
        levels=whole.levels,
        mode=whole.mode,
        bounding_box_format=bounding_box_format,
        data_format=whole.data_format,
        dtype=whole.dtype_policy,
        name="roi_spp",
    )


def _maps(x: Any, layers: list[keras.layers.Layer]) -> Any:
    for layer in layers:
        if isinstance(layer, PadRagged | MaskPadding):
            # Their other output says what part of a padded batch counts: here, all of it.
            x, _ = layer(x)
        else:
            x = layer(x)
    return x
