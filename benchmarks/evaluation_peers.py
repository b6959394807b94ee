"""Views cropped from the pixels and convolved one by one, which SPP-net saves."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spp_keras.data import image_ops
from spp_keras.evaluation import protocols, views


class FromPixels:
    """A network's scores for the views of a protocol, all of them cropped from the pixels.

    Args:
        network: Model of the zoo from images to scores.
        list_views: Lists the views of an image of a size, such as `Scorer.list_views`; none is
            pooled from a feature map here.
        batch: Maximum number of views that are convolved together; only views of one scaled
            image and of one size are.
    """

    def __init__(
        self,
        network: keras.Model,
        list_views: Callable[[views.Size], list[protocols.ScaledViews]],
        batch: int,
    ):
        self._list_views = list_views
        self._batch = batch
        specification = tf.TensorSpec((None, None, None, 3), tf.float32)
        self._score_crops = tf.function(
            lambda crops: network(crops, training=False), [specification], autograph=False
        )

    def __call__(self, image: Any, size: views.Size) -> np.ndarray:
        """The mean of the scores of the views."""
        return self.score_views(image, size).mean(axis=0, dtype="float64").astype("float32")

    def score_views(self, image: Any, size: views.Size) -> np.ndarray:
        """Scores of each view, in the order of `list_views`."""
        size = (int(size[0]), int(size[1]))
        scores = []
        for scaled in self._list_views(size):
            pixels = _decode_scaled(image, size, scaled.size).numpy()
            for batch in self._list_batches(scaled):
                crops = np.stack([_crop(pixels, view) for view in batch])
                scores.append(self._score_crops(crops.astype("float32")).numpy())
        return np.concatenate(scores)

    def _list_batches(self, scaled: protocols.ScaledViews) -> Iterator[Sequence[views.View]]:
        batch: list[views.View] = []
        for view in scaled.views:
            if batch and (len(batch) == self._batch or _view_size(view) != _view_size(batch[0])):
                yield batch
                batch = []
            batch.append(view)
        yield batch


@tf.function(
    input_signature=[
        tf.TensorSpec((), tf.string),
        tf.TensorSpec((2,), tf.int32),
        tf.TensorSpec((2,), tf.int32),
    ],
    autograph=False,
)
def _decode_scaled(image: Any, size: Any, target: Any) -> tf.Tensor:
    return image_ops.decode_resized(image, size, target)


def _crop(pixels: np.ndarray, view: views.View) -> np.ndarray:
    left, top, right, bottom = view.window
    crop = pixels[top:bottom, left:right]
    return crop[:, ::-1] if view.mirrored else crop


def _view_size(view: views.View) -> views.Size:
    left, top, right, bottom = view.window
    return bottom - top, right - left
