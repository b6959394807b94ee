"""Windows that may hold an object, found on the feature map."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _checks, geometry
from spp_keras.ops import clip_boxes, decode_boxes, nms


@keras.saving.register_keras_serializable(package="spp_keras")
class RegionProposalNetwork(keras.layers.Layer):
    """Scores windows of several sizes and shapes around every cell, of no class in particular.

    With it a detector needs nothing but the image.

    Reference:

    - [Ren et al., 2015](https://arxiv.org/abs/1506.01497), for a network of convolutions
      that proposes windows.

    Args:
        filters: Channels between the map and the scores. Defaults to 256.
        anchor_sizes: Sides of squares, in pixels of the scaled image, around every cell.
            Defaults to `(64, 128, 256, 512)`.
        aspect_ratios: Height over width of what these squares are stretched to.
            Defaults to `(0.5, 1.0, 2.0)`.
        max_proposals: How many windows are proposed at most. Defaults to 300.
        iou_threshold: Intersection over union above which the lesser of two is
            dropped. Defaults to 0.7.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        maps: Tensor `(1, rows, columns, channels)`.

    Returns:
        Logits `(n,)` and corrections `(n, 4)` of the windows that `anchors` gives.

    Example:

    >>> proposer = RegionProposalNetwork(filters=8, max_proposals=50)
    >>> grid = geometry.CellGrid(16, 14)
    >>> boxes = proposer.propose(tf.zeros((1, 13, 13, 4)), grid, tf.constant([224, 224]))
    >>> int(tf.shape(boxes)[0]) <= 50
    True
    """

    def __init__(
        self,
        filters: int = 256,
        *,
        anchor_sizes: Sequence[float] = (64, 128, 256, 512),
        aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
        max_proposals: int = 300,
        iou_threshold: float = 0.7,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = _checks.at_least(filters, 1, "filters")
        self.anchor_sizes = tuple(
            _checks.positive(anchor_size, "anchor_sizes") for anchor_size in anchor_sizes
        )
        self.aspect_ratios = tuple(
            _checks.positive(aspect_ratio, "aspect_ratios") for aspect_ratio in aspect_ratios
        )
        self.max_proposals = _checks.at_least(max_proposals, 1, "max_proposals")
        self.iou_threshold = _checks.fraction(iou_threshold, "iou_threshold")
        number = len(self.anchor_sizes) * len(self.aspect_ratios)
        self._hidden = keras.layers.Conv2D(
            self.filters,
            3,
            padding="same",
            activation="relu",
            name="hidden",
            dtype=self.dtype_policy,
        )
        self._last = keras.layers.Conv2D(5 * number, 1, name="last", dtype=self.dtype_policy)

    def build(self, maps_shape: Any) -> None:
        self._hidden.build(maps_shape)
        self._last.build((*maps_shape[:-1], self.filters))

    def call(self, maps: Any) -> Any:
        # The convolution is of stride 1, so that "same" pads alike on both sides.
        outputs = tf.reshape(self._last(self._hidden(maps)), (-1, 5))
        outputs = tf.cast(outputs, tf.float32)
        return outputs[:, 0], outputs[:, 1:]

    def anchors(self, rows: Any, columns: Any, grid: geometry.CellGrid) -> Any:
        """The windows themselves: `(rows * columns * sides * aspects, 4)`, cell by cell."""
        shapes = np.array(
            [
                (anchor_size / aspect_ratio**0.5, anchor_size * aspect_ratio**0.5)
                for anchor_size in self.anchor_sizes
                for aspect_ratio in self.aspect_ratios
            ]
        )
        shapes = np.concatenate([-shapes, shapes], axis=1) / 2
        x, y = (
            tf.cast(tf.range(count), tf.float32) * grid.stride + grid.first_center + 0.5
            for count in (columns, rows)
        )
        x, y = tf.meshgrid(x, y)
        centers = tf.reshape(tf.stack([x, y, x, y], axis=-1), (-1, 1, 4))
        return tf.reshape(centers + tf.constant(shapes, tf.float32), (-1, 4))

    def propose(self, maps: Any, grid: geometry.CellGrid, size: Any) -> Any:
        """The best windows, `(n, 4)`, inside a scaled image of that height and width."""
        logits, deltas = self(maps)
        rows, columns = tf.unstack(tf.shape(maps)[1:3])
        boxes = self.anchors(rows, columns, grid)
        # As many again for what suppression takes away.
        number = tf.minimum(4 * self.max_proposals, tf.shape(logits)[0])
        logits, best = tf.math.top_k(logits, number)
        boxes = clip_boxes(decode_boxes(tf.gather(boxes, best), tf.gather(deltas, best)), size)
        kept, count = nms(boxes, logits, self.max_proposals, self.iou_threshold)
        return tf.gather(boxes, kept[:count])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "anchor_sizes": self.anchor_sizes,
            "aspect_ratios": self.aspect_ratios,
            "max_proposals": self.max_proposals,
            "iou_threshold": self.iou_threshold,
        }
