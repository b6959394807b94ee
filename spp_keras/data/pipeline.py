"""The input pipeline: from records to batches of images."""

import copy
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _checks
from spp_keras.canvas_rules import CanvasRules
from spp_keras.data import (
    augmentation,
    batch_forms,
    batch_layouts,
    batch_planner,
    class_weights,
    image_loading,
    size_policies,
)
from spp_keras.data.batch_shards import Division, Shards, check_shards, list_replicas
from spp_keras.data.records import Records

# Batches whose images are loaded at once, in their order: with one alone, cores would be idle
# while its last image is decoded.
_BATCHES_AT_ONCE = 2


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
        augment: Keras layers that change an image at random and keep its size, such as
            `keras.layers.RandomRotation(0.05)`. Each is applied to each image, uint8 in and
            out; what they draw depends on seed, epoch and image alone. Defaults to none.
        shuffle: Whether the order changes from epoch to epoch. Defaults to `True`.
        seed: Seed of order and augmentation. Defaults to 0.
        class_weight: `"balanced"` adds sample weights by which every class counts the same, as
            in scikit-learn; not for images of several classes. Defaults to `None`, no weights.
        group_by_size: Whether images of mixed sizes share a batch with similar ones, which
            leaves less to pad. With False and `shuffle=False` the images come in the order of
            the records. Only without `max_pixels`. Defaults to `True`.
        background: The color behind transparent images, a name or `"#rrggbb"`. Defaults to
            `None`, that of the records.

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
        augment: Sequence[keras.Layer] = (),
        shuffle: bool = True,
        seed: int = 0,
        class_weight: str | None = None,
        group_by_size: bool = True,
        background: str | None = None,
    ):
        if background is not None:
            records = dataclasses.replace(records, background=background)
        self.group_by_size = group_by_size
        self.records, self.size_policy, self.seed = records, size_policy, seed
        self.batch_size, self.max_pixels, self.shuffle = batch_size, max_pixels, shuffle
        self.class_weight = class_weight
        self._image_weights = class_weights.weigh_images(records, class_weight)
        self._loader = image_loading.ImageLoader(
            records,
            size_policy,
            flip,
            _checks.fraction(color_jitter, "color_jitter"),
            augmentation.check_layers(augment),
            seed,
        )
        self._output_sizes = self._loader.output_sizes
        self._plan()

    def _plan(self) -> None:
        if self.max_pixels is not None and not self.group_by_size:
            raise ValueError(
                "`max_pixels` must be None with `group_by_size=False`, where batches are cut by "
                f"the number of images alone. Received: max_pixels={self.max_pixels!r}."
            )
        self._planner = batch_planner.BatchPlanner(
            len(self.records),
            self.batch_size,
            sizes=self._output_sizes if self.group_by_size else None,
            max_pixels=self.max_pixels,
            names=self.records.ids,
            shuffle=self.shuffle,
            seed=self.seed,
        )
        self._rules_that_pay: dict[CanvasRules, bool] = {}

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

    @property
    def least_max_pixels(self) -> int:
        """The smallest `max_pixels` there can be, the pixels of the largest image."""
        sizes = self._output_sizes
        return 1 if sizes is None else int(sizes.prod(axis=1, dtype="int64").max())

    def with_max_pixels(self, max_pixels: int | None) -> "Pipeline":
        """A pipeline of the same images with another limit of pixels in a batch.

        Args:
            max_pixels: Maximum number of pixels in a batch, `None` for no limit.
        """
        pipeline = copy.copy(self)
        pipeline.max_pixels = max_pixels
        pipeline._plan()
        return pipeline

    def halve_max_pixels(self) -> int | None:
        """Half of `max_pixels`, or of the largest batch where there is no limit.

        Returns:
            No fewer pixels than the largest image has, or `None` where that is no less than
            now, as for batches of one size, or where images are not grouped by size.
        """
        if self._output_sizes is None or not self.group_by_size:
            return None
        largest_image = self.least_max_pixels
        largest_batch = int(batch_layouts.count_padded_pixels(self._list_sizes()).max())
        now = min(largest_batch, self.max_pixels or largest_batch)
        return max(now // 2, largest_image) if largest_image < now else None

    def order(self, epoch: int = 0) -> np.ndarray:
        """Indices of the images in the order of an epoch.

        The rows that `predict` returns have the order of epoch 0: their names are
        `records.ids[pipeline.order()]`.

        Args:
            epoch: Index of the epoch. Defaults to 0.
        """
        return np.concatenate(self._planner.list_batches(epoch))

    def fill(
        self, epoch: int = 0, num_shards: int = 1, canvas_rules: CanvasRules | None = None
    ) -> float:
        """Fraction of the pixels of an epoch that are image, not padding or room on canvases.

        Args:
            epoch: Index of the epoch. Defaults to 0.
            num_shards: Number of replicas that share a batch. Defaults to 1.
            canvas_rules: Rules of batches on canvases, of which some are laid out and the
                others taken to be like them. Defaults to `None`, padded batches.
        """
        if self._output_sizes is None:
            return 1.0
        pixels = batch_layouts.measure_pixels(self._list_sizes(epoch, num_shards), canvas_rules)
        return int(self._output_sizes.prod(axis=1, dtype="int64").sum()) / pixels

    def choose_rules(self, canvas_rules: CanvasRules | None) -> CanvasRules | None:
        """The rules, where batches on canvases take less time than padded ones; or `None`.

        Args:
            canvas_rules: Rules of a network, `model.get_layer("mixed_sizes").canvas_rules`.
        """
        if self._output_sizes is None or canvas_rules is None:
            return None
        if canvas_rules not in self._rules_that_pay:
            pays = batch_layouts.pays_to_pack(self._list_sizes(), canvas_rules)
            self._rules_that_pay[canvas_rules] = pays
        return canvas_rules if self._rules_that_pay[canvas_rules] else None

    def _list_sizes(self, epoch: int = 0, num_shards: int = 1) -> list[np.ndarray]:
        """Sizes of the images of each batch, or of each shard, filled up to one length."""
        sizes, shards = np.asarray(self._output_sizes), []
        for images in self._planner.list_batches(epoch):
            longest = -(-len(images) // num_shards)
            positions = np.minimum(np.arange(num_shards * longest), len(images) - 1)
            shards += np.split(sizes[images[positions]], num_shards)
        return shards

    def dataset(
        self,
        start_step: int = 0,
        *,
        batch_format: Literal["padded", "ragged"] = "padded",
        repeat: bool = False,
        shard_indices: Sequence[int] = (0,),
        num_shards: int = 1,
        with_sample_weights: bool = False,
        canvas_rules: CanvasRules | None = None,
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
            canvas_rules: Rules of a network, by which several images share a canvas where that
                has fewer pixels: batches of mixed sizes are `{"images", "placements"}`, in
                place of `batch_format`. Defaults to `None`.

        Returns:
            A `tf.data.Dataset` of `(images, labels)` or `(images, labels, weights)`;
            images are uint8, labels int32, or float32 `(batch, classes)` where an
            image may have several.
        """
        _checks.one_of(batch_format, ("padded", "ragged"), "batch_format")
        batch_planner.check_start_step(start_step, self.steps_per_epoch, repeat)
        shard_indices = tuple(shard_indices)
        check_shards(shard_indices, num_shards, with_sample_weights)
        division = Division.EQUAL if with_sample_weights else Division.PLAIN
        shards = Shards(shard_indices, num_shards, division)
        dataset = self._dataset(start_step, repeat, shards, batch_format, canvas_rules)
        if not (repeat or with_sample_weights or canvas_rules):
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
        canvas_rules: CanvasRules | None = None,
    ) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """Endless batches for all replicas of a model, as its `fit` and `evaluate` need them.

        Each replica gets its shard of every batch. With several replicas, sample weights for
        training make the gradient that of the whole batch, however it divides.

        Args:
            strategy: Distribution strategy of the model; `None` for one device.
            epoch: Index of the first epoch. Defaults to 0.
            batch_format: See `dataset`. Defaults to `"padded"`.
            training: Whether the batches are for training. Defaults to `False`.
            canvas_rules: Rules of the model. Batches are on canvases where `choose_rules` says
                so, unless they are ragged. Defaults to `None`.
        """
        start_step = epoch * self.steps_per_epoch
        rules = self.choose_rules(canvas_rules) if batch_format == "padded" else None
        if strategy is None:
            return self._dataset(start_step, True, Shards(), batch_format, rules)

        def make_dataset(context: tf.distribute.InputContext) -> tf.data.Dataset:
            num_shards = context.num_replicas_in_sync
            is_weighted = training and num_shards > 1
            division = Division.WEIGHTED if is_weighted else Division.PLAIN
            shards = Shards(list_replicas(context), num_shards, division)
            return self._dataset(start_step, True, shards, batch_format, rules)

        return strategy.distribute_datasets_from_function(make_dataset)

    def _dataset(
        self,
        start_step: int,
        repeat: bool,
        shards: Shards,
        batch_format: str,
        canvas_rules: CanvasRules | None = None,
    ) -> tf.data.Dataset:
        """From epochs to batches of rows, of images, and of what Keras takes: a stage a line."""
        form = self._choose_form(batch_format, canvas_rules)
        epochs = batch_planner.count_epochs(start_step // self.steps_per_epoch, repeat)
        epochs = epochs.map(self._plan_epoch).prefetch(1)
        batches = epochs.flat_map(
            lambda epoch, plan, table: self._list_batches(epoch, plan, table, start_step, shards)
        )
        batches = batches.interleave(
            lambda rows: self._load_batch(rows, form),
            cycle_length=_BATCHES_AT_ONCE,
            num_parallel_calls=_BATCHES_AT_ONCE,
        )
        batches = batches.map(
            lambda images, rows: batch_forms.format_batch(
                images, rows, form, canvas_rules, shards, self._image_weights is not None
            ),
            tf.data.AUTOTUNE,
        )
        # Without a cardinality, `fit` takes a step too many.
        steps = self.steps_per_epoch * len(shards.indices)
        count = tf.data.INFINITE_CARDINALITY if repeat else steps
        batches = batches.apply(tf.data.experimental.assert_cardinality(count))
        return batches.prefetch(tf.data.AUTOTUNE)

    def _choose_form(self, batch_format: str, canvas_rules: CanvasRules | None) -> str:
        if not self.mixed:
            return "dense"
        return batch_format if canvas_rules is None else "canvases"

    def _plan_epoch(self, epoch: tf.Tensor) -> tuple[Any, ...]:
        """The batches of an epoch, and the table of its images."""
        epoch = tf.cast(epoch, tf.int32)
        return epoch, self._planner.epoch(epoch), self._loader.draw_table(epoch)

    def _list_batches(
        self,
        epoch: tf.Tensor,
        plan: batch_planner.EpochPlan,
        table: dict[str, tf.Tensor],
        start_step: int,
        shards: Shards,
    ) -> tf.data.Dataset:
        """The rows of the images of each batch of an epoch, shard by shard."""
        steps, num_shards = self.steps_per_epoch, len(shards.indices)
        first = tf.where(epoch == start_step // steps, start_step % steps, 0)
        first = tf.cast(first * num_shards, tf.int64)

        def take_rows(number: tf.Tensor) -> dict[str, tf.Tensor]:
            step, shard = number // num_shards, number % num_shards
            images = plan.order[plan.starts[step] : plan.stops[step]]
            images, weights = shards.take(
                images, tf.constant(shards.indices)[shard], self.images_per_step
            )
            rows = {name: tf.gather(values, images) for name, values in table.items()}
            if self._image_weights is not None:
                weights *= tf.gather(self._image_weights, images)
            return {**rows, "weight": weights}

        return tf.data.Dataset.range(first, steps * num_shards).map(take_rows)

    def _load_batch(self, rows: dict[str, tf.Tensor], form: str) -> tf.data.Dataset:
        """The images of a batch, loaded in parallel, beside their rows."""
        images = tf.data.Dataset.from_tensor_slices(rows).map(self._loader.load, tf.data.AUTOTUNE)
        count = tf.size(rows["weight"], tf.int64)
        images = batch_forms.batch_images(images, count, form)
        return tf.data.Dataset.zip((images, tf.data.Dataset.from_tensors(rows)))
