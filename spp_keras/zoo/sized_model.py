"""A model built for padded images with their sizes, sharing the layers of another."""

import keras

from spp_keras.zoo import layer_chain
from spp_keras.zoo.image_model import ImageModel


def with_sizes(model: keras.Model) -> keras.Model:
    """The same network with an input for sizes in its graph.

    A network of the zoo takes padded images with their sizes as it is, see
    `ImageModel`. This is for what must have the input itself: `model.export`, which
    saves the signature of the graph, and models that are plain functional ones, cut
    from one of the zoo or loaded from a file of 0.1.0, which have no place for
    sizes. The two models have the same layers: train one and the other is trained.

    Args:
        model: Model of this zoo that takes any size, `spp_classifier`'s
            included, or what follows from one by cutting or adding layers at
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
        layer_chain.apply_layers(model, images, sizes),
        name=f"{model.name}_with_sizes",
    )
