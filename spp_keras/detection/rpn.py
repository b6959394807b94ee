"""A layer that proposes boxes from the feature map."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _checks, geometry
from spp_keras.ops import _box_windows, clip_boxes, decode_boxes, nms

# Candidates for non-maximum suppression, per proposal.
_CANDIDATES_PER_PROPOSAL = 4


@keras.saving.register_keras_serializable(package="spp_keras")
class RegionProposalNetwork(keras.layers.Layer):
    """Proposes boxes that may hold an object of any class, from anchors around every cell.

    A detector with this layer needs nothing but the image.

    Reference:

    - [Ren et al., 2015](https://arxiv.org/abs/1506.01497)

    Args:
        filters: Channels of the hidden convolution. Defaults to 256.
        anchor_sizes: Sides of square anchors, in pixels of the scaled image. Defaults to
            `(64, 128, 256, 512)`.
        aspect_ratios: Height over width that each of them is stretched to, at the same
            area. Defaults to `(0.5, 1.0, 2.0)`.
        max_proposals: Most proposals. Defaults to 300.
        iou_threshold: Intersection over union above which non-maximum suppression drops
            the lower of two proposals. Defaults to 0.7.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        feature_map: Tensor `(1, rows, columns, channels)`.

    Returns:
        Logits `(n,)` and box deltas `(n, 4)` of the boxes of `anchors`.

    Example:

    >>> rpn = RegionProposalNetwork(filters=8, max_proposals=50)
    >>> grid = geometry.CellGrid(16, 14)
    >>> boxes = rpn.propose(tf.zeros((1, 13, 13, 4)), grid, tf.constant([224, 224]))
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
        self.anchor_sizes = tuple(_checks.positive(size, "anchor_sizes") for size in anchor_sizes)
        self.aspect_ratios = tuple(
            _checks.positive(ratio, "aspect_ratios") for ratio in aspect_ratios
        )
        self.max_proposals = _checks.at_least(max_proposals, 1, "max_proposals")
        self.iou_threshold = _checks.fraction(iou_threshold, "iou_threshold")
        anchors_per_cell = len(self.anchor_sizes) * len(self.aspect_ratios)
        self._hidden = keras.layers.Conv2D(
            self.filters,
            3,
            padding="same",
            activation="relu",
            name="hidden",
            dtype=self.dtype_policy,
        )
        self._last = keras.layers.Conv2D(
            5 * anchors_per_cell, 1, name="last", dtype=self.dtype_policy
        )

    def build(self, feature_map_shape: Any) -> None:
        self._hidden.build(feature_map_shape)
        self._last.build((*feature_map_shape[:-1], self.filters))

    def call(self, feature_map: Any) -> Any:
        # At stride 1, "same" pads both sides alike.
        outputs = tf.reshape(self._last(self._hidden(feature_map)), (-1, 5))
        outputs = tf.cast(outputs, tf.float32)
        return outputs[:, 0], outputs[:, 1:]

    def anchors(
        self, rows: Any, columns: Any, grid: geometry.CellGrid, image_size: Any = None
    ) -> Any:
        """The anchors of a feature map, `(rows * columns * sizes * ratios, 4)`, cell by cell.

        Args:
            rows: Rows of the feature map.
            columns: Columns of the feature map.
            grid: Where its cells lie in the scaled image.
            image_size: Height and width of the scaled image. Defaults to `None`; needed for
                a grid with `shifts`.
        """
        sides = np.array(
            [
                (size / ratio**0.5, size * ratio**0.5)
                for size in self.anchor_sizes
                for ratio in self.aspect_ratios
            ]
        )
        offsets = np.concatenate([-sides, sides], axis=1) / 2
        first_row, first_column = _box_windows.first_centers(grid, image_size)
        x, y = (
            tf.cast(tf.range(count), tf.float32) * grid.stride + first + 0.5
            for count, first in ((columns, first_column), (rows, first_row))
        )
        x, y = tf.meshgrid(x, y)
        centers = tf.reshape(tf.stack([x, y, x, y], axis=-1), (-1, 1, 4))
        return tf.reshape(centers + tf.constant(offsets, tf.float32), (-1, 4))

    def propose(self, feature_map: Any, grid: geometry.CellGrid, image_size: Any) -> Any:
        """The best proposals, `(n, 4)` in pixels of the scaled image.

        Args:
            feature_map: As for calls of the layer.
            grid: Where its cells lie in the scaled image.
            image_size: Height and width of the scaled image.
        """
        logits, deltas = self(feature_map)
        rows, columns = tf.unstack(tf.shape(feature_map)[1:3])
        anchors = self.anchors(rows, columns, grid, image_size)
        count = tf.minimum(_CANDIDATES_PER_PROPOSAL * self.max_proposals, tf.shape(logits)[0])
        logits, best = tf.math.top_k(logits, count)
        boxes = decode_boxes(tf.gather(anchors, best), tf.gather(deltas, best))
        boxes = clip_boxes(boxes, image_size)
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
