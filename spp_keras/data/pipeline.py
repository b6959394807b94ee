"""Records to batches: one line a stage."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from spp_keras import _checks
from spp_keras.data import batches, images, reading, records, sizes

# What is drawn for an image, each from a stream of its own.
_WINDOW, _FLIP, _COLOUR = range(3)
# A batch's number and its length travel as one int64, of which the length has these low bits.
_LENGTH_BITS = 20


class Pipeline:
    """Batches of images of every size, for `fit`, `evaluate` and `predict`.

    Every image is sent once an epoch. Which images make a batch, in which order,
    and what is drawn for each follows from the seed and the epoch alone, so that
    training can start anywhere and be shared among any number of devices.

    Args:
        records: The images, see `load`.
        sizes: A size policy, `Crops` or `Whole`. Defaults to `Whole()`, every
            image at its own size.
        batch_size: Most images in a batch, over all devices. Defaults to 32.
        batch_pixels: Number of pixels, padding included, that a batch of `Whole`
            images is kept to. Defaults to `None`, no limit.
        flip: Whether half of the images are mirrored. Defaults to `False`.
        colour: Standard deviation of the alteration of colours; the paper's is
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
        sizes: sizes.Crops | sizes.Whole = sizes.Whole(),  # noqa: B008 - frozen
        *,
        batch_size: int = 32,
        batch_pixels: int | None = None,
        flip: bool = False,
        colour: float = 0.0,
        shuffle: bool = True,
        seed: int = 0,
    ):
        self.records, self.sizes, self.seed = records, sizes, seed
        self.flip, self.colour = flip, _checks.fraction(colour, "colour")
        self._shapes = sizes.shapes(records.sizes)
        self._batches = batches.Batches(
            len(records),
            batch_size,
            shapes=self._shapes,
            batch_pixels=batch_pixels,
            shuffle=shuffle,
            seed=seed,
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

    def padding(self, epoch: int = 0, of: int = 1) -> float:
        """Share of the pixels sent in an epoch that are padding.

        Args:
            epoch: Number of the epoch. Defaults to 0.
            of: Number of replicas that a batch is dealt to. Defaults to 1.
        """
        if self._shapes is None:
            return 0.0
        plan, sent = self._batches.epoch(epoch), 0
        order = plan.order.numpy()
        for start, stop in zip(plan.starts.numpy(), plan.stops.numpy(), strict=True):
            share = -(-(stop - start) // of)
            for first in range(start, start + of * share, share):
                rows = order[np.minimum(np.arange(first, first + share), stop - 1)]
                sent += share * int(np.prod(self._shapes[rows].max(axis=0), dtype="int64"))
        return 1.0 - int(self._shapes.prod(axis=1, dtype="int64").sum()) / sent

    def dataset(
        self,
        start: int = 0,
        *,
        form: Literal["padded", "ragged"] = "padded",
        replicas: Sequence[int] = (0,),
        of: int = 1,
        weights: bool = False,
    ) -> tf.data.Dataset:
        """An endless dataset, epoch after epoch: give `fit` its `steps_per_epoch`.

        Args:
            start: Number of the first batch, counted from the first epoch on.
                Defaults to 0.
            form: Of batches of mixed sizes: `"padded"`, `{"images", "sizes"}` for
                `with_sizes(model)`, or `"ragged"`, a ragged tensor for the model
                itself. Batches of one size are dense tensors. Defaults to `"padded"`.
            replicas: Numbers of the replicas whose shares of each batch are
                wanted, one after the other. Defaults to `(0,)`.
            of: Number of replicas that each batch is dealt to. Defaults to 1.
            weights: Whether to add weights, with which every image counts the
                same in an epoch: shares are filled up to one length with images
                that weigh nothing. Defaults to `False`, which needs `of=1`.

        Returns:
            A `tf.data.Dataset` of `(images, labels)` or `(images, labels, weights)`;
            images are uint8, labels int32, or float32 `(batch, classes)` where an
            image may have several.
        """
        _checks.at_least(start, 0, "start")
        _checks.one_of(form, ("padded", "ragged"), "form")
        if of > 1 and not weights:
            raise ValueError(
                "`weights` must be True where batches are dealt to several replicas, so that what "
                f"fills them up does not count. Received: weights=False with of={of}."
            )
        rows = self._rows(start, tuple(replicas), of)
        rows = rows.map(self._loading(), tf.data.AUTOTUNE)
        ragged = self.mixed and form == "ragged"
        dataset = rows.group_by_window(
            lambda row: row["batch"],
            lambda batch, window: window.map(_item).apply(_gathered(ragged, batch)),
            window_size_func=lambda batch: batch % 2**_LENGTH_BITS,
        )
        dataset = dataset.map(lambda *batch: _finished(batch, self.mixed, ragged, weights))
        # Else Keras cannot tell that it has no end.
        dataset = dataset.apply(
            tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        )
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _rows(self, start: int, replicas: tuple[int, ...], of: int) -> tf.data.Dataset:
        """Every image to load, in order, with its epoch, its batch and its weight."""
        steps = self.steps_per_epoch

        def epoch_rows(epoch: tf.Tensor, plan: batches.Plan) -> tf.data.Dataset:
            first = tf.where(epoch == start // steps, start % steps, 0)
            numbers = tf.data.Dataset.range(tf.cast(first, tf.int64), steps)
            return numbers.flat_map(lambda step: step_rows(epoch, plan, step))

        def step_rows(epoch: tf.Tensor, plan: batches.Plan, step: tf.Tensor) -> tf.data.Dataset:
            begin, end = plan.starts[step], plan.stops[step]
            share = -(-(end - begin) // of)
            places = begin + tf.constant(replicas)[:, None] * share + tf.range(share)
            weight = tf.cast(of * share, tf.float32) / self.images_per_step
            batch = (epoch * steps + step) * of + tf.constant(replicas, tf.int64)
            batch = batch * 2**_LENGTH_BITS + tf.cast(share, tf.int64)
            places, batch = tf.reshape(places, (-1,)), tf.repeat(batch, share)
            return tf.data.Dataset.from_tensor_slices(
                {
                    "number": tf.gather(plan.order, tf.minimum(places, end - 1)),
                    "batch": batch,
                    "epoch": tf.fill(tf.shape(batch), tf.cast(epoch, tf.int32)),
                    "weight": tf.where(places < end, weight, 0.0),
                }
            )

        epochs = tf.data.Dataset.range(start // steps, np.iinfo("int32").max)
        epochs = epochs.map(lambda epoch: (epoch, self._batches.epoch(epoch)))
        return epochs.prefetch(1).flat_map(epoch_rows)

    def _loading(self) -> Any:
        """The function that makes an image of a row."""
        read = reading.reader(self.records.files, self.records.spans)
        labels = self.records.labels.astype("float32" if self.records.multi_label else "int32")
        labels, own_sizes = tf.constant(labels), tf.constant(self.records.sizes)
        shapes = None if self._shapes is None else tf.constant(self._shapes)
        as_they_are = shapes is not None and np.array_equal(self._shapes, self.records.sizes)

        def load(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            number, epoch = row["number"], row["epoch"]

            def key(stream: int) -> tf.Tensor:
                mixed = tf.random.experimental.stateless_fold_in((self.seed, epoch), stream)
                return tf.random.experimental.stateless_fold_in(mixed, number)

            encoded = read(number)
            if as_they_are:
                image = images.decode(encoded)
            elif shapes is not None:
                size = own_sizes[number]
                whole = tf.concat([[0, 0], size], axis=0)
                image = images.view(encoded, size, whole, shapes[number])
            else:
                size = own_sizes[number]
                side = self.sizes.side(epoch, self.seed)
                window = self.sizes.window(size, key(_WINDOW))
                image = images.view(encoded, size, window, tf.stack([side, side]))
            if self.flip:
                image = images.flip(image, key(_FLIP))
            if self.colour:
                image = images.colour(image, key(_COLOUR), self.colour)
            return {**row, "image": image, "label": labels[number]}

        return load


def _item(row: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
    return row["image"], tf.shape(row["image"])[:2], row["label"], row["weight"]


def _gathered(ragged: bool, batch: tf.Tensor) -> Any:
    length = batch % 2**_LENGTH_BITS
    if ragged:
        return lambda window: window.ragged_batch(length)
    return lambda window: window.padded_batch(length)


def _finished(batch: tuple, mixed: bool, ragged: bool, weights: bool) -> tuple:
    images_, sizes_, labels, weight = batch
    if ragged:
        labels, weight = (
            x.to_tensor() if isinstance(x, tf.RaggedTensor) else x for x in (labels, weight)
        )
    x = {"images": images_, "sizes": sizes_} if mixed and not ragged else images_
    return (x, labels, weight) if weights else (x, labels)
