"""What `training.py` measures: pipelines, training steps, devices; its dataset is drawn first."""

import argparse
import contextlib
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from worker import Prepared, case, serve

from spp_keras import data, training, zoo
from spp_keras.data import batch_planner, image_reader
from spp_keras.data.shapes import scenes
from spp_keras.training import distribution

_BATCH_PIXELS = 1_000_000
_STEP = 16  # Pixels between cells of ZF-5, to which packed images are aligned.
_STEPS = 6


@functools.cache
def _records() -> data.Records:
    return data.load_records("shapes/small", "train", _options().data_dir, progress=False)


@functools.cache
def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    parser.add_argument("--devices", type=int, default=1)
    return parser.parse_args()


@functools.cache
def _files() -> data.Records:
    """The same images, each in a file of its own."""
    found = _records()
    folder = Path(tempfile.mkdtemp())
    reader = image_reader.ImageReader(found.files, found.spans)
    for number in range(len(found)):
        (folder / f"{number}.jpg").write_bytes(reader.read(reader.row(number)).numpy())
    paths = tuple(str(folder / f"{number}.jpg") for number in range(len(found)))
    spans = [(number, 0, Path(path).stat().st_size) for number, path in enumerate(paths)]
    return data.Records(**{**vars(found), "files": paths, "spans": np.array(spans)})


def _passes(dataset: tf.data.Dataset, steps: int, count: float) -> Prepared:
    """Batches of a dataset that is not begun anew, so that its threads are at work."""
    iterator = iter(dataset)

    def call() -> None:
        for _ in range(steps):
            next(iterator)

    return Prepared(call, pixels=round(count))


@case("input", "bare JPEG decoding", "`tf.data`, files read and decoded in parallel, nothing else")
def _bare(setting: str) -> Prepared:
    paths = tf.constant(_files().files)
    dataset = tf.data.Dataset.range(len(paths)).repeat()
    dataset = dataset.map(
        lambda number: tf.io.decode_jpeg(tf.io.read_file(paths[number]), channels=3),
        tf.data.AUTOTUNE,
    )
    return _passes(dataset.prefetch(tf.data.AUTOTUNE), 1000, 1000)


def _pipeline(name: str, note: str, found: Callable[[], data.Records], **options: Any) -> None:
    def prepare(setting: str) -> Prepared:
        pipeline = data.Pipeline(found(), batch_size=32, **options)
        steps = round(1000 / pipeline.images_per_step)
        return _passes(pipeline.dataset(repeat=True), steps, steps * pipeline.images_per_step)

    case("input", name, note)(prepare)


_WHOLE = {"max_pixels": _BATCH_PIXELS}
_pipeline("whole images, from files", "own sizes, padded batches", _files, **_WHOLE)
_pipeline("whole images, from TFRecord", "the same, from inside one file", _records, **_WHOLE)
_pipeline("whole images, flip", "", _records, flip=True, **_WHOLE)
_pipeline("whole images, flip and color", "", _records, flip=True, color_jitter=0.1, **_WHOLE)
_pipeline(
    "the paper's crops",
    "224 and 180 from short side 256, flip, color",
    _records,
    sizes=data.Crop(image_sizes=(224, 180)),
    flip=True,
    color_jitter=0.1,
)


@functools.cache
def _sizes(count: int) -> np.ndarray:
    """Sizes of so many images of `shapes`, which need not be painted for that."""
    found = _records().sizes
    if count > len(found):
        drawn = (scenes.compose_scene("star", np.random.default_rng(n)) for n in range(count))
        found = np.array([scene.size for scene in drawn], "int32")
    return found


@functools.cache
def _mixed_batches(count: int) -> list[tuple[Any, ...]]:
    """The first batches of an epoch of so many images; what is on them costs no time."""
    shapes = _sizes(count)
    planned = batch_planner.BatchPlanner(len(shapes), 32, sizes=shapes, max_pixels=_BATCH_PIXELS)
    plan = tf.nest.map_structure(lambda values: values.numpy(), planned.epoch(0))
    generator, made = np.random.default_rng(0), []
    for start, stop in zip(plan.starts[:_STEPS], plan.stops[:_STEPS], strict=True):
        sizes = shapes[plan.order[start:stop]]
        made.append(_padded([generator.integers(0, 256, (*size, 3)) for size in sizes]))
    return made


def _padded(images: list[np.ndarray]) -> tuple[Any, ...]:
    sizes = np.array([image.shape[:2] for image in images], "int32")
    padded = np.zeros((len(images), *sizes.max(axis=0), 3), "uint8")
    for place, image, (height, width) in zip(padded, images, sizes, strict=True):
        place[:height, :width] = image
    x = {"images": tf.constant(padded), "sizes": tf.constant(sizes)}
    return x, tf.zeros(len(images), tf.int32), tf.ones(len(images))


def _valid(made: list[tuple[Any, ...]]) -> int:
    return int(sum(np.prod(x["sizes"], axis=1).sum() for x, *_ in made))


def _count(setting: str) -> int:
    return int(setting.split(", ")[1].removesuffix(" images").replace(" ", ""))


def _squares(count: int, side: int) -> tf.Tensor:
    generator = np.random.default_rng(0)
    return tf.constant(generator.integers(0, 256, (count, side, side, 3), dtype="uint8"))


class _Counting(keras.Model):
    """A model that counts how often its training step is traced."""

    traces = 0

    def train_step(self, batch: Any) -> Any:
        self.traces += 1
        return super().train_step(batch)


def _trainer(setting: str, sized: bool) -> keras.Model:
    keras.utils.set_random_seed(0)
    network = zoo.zf5_spp(classes=12, width=float(setting.split(", ")[0].removeprefix("width ")))
    form = zoo.with_sizes(network) if sized else network
    model = _Counting(form.input, form.output, name=network.name)
    model.compile(keras.optimizers.SGD(1e-4, 0.9), "sparse_categorical_crossentropy")
    return model


def _training(setting: str, made: list[tuple[Any, ...]], sized: bool, pixels: int) -> Prepared:
    model = _trainer(setting, sized)
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(made * 1000),
        output_signature=tf.nest.map_structure(_unknown, made[0]),
    )
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    def call() -> None:
        model.fit(dataset, steps_per_epoch=len(made), verbose=0, shuffle=False)

    def traces() -> str:
        shapes = {str(x["images"].shape if sized else x.shape) for x, *_ in made}
        return f"{model.traces} traces for {len(shapes)} shapes"

    return Prepared(call, pixels=pixels, remark=traces)


def _unknown(tensor: tf.Tensor) -> tf.TensorSpec:
    """Nothing known but the channels, so that one trace serves all."""
    shape = [None] * (tensor.shape.rank - 1) + [3 if tensor.shape.rank == 4 else tensor.shape[-1]]
    return tf.TensorSpec(shape if tensor.shape.rank > 1 else [None], tensor.dtype)


@case("step", "one fixed size", "squares, as many images and pixels in a batch")
def _fixed(setting: str) -> Prepared:
    mixed = _mixed_batches(_count(setting))
    count = round(sum(len(labels) for _, labels, _ in mixed) / _STEPS)
    side = round((_valid(mixed) / _STEPS / count) ** 0.5)
    batch = _squares(count, side), tf.zeros(count, tf.int32), tf.ones(count)
    return _training(setting, [batch] * _STEPS, False, count * side**2 * _STEPS)


@case("step", "bucketed by height and width", "own sizes; the pipeline's batches")
def _bucketed(setting: str) -> Prepared:
    mixed = _mixed_batches(_count(setting))
    return _training(setting, mixed, True, _valid(mixed))


@case("step", "batches as they come", "the same images, not bucketed")
def _unsorted(setting: str) -> Prepared:
    mixed = _mixed_batches(_count(setting))
    cut = [image[:h, :w] for x, *_ in mixed for image, (h, w) in zip(*x.values(), strict=True)]
    order = np.random.default_rng(0).permutation(len(cut))
    made = [_padded([cut[i] for i in part]) for part in np.array_split(order, len(mixed))]
    return _training(setting, made, True, _valid(made))


@case(
    "step", "packed on canvases, bound", "their share of 1024x1024 canvases; no masks, so a bound"
)
def _packed(setting: str) -> Prepared:
    batch = _squares(1, 1024), tf.zeros(1, tf.int32), tf.ones(1)
    used = _packed_share(_sizes(_count(setting)), 1024)
    return _training(setting, [batch] * _STEPS, False, round(used * 1024**2 * _STEPS))


def _packed_share(sizes: np.ndarray, side: int) -> float:
    """Part of canvases that images cover, laid on shelves, the highest of each 256 first.

    They lie a cell apart at multiples of a cell, so that no cell sees two of them.
    """
    canvases = 0
    order = np.random.default_rng(0).permutation(len(sizes))
    for start in range(0, len(order), 256):
        pool = sizes[order[start : start + 256]]
        shelves: list[list[list[int]]] = []
        for height, width in pool[np.argsort(-pool[:, 0], kind="stable")]:
            extent = [-(-int(length) // _STEP) * _STEP + _STEP for length in (height, width)]
            _lay(shelves, min(extent[0], side), min(extent[1], side), side)
        canvases += len(shelves)
    return float(sizes.prod(axis=1, dtype="int64").sum() / (canvases * side**2))


def _lay(canvases: list[list[list[int]]], height: int, width: int, side: int) -> None:
    """On the shelf that leaves least above, else on a new shelf, else on a new canvas."""
    fitting = [
        (shelf[0] - height, number, at)
        for number, canvas in enumerate(canvases)
        for at, shelf in enumerate(canvas)
        if shelf[0] >= height and shelf[1] + width <= side
    ]
    free = [n for n, c in enumerate(canvases) if sum(s[0] for s in c) + height <= side]
    if fitting and (not free or min(fitting)[0] < height // 4):
        _, number, at = min(fitting)
        canvases[number][at][1] += width
    elif free:
        canvases[free[0]].append([height, width])
    else:
        canvases.append([[height, width]])


@case("devices", "devices", "a training by `fit`, images of their own sizes, the same batches")
def _devices(setting: str) -> Prepared:
    strategy = _strategy()
    pipeline = data.Pipeline(_records(), batch_size=64, max_pixels=2 * _BATCH_PIXELS, flip=True)
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        network = zoo.with_sizes(zoo.zf5_spp(classes=12, width=0.25))
        model = training.ReplicatedModel(network.input, network.output, name=network.name)
        model.compile(keras.optimizers.SGD(1e-4, 0.9), "sparse_categorical_crossentropy")

    def call() -> None:
        shares = distribution.distribute_batches(pipeline, strategy)
        model.fit(shares, steps_per_epoch=12, verbose=0, shuffle=False)

    return Prepared(call, pixels=round(12 * pipeline.images_per_step))


@functools.cache
def _strategy() -> Any:
    return training.choose_strategy(_options().devices)


if __name__ == "__main__":
    _strategy()
    serve(["spp_keras", "tensorflow", "keras", "numpy"])
