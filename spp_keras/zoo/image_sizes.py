"""A layer for the sizes of images in the graph of a network."""

from typing import Any

import keras

from spp_keras.ops import _inputs


@keras.saving.register_keras_serializable(package="spp_keras")
class ImageSizes(keras.layers.Layer):
    """Height and width of each image of a batch of one size, for layers that need them.

    Call arguments:
        images: Tensor `(batch, height, width, channels)`.

    Output shape:
        int32 `(batch, 2)`.

    Example:

    >>> np.array(ImageSizes()(np.zeros((2, 5, 8, 3)))).tolist()
    [[5, 8], [5, 8]]
    """

    def __init__(self, **kwargs: Any):
        # Pixels are not read, so there is nothing to cast.
        super().__init__(autocast=False, **kwargs)

    def call(self, images: Any) -> Any:
        return _inputs.full_sizes(images)

    def compute_output_spec(self, images: Any) -> Any:
        return keras.KerasTensor((images.shape[0], 2), "int32")
