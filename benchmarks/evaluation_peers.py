"""Views cut out of the pixels and convolved, each by itself: what SPP-net saves."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spp_keras.data import image_ops
from spp_keras.evaluation import protocols, views


class FromPixels:
    """A network's scores for the views of a protocol, all of them cut out of the pixels.

    Args:
        network: Model of the zoo from images to scores.
        parts: Which views of an image of a size, such as `Scorer.parts`; here none is pooled
            from a map.
        batch: Views that are convolved together at most; only those of one scaled image and of
            one size are.
    """

    def __init__(
        self,
        network: keras.Model,
        parts: Callable[[views.Size], list[protocols.ScaledViews]],
        batch: int,
    ):
        self._parts = parts
        self._batch = batch
        specification = tf.TensorSpec((None, None, None, 3), tf.float32)
        self._ask = tf.function(
            lambda crops: network(crops, training=False), [specification], autograph=False
        )

    def __call__(self, image: Any, size: views.Size) -> np.ndarray:
        """The mean of the scores of the views."""
        return self.each(image, size).mean(axis=0, dtype="float64").astype("float32")

    def each(self, image: Any, size: views.Size) -> np.ndarray:
        """Scores of each view, in the order of the parts."""
        size = (int(size[0]), int(size[1]))
        found = []
        for part in self._parts(size):
            pixels = _scaled(image, size, part.size).numpy()
            for some in self._batches(part):
                crops = np.stack([_crop(pixels, view) for view in some])
                found.append(self._ask(crops.astype("float32")).numpy())
        return np.concatenate(found)

    def _batches(self, part: protocols.ScaledViews) -> Iterator[Sequence[views.View]]:
        alike: list[views.View] = []
        for view in part.views:
            if alike and (len(alike) == self._batch or _extent(view) != _extent(alike[0])):
                yield alike
                alike = []
            alike.append(view)
        yield alike


@tf.function(
    input_signature=[
        tf.TensorSpec((), tf.string),
        tf.TensorSpec((2,), tf.int32),
        tf.TensorSpec((2,), tf.int32),
    ],
    autograph=False,
)
def _scaled(image: Any, size: Any, target: Any) -> tf.Tensor:
    return image_ops.decode_resized(image, size, target)


def _crop(pixels: np.ndarray, view: views.View) -> np.ndarray:
    left, top, right, bottom = view.window
    crop = pixels[top:bottom, left:right]
    return crop[:, ::-1] if view.mirrored else crop


def _extent(view: views.View) -> views.Size:
    left, top, right, bottom = view.window
    return bottom - top, right - left
