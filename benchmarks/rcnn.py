"""R-CNN, the rival: every window is cut out, warped to one size and convolved by itself."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from spp_keras.detection.detector import Detector

# Windows that go through the network at once. More are no quicker, and each takes as
# much memory as an image.
_AT_ONCE = 64
# Pixels of surroundings on each side of a warped window of 224.
_CONTEXT = 16 / 224


@keras.saving.register_keras_serializable(package="spp_keras")
class RegionDetector(Detector):
    """A `Detector` that convolves each window by itself, as R-CNN does.

    For comparison: the same network, head and proposals. A window is cut out
    with 16 pixels of context of 224, what lies outside the image is gray, and
    warped to `side` x `side`; the pyramid then pools the whole map. `scales` are
    not used. R-CNN as published also fine-tunes the convolutions, on warped
    windows; here they stay those of the network, as they do for `Detector`.

    Example:

    >>> trunk = zf5_spp(include_top=False, width=0.0625)
    >>> vectors = keras.Input((16,))
    >>> head = keras.Model(vectors, keras.layers.Dense(2, "sigmoid")(vectors))
    >>> detector = RegionDetector(
    ...     trunk, head, labels=["cat", "dog"], grid=(16, 14), levels=(1,), side=112
    ... )
    >>> boxes = np.array([[[0, 0, 70, 50], [75, 8, 110, 60]]], "float32")
    >>> found = detector((np.zeros((1, 64, 120, 3), "float32"), boxes))
    >>> int(found["count"][0])
    4
    """

    encodes_windows = True

    def encode(self, image: Any, boxes: Any = None) -> list[Any]:
        """The vectors of all boxes, behind that of the whole image."""
        size = tf.shape(image)[:2]
        whole = tf.cast(tf.concat([[0, 0], size[::-1]], axis=0), tf.float32)
        boxes = tf.concat([whole[tf.newaxis], tf.cast(boxes, tf.float32)], axis=0)
        count = tf.shape(boxes)[0]
        batches = (count + _AT_ONCE - 1) // _AT_ONCE
        at_once = (count + batches - 1) // batches
        boxes = tf.pad(boxes, [[0, batches * at_once - count], [0, 0]])
        vectors = tf.map_fn(
            lambda some: self._vectors(image, some),
            tf.reshape(boxes, (batches, at_once, 4)),
            fn_output_signature=self.roi_spp.compute_dtype,
            # One after the other: a batch keeps all cores busy.
            parallel_iterations=1,
        )
        return [tf.reshape(vectors, (-1, self.length))[:count]]

    def pool(self, encoded: Sequence[Any], boxes: Any, size: Any) -> tuple[Any, Any]:
        return encoded[0], tf.range(tf.shape(boxes)[0])

    def vectors(self, encoded: Sequence[Any], boxes: Any, which: Any, size: Any) -> Any:
        return tf.gather(encoded[0], which + 1)

    def numbers_encoded(self, size: tuple[int, int], windows: int) -> int:
        return (windows + 1) * self.length

    def proposals(self, encoded: Sequence[Any], size: Any) -> Any:
        raise ValueError("`boxes` must be given to R-CNN. Received: images alone.")

    def _vectors(self, image: Any, boxes: Any) -> Any:
        maps = self.trunk(warped(image, boxes, self.side), training=False)
        count, rows, columns, _ = tf.unstack(tf.shape(maps))
        whole = tf.repeat([[0, 0, rows, columns]], count, axis=0)
        return self.roi_spp.pool(maps, whole, tf.range(count))


def warped(image: Any, boxes: Any, side: int) -> Any:
    """Windows of an image `(height, width, 3)` with their context: `(n, side, side, 3)`."""
    extents = tf.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    margin = extents * (_CONTEXT / (1 - 2 * _CONTEXT))
    low, high = boxes[:, :2] - margin, boxes[:, 2:] + margin
    # Centers of the outermost pixels, as shares of the way between those of the image.
    half = (high - low) / (2 * side)
    between = tf.cast(tf.shape(image)[1::-1] - 1, tf.float32)
    low, high = ((edge - 0.5) / tf.maximum(between, 1.0) for edge in (low + half, high - half))
    return tf.image.crop_and_resize(
        image[tf.newaxis],
        tf.concat([low[:, ::-1], high[:, ::-1]], axis=1),
        tf.zeros_like(boxes[:, 0], tf.int32),
        (side, side),
        extrapolation_value=128.0,
    )
