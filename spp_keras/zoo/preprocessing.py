"""Preprocessing of pixels for the networks of `keras.applications`, as layers of the network."""

from typing import Any

import keras

from spp_keras.conversion import convert_cellwise, register_rule

# Of ImageNet: red, green, blue.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_MEAN_PIXEL = (123.68, 116.779, 103.939)


@keras.saving.register_keras_serializable(package="spp_keras")
class ReverseChannels(keras.layers.Layer):
    """RGB to BGR, for networks whose weights were trained by Caffe.

    Example:

    >>> ReverseChannels()(np.array([[[[1.0, 2.0, 3.0]]]])).numpy().tolist()
    [[[[3.0, 2.0, 1.0]]]]
    """

    # Each cell lies where the cell of the input lies, see `spp_keras.map_geometry`.
    keeps_cells = True

    def call(self, inputs: Any) -> Any:
        return keras.ops.flip(inputs, axis=-1)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(inputs.shape, self.compute_dtype)


register_rule(ReverseChannels, convert_cellwise)


def apply_preprocessing(images: Any, mode: str) -> Any:
    """Applies what `preprocess_input` of `keras.applications` does to pixels 0..255.

    Args:
        images: Symbolic images, RGB.
        mode: `"none"`, where the network has its preprocessing inside; `"tf"`, to -1..1;
            `"torch"`, standardized by ImageNet's colors; or `"caffe"`, BGR without ImageNet's
            mean.

    Example:

    >>> images = keras.Input((None, None, 3))
    >>> apply_preprocessing(images, "caffe").shape
    (None, None, None, 3)
    """
    if mode == "none":
        return images
    scale: Any = 1.0
    if mode == "tf":
        scale, offset = 1 / 127.5, [-1.0] * 3
    elif mode == "torch":
        scale = [1 / (255 * std) for std in _STD]
        offset = [-mean / std for mean, std in zip(_MEAN, _STD, strict=True)]
    else:
        offset = [-mean for mean in _MEAN_PIXEL]
    x = keras.layers.Rescaling(scale, offset, name="preprocessing")(images)
    return ReverseChannels(name="reverse_channels")(x) if mode == "caffe" else x
