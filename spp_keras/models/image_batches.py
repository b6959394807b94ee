"""Batches as `fit` and `evaluate` get them: which of their tensors has one row for each image."""

from typing import Any

import keras
from keras import ops


def get_images(data: Any) -> Any:
    """The images of a batch as `fit` or `predict` gets it, or the canvases that hold them.

    Args:
        data: Inputs, or a tuple of inputs, labels and weights.

    Example:

    >>> get_images(({"images": "canvases", "placements": "places"}, "labels"))
    'canvases'
    """
    inputs = keras.utils.unpack_x_y_sample_weight(data)[0]
    if isinstance(inputs, dict):
        return inputs["images"]
    if isinstance(inputs, list | tuple):
        return inputs[1] if is_placements_first(inputs) else inputs[0]
    return inputs


def put_placements_first(data: Any) -> Any:
    """A batch whose first input has one row for each image.

    Keras takes the rows of the first input for the number of examples, by which it weighs the
    loss of a batch among the others. Canvases hold any number of images.

    Args:
        data: Inputs, or a tuple of inputs, labels and weights.

    Returns:
        The batch with `[placements, images]` as inputs where it has placements.

    Example:

    >>> inputs = {"images": np.zeros((1, 9, 9, 3)), "placements": np.array([[0, 0, 0, 4, 4]] * 2)}
    >>> put_placements_first((inputs, np.array([1, 0])))[0][0].shape
    (2, 5)
    """
    inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
    if isinstance(inputs, dict) and inputs.get("placements") is not None:
        inputs = [inputs["placements"], inputs["images"]]
    elif isinstance(inputs, list | tuple) and is_placements_first(inputs[::-1]):
        inputs = [inputs[1], inputs[0]]
    else:
        return data
    if inputs[0].shape[-1] is None:
        # By their shape `ImageModel` knows placements in a list.
        inputs[0] = ops.reshape(inputs[0], (-1, 5))
    return keras.utils.pack_x_y_sample_weight(inputs, labels, weights)


def is_placements_first(inputs: Any) -> bool:
    """Whether a list of inputs is `[placements, images]`.

    Args:
        inputs: List of arrays or tensors.
    """
    if len(inputs) != 2 or any(x is None for x in inputs):
        return False
    shape = getattr(inputs[0], "shape", None)
    return shape is not None and len(shape) == 2 and shape[-1] == 5


class WeighsByImages(keras.Model):
    """A model whose reported loss is the mean over images, however many canvases hold them.

    The batch is the last argument of a step on every backend.
    """

    def train_step(self, *args: Any) -> Any:
        return super().train_step(*args[:-1], put_placements_first(args[-1]))

    def test_step(self, *args: Any) -> Any:
        return super().test_step(*args[:-1], put_placements_first(args[-1]))
