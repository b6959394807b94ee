"""A model that takes padded images and their sizes, sharing the layers of one that does not."""

import keras

from spp_keras.zoo import chains
from spp_keras.zoo.image_model import ImageModel


def with_sizes(model: keras.Model) -> keras.Model:
    """The same network for padded images with their sizes.

    `tf.distribute` and TF Serving split dense tensors, not ragged ones: they
    send images of mixed sizes padded to one, and say what part of each counts.
    The two models have the same layers: train one and the other is trained.

    Args:
        model: Model of this zoo that takes any size, `spp_classifier`'s
            included, or what follows from one by cutting or adding layers at
            its end.

    Returns:
        A `keras.Model` with the inputs `{"images": (batch, height, width, 3),
        "sizes": (batch, 2)}`; `sizes` are height and width in pixels.

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
        chains.answer(model, images, sizes),
        name=f"{model.name}_with_sizes",
    )
