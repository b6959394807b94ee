"""Loading of single images: read, decoded, resized and augmented."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spp_keras.data import augmentation, backgrounds, image_ops, image_reader, size_policies
from spp_keras.data.records import Records

# Random number streams: for positions of crops, mirroring, colors and layers.
_POSITION, _FLIP, _COLOR, _LAYERS = range(4)


class ImageLoader:
    """Loads images one by one, each by a row of a table that is drawn anew for every epoch.

    Args:
        records: The images.
        size_policy: Their sizes.
        flip: Whether half of them are mirrored.
        color_jitter: Standard deviation of the color augmentation.
        augment: Keras layers that are applied to each image.
        seed: Seed of the augmentation.
    """

    def __init__(
        self,
        records: Records,
        size_policy: size_policies.SizePolicy,
        flip: bool,
        color_jitter: float,
        augment: Sequence[keras.Layer],
        seed: int,
    ):
        self.size_policy, self.seed = size_policy, seed
        self.flip, self.color_jitter, self.augment = flip, color_jitter, augment
        self.output_sizes = size_policy.output_sizes(records.sizes)
        self._reader = image_reader.ImageReader(records.files, records.spans)
        self._count, self._background = len(records), records.background
        backgrounds.parse_background(records.background)
        labels = records.labels.astype("float32" if records.multi_label else "int32")
        self._file_sizes = tf.constant(records.sizes)
        # Tensors, which graphs refer to; arrays would be copied into each of them.
        self._constants = {
            "label": tf.constant(labels),
            "orientation": tf.constant(records.orientations.astype("int32")),
            **self._reader.table,
        }
        if self.output_sizes is not None:
            self._constants["size"] = tf.constant(self.output_sizes)
            if not np.array_equal(self.output_sizes, records.sizes):
                corners = tf.zeros_like(self._file_sizes)
                self._constants["window"] = tf.concat([corners, self._file_sizes], axis=1)
                self._constants["file_size"] = self._file_sizes

    def draw_table(self, epoch: Any) -> dict[str, tf.Tensor]:
        """The table of an epoch: columns with a row for each image.

        Args:
            epoch: int32 scalar, index of the epoch.
        """
        table, count = dict(self._constants), self._count

        def fold_seed(stream: int) -> tf.Tensor:
            return tf.random.experimental.stateless_fold_in((self.seed, epoch), stream)

        if not isinstance(self.size_policy, size_policies.Whole):
            image_size = self.size_policy.epoch_size(epoch, self.seed)
            positions = tf.random.stateless_uniform((count, 2), fold_seed(_POSITION))
            table["window"] = self.size_policy.windows(self._file_sizes, positions)
            table["file_size"] = self._file_sizes
            table["size"] = tf.broadcast_to(image_size, (count, 2))
        if self.flip:
            table["mirrored"] = tf.random.stateless_uniform((count,), fold_seed(_FLIP)) < 0.5
        if self.color_jitter:
            factors = tf.random.stateless_normal(
                (count, 3), fold_seed(_COLOR), stddev=self.color_jitter
            )
            table["shift"] = image_ops.draw_color_shifts(factors)
        if self.augment:
            table["seed"] = tf.random.stateless_uniform(
                (count, 2), fold_seed(_LAYERS), None, None, tf.int32
            )
        return table

    def load(self, row: dict[str, tf.Tensor]) -> tf.Tensor:
        """The image of a row of a table: uint8 `(height, width, 3)`."""
        encoded = self._reader.read(row)
        if "window" in row:
            image = image_ops.decode_window(
                encoded,
                row["file_size"],
                row["window"],
                row["size"],
                row["orientation"],
                self._background,
            )
        else:
            image = image_ops.decode_image(encoded, row["orientation"], self._background)
        if self.flip:
            image = image_ops.flip_horizontal(image, row["mirrored"])
        if self.color_jitter:
            image = image_ops.shift_color(image, row["shift"])
        if self.augment:
            image = augmentation.augment_image(image, self.augment, row["seed"])
        return image
