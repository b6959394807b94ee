"""The input pipeline: from records to batches of images."""

import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from spp_keras import _checks
from spp_keras.data import batch_planner, dataset_ops, image_ops, image_reader, size_policies
from spp_keras.data.records import Records

# Random number streams: for positions of crops, mirroring and colors.
_POSITION, _FLIP, _COLOR = range(3)
# How a batch is divided into shards. Equal: filled up to one length, with weights by which images
# count the same in an epoch. Weighted: of any length, with weights by which images count the same
# in a batch. Plain: of any length, empty where there are more shards than images, no weights.
_EQUAL, _WEIGHTED, _PLAIN = range(3)
# `group_by_window` takes one int64 as a key: the index of a shard, and its length in the low bits.
_LENGTH_BITS = 20


class Pipeline:
    """Batches of images of any size, for `fit`, `evaluate` and `predict`.

    Models of `spp_keras.zoo` take the pipeline itself: `model.fit(train, epochs=3)`. Other
    Keras models take its `dataset()`.

    Every image is in one batch of an epoch. The batches, their order and the augmentation
    depend on the seed and the epoch alone, so that training can start at any step and on any
    number of devices. Each `fit` begins with its `initial_epoch`, by default the first.

    Args:
        records: The images, see `load_records`.
        size_policy: `Crop`, `Whole` or `Warp`. Defaults to `Whole()`, every image at its
            own size.
        batch_size: Maximum number of images in a batch, over all devices. Defaults to 32.
        max_pixels: Maximum number of pixels, padding included, in a batch of `Whole`
            images. Defaults to `None`, no limit.
        flip: Whether half of the images are mirrored. Defaults to `False`.
        color_jitter: Standard deviation of the color augmentation; the paper's is 0.1.
            Defaults to 0, none.
        shuffle: Whether the order changes from epoch to epoch. Defaults to `True`.
        seed: Seed of order and augmentation. Defaults to 0.

    Example:

    >>> import tempfile
    >>> from spp_keras import data
    >>> records = data.load_records("shapes/tiny", "train", data_dir=tempfile.mkdtemp())
    >>> train = Pipeline(records, batch_size=8)
    >>> images, labels = next(iter(train.dataset()))
    >>> sorted(images), images["sizes"].shape[1]
    (['images', 'sizes'], 2)
    """

    def __init__(
        self,
        records: Records,
        size_policy: size_policies.SizePolicy = size_policies.Whole(),  # noqa: B008 - frozen
        *,
        batch_size: int = 32,
        max_pixels: int | None = None,
        flip: bool = False,
        color_jitter: float = 0.0,
        shuffle: bool = True,
        seed: int = 0,
    ):
        self.records, self.size_policy, self.seed = records, size_policy, seed
        self.flip, self.color_jitter = flip, _checks.fraction(color_jitter, "color_jitter")
        self._output_sizes = size_policy.output_sizes(records.sizes)
        self._reader = image_reader.ImageReader(records.files, records.spans)
        self._planner = batch_planner.BatchPlanner(
            len(records),
            batch_size,
            sizes=self._output_sizes,
            max_pixels=max_pixels,
            shuffle=shuffle,
            seed=seed,
        )

    def __repr__(self) -> str:
        # Keras puts this into its error about data that it does not take.
        return (
            f"<Pipeline of {len(self.records)} images in {self.steps_per_epoch} batches, whose "
            "`dataset()` is a tf.data.Dataset>"
        )

    @property
    def mixed(self) -> bool:
        """Whether the images of a batch may differ in size."""
        return self._output_sizes is not None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.records.classes

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch, the same in each."""
        return self._planner.steps

    @property
    def images_per_step(self) -> float:
        """Average number of images in a batch."""
        return len(self.records) / self.steps_per_epoch

    @property
    def longest_side(self) -> int | None:
        """The longest side of an image in a batch, or `None` for crops."""
        return None if self._output_sizes is None else int(self._output_sizes.max())

    def order(self, epoch: int = 0) -> np.ndarray:
        """Indices of the images in the order of an epoch.

        The rows that `predict` returns have the order of epoch 0: their names are
        `records.ids[pipeline.order()]`.

        Args:
            epoch: Index of the epoch. Defaults to 0.
        """
        order, starts, stops = (tensor.numpy() for tensor in self._planner.epoch(epoch))
        batches = [order[start:stop] for start, stop in zip(starts, stops, strict=True)]
        return np.concatenate(batches)

    def padding_fraction(self, epoch: int = 0, num_shards: int = 1) -> float:
        """Fraction of the pixels of an epoch that are padding.

        Args:
            epoch: Index of the epoch. Defaults to 0.
            num_shards: Number of replicas that share a batch. Defaults to 1.
        """
        if self._output_sizes is None:
            return 0.0
        plan, total = self._planner.epoch(epoch), 0
        order = plan.order.numpy()
        for start, stop in zip(plan.starts.numpy(), plan.stops.numpy(), strict=True):
            length = -(-(stop - start) // num_shards)
            for first in range(start, start + num_shards * length, length):
                indices = order[np.minimum(np.arange(first, first + length), stop - 1)]
                padded_size = self._output_sizes[indices].max(axis=0)
                total += length * int(np.prod(padded_size, dtype="int64"))
        return 1.0 - int(self._output_sizes.prod(axis=1, dtype="int64").sum()) / total

    def dataset(
        self,
        start_step: int = 0,
        *,
        batch_format: Literal["padded", "ragged"] = "padded",
        repeat: bool = False,
        shard_indices: Sequence[int] = (0,),
        num_shards: int = 1,
        with_sample_weights: bool = False,
    ) -> tf.data.Dataset:
        """A dataset of one epoch: the first epoch when it is first iterated, then the next.

        So `for epoch in range(3): for images, labels in dataset:` sees three epochs.

        Args:
            start_step: Index of the first batch, counted from the first epoch on.
                Defaults to 0.
            batch_format: Format of batches of mixed sizes: `"padded"`, `{"images", "sizes"}`,
                or `"ragged"`, a ragged tensor. Batches of one size are dense tensors.
                Defaults to `"padded"`.
            repeat: Whether the dataset is endless, epoch after epoch, rather than ending
                with each epoch. Defaults to `False`.
            shard_indices: Indices of the replicas whose shards of each batch are wanted,
                one after the other. Defaults to `(0,)`.
            num_shards: Number of replicas that share each batch. Defaults to 1.
            with_sample_weights: Whether to add sample weights by which every image counts
                the same in an epoch: shards are filled up to one length with images of
                weight 0. Defaults to `False`, which needs `num_shards=1`.

        Returns:
            A `tf.data.Dataset` of `(images, labels)` or `(images, labels, weights)`;
            images are uint8, labels int32, or float32 `(batch, classes)` where an
            image may have several.
        """
        _checks.at_least(start_step, 0, "start_step")
        _checks.one_of(batch_format, ("padded", "ragged"), "batch_format")
        if not repeat and start_step % self.steps_per_epoch:
            raise ValueError(
                "`start_step` must be the first batch of an epoch, a multiple of "
                "`steps_per_epoch`, where the dataset ends with each epoch: give `repeat=True` "
                f"for an endless one. Received: start_step={start_step} with "
                f"steps_per_epoch={self.steps_per_epoch}."
            )
        if num_shards > 1 and not with_sample_weights:
            raise ValueError(
                "`with_sample_weights` must be True where replicas share batches, so that images "
                "that fill up shards do not count. Received: with_sample_weights=False with "
                f"num_shards={num_shards}."
            )
        shard_indices = tuple(shard_indices)
        if not shard_indices or not set(shard_indices) <= set(
            range(_checks.at_least(num_shards, 1, "num_shards"))
        ):
            raise ValueError(
                "`shard_indices` must be from 0 to `num_shards` - 1. "
                f"Received: shard_indices={shard_indices} with num_shards={num_shards}."
            )
        division = _EQUAL if with_sample_weights else _PLAIN
        dataset = self._dataset(
            start_step, batch_format, repeat, shard_indices, num_shards, division
        )
        if not (repeat or with_sample_weights):
            # Zoo models look for these on any dataset, see `models.pipeline_inputs`.
            dataset.batches_for = functools.partial(self.batches_for, batch_format=batch_format)
            dataset.steps_per_epoch = self.steps_per_epoch
        return dataset

    def batches_for(
        self,
        strategy: tf.distribute.Strategy | None,
        epoch: int = 0,
        *,
        batch_format: Literal["padded", "ragged"] = "padded",
        training: bool = False,
    ) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """Endless batches for all replicas of a model, as its `fit` and `evaluate` need them.

        Each replica gets its shard of every batch. With several replicas, sample weights for
        training make the gradient that of the whole batch, however it divides.

        Args:
            strategy: Distribution strategy of the model; `None` for one device.
            epoch: Index of the first epoch. Defaults to 0.
            batch_format: See `dataset`. Defaults to `"padded"`.
            training: Whether the batches are for training. Defaults to `False`.
        """
        start_step = epoch * self.steps_per_epoch
        if strategy is None:
            return self._dataset(start_step, batch_format, True, (0,), 1, _PLAIN)

        def make_dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
            num_shards = context.num_replicas_in_sync
            division = _WEIGHTED if training and num_shards > 1 else _PLAIN
            return self._dataset(
                start_step, batch_format, True, list_replicas(context), num_shards, division
            )

        return strategy.distribute_datasets_from_function(make_dataset)

    def _dataset(
        self,
        start_step: int,
        batch_format: str,
        repeat: bool,
        shard_indices: tuple[int, ...],
        num_shards: int,
        division: int,
    ) -> Any:
        rows = self._rows(start_step, repeat, shard_indices, num_shards, division)
        rows = rows.map(self._load, tf.data.AUTOTUNE)
        ragged = self.mixed and batch_format == "ragged"
        dataset = rows.group_by_window(
            lambda row: row["key"],
            lambda key, window: dataset_ops.batch_rows(window, key % 2**_LENGTH_BITS, ragged),
            window_size_func=lambda key: key % 2**_LENGTH_BITS,
        )
        may_be_empty = division == _PLAIN and num_shards > 1
        weights = division != _PLAIN
        dataset = dataset.map(
            lambda batch: dataset_ops.format_batch(batch, self.mixed, ragged, weights, may_be_empty)
        )
        # Without a cardinality, `fit` takes a step too many.
        count = (
            tf.data.INFINITE_CARDINALITY if repeat else self.steps_per_epoch * len(shard_indices)
        )
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _rows(
        self,
        start_step: int,
        repeat: bool,
        shard_indices: tuple[int, ...],
        num_shards: int,
        division: int,
    ) -> tf.data.Dataset:
        """A row for each image to load, in order, with all that is computed for many at once."""
        steps = self.steps_per_epoch
        constants = self._constants()

        def list_epoch_rows(
            epoch: tf.Tensor, plan: batch_planner.EpochPlan, augmentation: dict
        ) -> tf.data.Dataset:
            first = tf.where(epoch == start_step // steps, start_step % steps, 0)
            remaining = tf.data.Dataset.range(tf.cast(first, tf.int64), steps)
            return remaining.flat_map(lambda step: list_step_rows(epoch, plan, augmentation, step))

        def list_step_rows(
            epoch: tf.Tensor, plan: batch_planner.EpochPlan, augmentation: dict, step: tf.Tensor
        ) -> tf.data.Dataset:
            start, stop = plan.starts[step], plan.stops[step]
            max_length = -(-(stop - start) // num_shards)
            first = start + tf.constant(shard_indices) * max_length
            if division == _EQUAL:
                length = tf.fill((len(shard_indices),), max_length)
                images_per_step = self.images_per_step
            else:
                # An empty shard gets an image of weight 0, which is removed unless for training.
                length = tf.clip_by_value(stop - first, 1, max_length)
                images_per_step = tf.cast(stop - start, tf.float32)
            positions = tf.ragged.range(first, first + length).flat_values
            weight = tf.cast(num_shards * length, tf.float32) / images_per_step
            key = (epoch * steps + step) * num_shards + tf.constant(shard_indices, tf.int64)
            key = key * 2**_LENGTH_BITS + tf.cast(length, tf.int64)
            indices = tf.gather(plan.order, tf.minimum(positions, stop - 1))
            columns = constants | augmentation
            rows = {
                "key": tf.repeat(key, length),
                "weight": tf.where(positions < stop, tf.repeat(weight, length), 0.0),
                **{name: tf.gather(values, indices) for name, values in columns.items()},
            }
            if not isinstance(self.size_policy, size_policies.Whole):
                image_size = self.size_policy.epoch_size(epoch, self.seed)
                rows["target"] = tf.fill((tf.size(indices), 2), image_size)
                rows["window"] = self.size_policy.windows(rows["size"], rows.pop("position"))
            return tf.data.Dataset.from_tensor_slices(rows)

        if repeat:
            epochs = tf.data.Dataset.range(start_step // steps, np.iinfo("int32").max)
        else:
            epochs = dataset_ops.count_iterations(start_step // steps)
        epochs = epochs.map(
            lambda epoch: (
                epoch,
                self._planner.epoch(epoch),
                self._draw_augmentation(tf.cast(epoch, tf.int32)),
            )
        )
        return epochs.prefetch(1).flat_map(list_epoch_rows)

    def _constants(self) -> dict[str, tf.Tensor]:
        """Columns of the rows that are the same in all epochs."""
        records = self.records
        columns = {
            "label": records.labels.astype("float32" if records.multi_label else "int32"),
            "size": records.sizes,
            "orientation": records.orientations.astype("int32"),
        }
        targets = self._output_sizes
        if targets is not None and not np.array_equal(targets, records.sizes):
            corners = np.zeros_like(records.sizes)
            columns["window"] = np.concatenate([corners, records.sizes], axis=1)
            columns["target"] = targets
        return {
            **{name: tf.constant(values) for name, values in columns.items()},
            **self._reader.table,
        }

    def _draw_augmentation(self, epoch: tf.Tensor) -> dict[str, tf.Tensor]:
        """Columns of the rows that are drawn anew for each epoch."""
        columns, count = {}, len(self.records)

        def fold_seed(stream: int) -> tf.Tensor:
            return tf.random.experimental.stateless_fold_in((self.seed, epoch), stream)

        if not self.mixed:
            columns["position"] = tf.random.stateless_uniform((count, 2), fold_seed(_POSITION))
        if self.flip:
            columns["mirrored"] = tf.random.stateless_uniform((count,), fold_seed(_FLIP)) < 0.5
        if self.color_jitter:
            factors = tf.random.stateless_normal(
                (count, 3), fold_seed(_COLOR), stddev=self.color_jitter
            )
            columns["shift"] = image_ops.draw_color_shifts(factors)
        return columns

    def _load(self, row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Loads the image of a row, which is done for each image by itself."""
        encoded, size = self._reader.read(row), row["size"]
        if "target" in row:
            size = row["target"]
            image = image_ops.decode_window(
                encoded, row["size"], row["window"], size, row["orientation"]
            )
        else:
            image = image_ops.decode_image(encoded, row["orientation"])
        if self.flip:
            image = image_ops.flip_horizontal(image, row["mirrored"])
        if self.color_jitter:
            image = image_ops.shift_color(image, row["shift"])
        others = {name: row[name] for name in ("key", "label", "weight")}
        return {"image": image, "size": size, **others}


def list_replicas(context: tf.distribute.InputContext) -> tuple[int, ...]:
    """Indices of the replicas that a process loads images for."""
    count = context.num_replicas_in_sync // context.num_input_pipelines
    first = context.input_pipeline_id * count
    return tuple(range(first, first + count))
