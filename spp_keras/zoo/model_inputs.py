"""The same network with further inputs: the sizes of padded images, or boxes."""

import keras

from spp_keras.models.graph_run import apply_model
from spp_keras.models.image_model import ImageModel
from spp_keras.zoo import image_sizes, model_parts


def with_sizes(model: keras.Model) -> keras.Model:
    """The same network with an input for sizes in its graph.

    A network of the zoo takes padded images with their sizes without it, see
    `ImageModel`. It serves `model.export`, which
    saves the signature of the graph, and plain functional models, cut
    from a network of the zoo or loaded from a file of 0.1.0, which have no input for
    sizes. The two models share their layers: training one trains the other.

    Args:
        model: Model of this zoo that takes any size, `spp_classifier`'s
            included, or a model made from one by cutting or adding layers at
            its end.

    Returns:
        An `ImageModel` with the inputs `{"images": (batch, height, width, 3),
        "sizes": (batch, 2)}`; `sizes` are height and width in pixels. It takes every
        other form as well.

    Example:

    >>> model = with_sizes(zf5_spp(classes=10, width=0.125))
    >>> padded = {"images": np.zeros((2, 64, 96, 3)), "sizes": np.array([[64, 50], [40, 96]])}
    >>> tuple(model(padded).shape)
    (2, 10)
    """
    images = keras.Input(model.inputs[0].shape[1:], name="images", dtype=model.inputs[0].dtype)
    sizes = keras.Input((2,), name="sizes", dtype="int32")
    return ImageModel(
        {"images": images, "sizes": sizes},
        apply_model(model, images, sizes),
        name=f"{model.name}_with_sizes",
    )


def with_boxes(model: keras.Model, bounding_box_format: str = "xyxy") -> keras.Model:
    """The same network for boxes: one feature map of an image, from which each box is pooled.

    The core of a detector. The two models share their layers but for the
    pooling, which has no weights: training one trains the other.

    Args:
        model: SPP network of this zoo with its top, or a model made from one by
            cutting or adding layers after its pyramid.
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
    parts = model_parts.split_model(model)
    images = parts.trunk.input
    boxes = keras.Input((None, 4), name="boxes", dtype="float32")
    pooling = model_parts.make_roi_pooling(parts, bounding_box_format)
    sizes = image_sizes.ImageSizes(name="image_sizes")(images) if pooling.shifts else None
    vectors = pooling(parts.trunk.output, boxes, image_sizes=sizes)
    scores = parts.apply_top(vectors)
    return ImageModel({"images": images, "boxes": boxes}, scores, name=f"{model.name}_with_boxes")
