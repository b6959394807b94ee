"""Records to batches: one line a stage."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from spp_keras import _checks
from spp_keras.data import batch_planner, image_ops, image_reader, records, size_policies

# What is drawn for an image, each from a stream of its own.
_PLACE, _FLIP, _COLOR = range(3)
# What shares of a batch are like: filled up to one length, with weights by which images count the
# same in an epoch; as they come, with weights by which they count the same in a batch; as they
# come, and empty where there are more replicas than images.
_EQUAL, _TRAIN, _TEST = range(3)
# A batch's number and its length travel as one int64, of which the length has these low bits.
_LENGTH_BITS = 20


class Pipeline:
    """Batches of images of every size, for `fit`, `evaluate` and `predict`.

    Models of `spp_keras.zoo` take it as it is: `model.fit(train, epochs=3)`. Other
    Keras models take its `dataset()`.

    Every image is sent once an epoch. Which images make a batch, in which order,
    and what is drawn for each follows from the seed and the epoch alone, so that
    training can start anywhere and be shared among any number of devices. Each
    `fit` begins with its `initial_epoch`, by default the first.

    Args:
        records: The images, see `load`.
        sizes: A size policy, `Crop` or `Whole`. Defaults to `Whole()`, every
            image at its own size.
        batch_size: Most images in a batch, over all devices. Defaults to 32.
        batch_pixels: Number of pixels, padding included, that a batch of `Whole`
            images is kept to. Defaults to `None`, no limit.
        flip: Whether half of the images are mirrored. Defaults to `False`.
        color_jitter: Standard deviation of the alteration of colors; the paper's is
            0.1. Defaults to 0, none.
        shuffle: Whether the order changes from epoch to epoch. Defaults to `True`.
        seed: Seed of order and augmentation. Defaults to 0.

    Example:

    >>> import tempfile
    >>> from spp_keras import data
    >>> found = data.load("shapes/tiny", "train", data_dir=tempfile.mkdtemp())
    >>> train = Pipeline(found, batch_size=8)
    >>> images, labels = next(iter(train.dataset()))
    >>> sorted(images), images["sizes"].shape[1]
    (['images', 'sizes'], 2)
    """

    def __init__(
        self,
        records: records.Records,
        sizes: size_policies.SizePolicy = size_policies.Whole(),  # noqa: B008 - frozen
        *,
        batch_size: int = 32,
        batch_pixels: int | None = None,
        flip: bool = False,
        color_jitter: float = 0.0,
        shuffle: bool = True,
        seed: int = 0,
    ):
        self.records, self.sizes, self.seed = records, sizes, seed
        self.flip, self.color_jitter = flip, _checks.fraction(color_jitter, "color_jitter")
        self._shapes = sizes.output_sizes(records.sizes)
        self._reader = image_reader.ImageReader(records.files, records.spans)
        self._batches = batch_planner.BatchPlanner(
            len(records),
            batch_size,
            shapes=self._shapes,
            batch_pixels=batch_pixels,
            shuffle=shuffle,
            seed=seed,
        )

    def __repr__(self) -> str:
        # In Keras' words about what it does not take.
        return (
            f"<Pipeline of {len(self.records)} images in {self.steps_per_epoch} batches, whose "
            "`dataset()` is a tf.data.Dataset>"
        )

    @property
    def mixed(self) -> bool:
        """Whether the images of a batch may differ in size."""
        return self._shapes is not None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.records.classes

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch, the same in each."""
        return self._batches.steps

    @property
    def images_per_step(self) -> float:
        """Images of a batch, on average."""
        return len(self.records) / self.steps_per_epoch

    @property
    def longest_side(self) -> int | None:
        """The longest side of an image as it is sent, or `None` for crops."""
        return None if self._shapes is None else int(self._shapes.max())

    def order(self, epoch: int = 0) -> np.ndarray:
        """Numbers of the images in the order in which an epoch sends them.

        `predict` answers in this order, that of epoch 0: `records.ids[pipeline.order()]`
        are the names that belong to its rows.

        Args:
            epoch: Number of the epoch. Defaults to 0.
        """
        order, starts, stops = (part.numpy() for part in self._batches.epoch(epoch))
        parts = [order[start:stop] for start, stop in zip(starts, stops, strict=True)]
        return np.concatenate(parts)

    def padding_fraction(self, epoch: int = 0, num_shards: int = 1) -> float:
        """Share of the pixels sent in an epoch that are padding.

        Args:
            epoch: Number of the epoch. Defaults to 0.
            num_shards: Number of replicas that a batch is dealt to. Defaults to 1.
        """
        if self._shapes is None:
            return 0.0
        plan, sent = self._batches.epoch(epoch), 0
        order = plan.order.numpy()
        for start, stop in zip(plan.starts.numpy(), plan.stops.numpy(), strict=True):
            share = -(-(stop - start) // num_shards)
            for first in range(start, start + num_shards * share, share):
                rows = order[np.minimum(np.arange(first, first + share), stop - 1)]
                sent += share * int(np.prod(self._shapes[rows].max(axis=0), dtype="int64"))
        return 1.0 - int(self._shapes.prod(axis=1, dtype="int64").sum()) / sent

    def dataset(
        self,
        start: int = 0,
        *,
        batch_format: Literal["padded", "ragged"] = "padded",
        repeat: bool = False,
        shard_indices: Sequence[int] = (0,),
        num_shards: int = 1,
        weights: bool = False,
    ) -> tf.data.Dataset:
        """A dataset of one epoch: the first time it is iterated the first, then the next.

        So `for epoch in range(3): for images, labels in dataset:` sees three epochs.

        Args:
            start: Number of the first batch, counted from the first epoch on.
                Defaults to 0.
            batch_format: Of batches of mixed sizes: `"padded"`, `{"images", "sizes"}`, or
                `"ragged"`, a ragged tensor. Batches of one size are dense tensors.
                Defaults to `"padded"`.
            repeat: Whether to go on without end, epoch after epoch, rather than to
                end with each epoch. Defaults to `False`.
            shard_indices: Numbers of the replicas whose shares of each batch are
                wanted, one after the other. Defaults to `(0,)`.
            num_shards: Number of replicas that each batch is dealt to. Defaults to 1.
            weights: Whether to add weights, with which every image counts the
                same in an epoch: shares are filled up to one length with images
                that weigh nothing. Defaults to `False`, which needs `num_shards=1`.

        Returns:
            A `tf.data.Dataset` of `(images, labels)` or `(images, labels, weights)`;
            images are uint8, labels int32, or float32 `(batch, classes)` where an
            image may have several.
        """
        _checks.at_least(start, 0, "start")
        _checks.one_of(batch_format, ("padded", "ragged"), "batch_format")
        if not repeat and start % self.steps_per_epoch:
            raise ValueError(
                "`start` must be the first batch of an epoch, a multiple of `steps_per_epoch`, "
                "where the dataset ends with each epoch: give `repeat=True` for one that goes on. "
                f"Received: start={start} with steps_per_epoch={self.steps_per_epoch}."
            )
        if num_shards > 1 and not weights:
            raise ValueError(
                "`weights` must be True where batches are dealt to several replicas, so that what "
                f"fills them up does not count. Received: weights=False with num_shards={num_shards}."
            )
        shard_indices = tuple(shard_indices)
        if not shard_indices or not set(shard_indices) <= set(
            range(_checks.at_least(num_shards, 1, "num_shards"))
        ):
            raise ValueError(
                "`shard_indices` must be numbers of replicas, from 0 to `num_shards` - 1. "
                f"Received: shard_indices={shard_indices} with num_shards={num_shards}."
            )
        dataset = self._dataset(
            start, batch_format, repeat, shard_indices, num_shards, _EQUAL if weights else _TEST
        )
        if not (repeat or weights):
            # What `batches_for` says to a model that asks, a dataset of ours says, too.
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
        """Batches without end for all replicas of a model, as its `fit` and `evaluate` take them.

        Each replica gets its share of every batch. Where there are several, weights
        for training make the gradient that of the whole batch, however it divides.

        Args:
            strategy: Of the model; `None` for one device.
            epoch: Number of the first epoch. Defaults to 0.
            batch_format: See `dataset`. Defaults to `"padded"`.
            training: Whether they are to be learned from. Defaults to `False`.
        """
        start = epoch * self.steps_per_epoch
        if strategy is None:
            return self._dataset(start, batch_format, True, (0,), 1, _TEST)

        def share(context: tf.distribute.InputContext) -> tf.data.Dataset:
            num_shards = context.num_replicas_in_sync
            shares = _TRAIN if training and num_shards > 1 else _TEST
            return self._dataset(
                start, batch_format, True, list_replicas(context), num_shards, shares
            )

        return strategy.distribute_datasets_from_function(share)

    def _dataset(
        self,
        start: int,
        batch_format: str,
        repeat: bool,
        shard_indices: tuple[int, ...],
        num_shards: int,
        shares: int,
    ) -> Any:
        rows = self._rows(start, repeat, shard_indices, num_shards, shares)
        rows = rows.map(self._load, tf.data.AUTOTUNE)
        ragged = self.mixed and batch_format == "ragged"
        dataset = rows.group_by_window(
            lambda row: row["batch"],
            lambda batch, window: _gathered(window, batch % 2**_LENGTH_BITS, ragged),
            window_size_func=lambda batch: batch % 2**_LENGTH_BITS,
        )
        empty = shares == _TEST and num_shards > 1
        weights = shares != _TEST
        dataset = dataset.map(lambda batch: _finished(batch, self.mixed, ragged, weights, empty))
        # So that whoever asks is told how many there are: `fit` takes a step too many otherwise.
        count = (
            tf.data.INFINITE_CARDINALITY if repeat else self.steps_per_epoch * len(shard_indices)
        )
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _rows(
        self, start: int, repeat: bool, shard_indices: tuple[int, ...], num_shards: int, shares: int
    ) -> tf.data.Dataset:
        """Everything about every image to load, in order: all that can be said for many at once."""
        steps = self.steps_per_epoch
        about = self._about()

        def epoch_rows(
            epoch: tf.Tensor, plan: batch_planner.EpochPlan, drawn: dict
        ) -> tf.data.Dataset:
            first = tf.where(epoch == start // steps, start % steps, 0)
            numbers = tf.data.Dataset.range(tf.cast(first, tf.int64), steps)
            return numbers.flat_map(lambda step: step_rows(epoch, plan, drawn, step))

        def step_rows(
            epoch: tf.Tensor, plan: batch_planner.EpochPlan, drawn: dict, step: tf.Tensor
        ) -> tf.data.Dataset:
            begin, end = plan.starts[step], plan.stops[step]
            share = -(-(end - begin) // num_shards)
            first = begin + tf.constant(shard_indices) * share
            if shares == _EQUAL:
                length, whole = tf.fill((len(shard_indices),), share), self.images_per_step
            else:
                # An empty share has an image of no weight, which goes where it need not train.
                length = tf.clip_by_value(end - first, 1, share)
                whole = tf.cast(end - begin, tf.float32)
            places = tf.ragged.range(first, first + length).flat_values
            weight = tf.repeat(tf.cast(num_shards * length, tf.float32) / whole, length)
            batch = (epoch * steps + step) * num_shards + tf.constant(shard_indices, tf.int64)
            batch = batch * 2**_LENGTH_BITS + tf.cast(length, tf.int64)
            numbers = tf.gather(plan.order, tf.minimum(places, end - 1))
            rows = {
                "batch": tf.repeat(batch, length),
                "weight": tf.where(places < end, weight, 0.0),
                **{name: tf.gather(values, numbers) for name, values in (about | drawn).items()},
            }
            if not isinstance(self.sizes, size_policies.Whole):
                side = self.sizes.epoch_size(epoch, self.seed)
                rows["target"] = tf.fill((tf.size(numbers), 2), side)
                rows["window"] = self.sizes.windows(rows["size"], rows.pop("place"))
            return tf.data.Dataset.from_tensor_slices(rows)

        if repeat:
            epochs = tf.data.Dataset.range(start // steps, np.iinfo("int32").max)
        else:
            epochs = _one_more_each_time(start // steps)
        epochs = epochs.map(
            lambda epoch: (epoch, self._batches.epoch(epoch), self._drawn(tf.cast(epoch, tf.int32)))
        )
        return epochs.prefetch(1).flat_map(epoch_rows)

    def _about(self) -> dict[str, tf.Tensor]:
        """What is known of all images."""
        found = self.records
        label = found.labels.astype("float32" if found.multi_label else "int32")
        about = {"label": label, "size": found.sizes}
        about["orientation"] = found.orientations.astype("int32")
        if self._shapes is not None and not np.array_equal(self._shapes, found.sizes):
            about["window"] = np.concatenate([np.zeros_like(found.sizes), found.sizes], axis=1)
            about["target"] = self._shapes
        return {
            **{name: tf.constant(values) for name, values in about.items()},
            **self._reader.table,
        }

    def _drawn(self, epoch: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is drawn for all images in an epoch."""
        drawn, count = {}, len(self.records)

        def seed(stream: int) -> tf.Tensor:
            return tf.random.experimental.stateless_fold_in((self.seed, epoch), stream)

        if not self.mixed:
            drawn["place"] = tf.random.stateless_uniform((count, 2), seed(_PLACE))
        if self.flip:
            drawn["mirrored"] = tf.random.stateless_uniform((count,), seed(_FLIP)) < 0.5
        if self.color_jitter:
            factors = tf.random.stateless_normal((count, 3), seed(_COLOR), stddev=self.color_jitter)
            drawn["shift"] = image_ops.draw_color_shifts(factors)
        return drawn

    def _load(self, row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The image of a row: what must be done one by one."""
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
        kept = {name: row[name] for name in ("batch", "label", "weight")}
        return {"image": image, "size": size, **kept}


def _gathered(window: tf.data.Dataset, length: tf.Tensor, ragged: bool) -> tf.data.Dataset:
    return window.ragged_batch(length) if ragged else window.padded_batch(length)


def _finished(batch: dict, mixed: bool, ragged: bool, weights: bool, empty: bool) -> tuple:
    label, weight = (
        x.to_tensor() if isinstance(x, tf.RaggedTensor) else x
        for x in (batch["label"], batch["weight"])
    )
    x = batch["image"]
    if mixed and not ragged:
        x = {"images": x, "sizes": batch["size"]}
    if empty:
        count = tf.math.count_nonzero(weight, dtype=tf.int32)
        x, label = tf.nest.map_structure(lambda value: value[:count], (x, label))
    return (x, label, weight) if weights else (x, label)


def _one_more_each_time(first: int) -> tf.data.Dataset:
    """A dataset of one number, which is one more whenever its first element is asked for."""
    # Not when an iterator is made: Keras makes more of them than it uses.
    numbers = itertools.count(first)
    return tf.data.Dataset.from_tensors(0).map(
        lambda _: tf.ensure_shape(
            tf.numpy_function(lambda: np.int64(next(numbers)), [], tf.int64), ()
        )
    )


def list_replicas(context: tf.distribute.InputContext) -> tuple[int, ...]:
    """Numbers of the replicas that a process loads images for."""
    count = context.num_replicas_in_sync // context.num_input_pipelines
    first = context.input_pipeline_id * count
    return tuple(range(first, first + count))
