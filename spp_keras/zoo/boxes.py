"""A model that answers for windows of an image, sharing the layers of one for whole images."""

import keras

from spp_keras.layers import (
    MixedSizeImages,
    RoiSpatialPyramidPooling,
    SpatialPyramidPooling,
    ValidCells,
)
from spp_keras.zoo import chains


def with_boxes(model: keras.Model, bounding_box_format: str = "xyxy") -> keras.Model:
    """The same network for windows: an image is convolved once, each window pooled from its map.

    What a detector is made of. The two models have the same layers but for the
    pooling, which has no weights: train one and the other is trained.

    Args:
        model: SPP network of this zoo with its top, or what follows from one by
            cutting or adding layers behind its pyramid.
        bounding_box_format: See `spp_keras.layers.RoiSpatialPyramidPooling`.
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
    layers = chains.layers_of(model)
    kinds = [type(layer) for layer in layers]
    if SpatialPyramidPooling not in kinds or ValidCells not in kinds:
        raise ValueError(
            "`model` must have a trunk of this zoo and the pyramid behind it, since it is the "
            f"trunk's table that says where cells lie. Received: model={model.name!r}."
        )
    pyramid = kinds.index(SpatialPyramidPooling)
    images = keras.Input(model.inputs[0].shape[1:], name="images", dtype=model.inputs[0].dtype)
    boxes = keras.Input((None, 4), name="boxes", dtype="float32")
    x, grid = images, None
    for layer in layers[:pyramid]:
        if isinstance(layer, ValidCells):
            grid = layer
        if isinstance(layer, MixedSizeImages | ValidCells):
            # Their other output says what part of a padded batch counts: here, all of it.
            x, _ = layer(x)
        else:
            x = layer(x)
    whole = layers[pyramid]
    windows = RoiSpatialPyramidPooling(
        grid.step,
        grid.first_centre,
        levels=whole.levels,
        mode=whole.mode,
        bounding_box_format=bounding_box_format,
        data_format=whole.data_format,
        dtype=whole.dtype_policy,
        name="roi_spp",
    )
    x = windows(x, boxes)
    for layer in layers[pyramid + 1 :]:
        x = layer(x)
    return keras.Model({"images": images, "boxes": boxes}, x, name=f"{model.name}_with_boxes")
