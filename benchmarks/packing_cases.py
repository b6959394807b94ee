"""What `packing.py` measures: batches of mixed sizes, packed and padded, beside one size."""

import argparse
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from packing_tables import (
    AS_THEY_COME,
    ONE_AT_A_TIME,
    ONE_SIZE,
    PADDED,
    PIPELINE,
)
from worker import Prepared, case, serve

import spp_keras
from spp_keras import data, zoo
from spp_keras.data.shapes import outlines, scenes
from spp_keras.models.graph_run import find_canvas_rules, find_entrance
from spp_keras.packing import plan_canvases

_CLASSES = 12
# Aspect ratios of photographs.
_RATIOS = (3 / 2, 4 / 3, 1.0, 3 / 4, 2 / 3, 16 / 9)
_SHARES = (0.3, 0.35, 0.05, 0.15, 0.1, 0.05)


@functools.cache
def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    # How much work a call is, to try the benchmark itself.
    parser.add_argument("--shrink", type=int, default=1)
    return parser.parse_args()


def draw_shapes(count: int, seed: int = 0) -> np.ndarray:
    """Sizes of images of `shapes` drawn at random, which need not be painted for that."""
    names = [outlines.CLASSES[index % len(outlines.CLASSES)] for index in range(count)]
    seeds = np.random.SeedSequence(seed).spawn(count)
    drawn = [
        scenes.compose_scene(name, np.random.default_rng(one)).size
        for name, one in zip(names, seeds, strict=True)
    ]
    return np.array(drawn, "int32")


def draw_photographs(count: int, short_side: int | None, seed: int = 0) -> np.ndarray:
    """Sizes of photographs, scaled to a short side, or as they are, around 375x500."""
    random = np.random.default_rng(seed)
    ratios = random.choice(_RATIOS, size=count, p=_SHARES) * np.exp(random.normal(0, 0.03, count))
    shorter = np.full(count, float(short_side or 0))
    if not short_side:
        shorter = 375 * np.exp(random.normal(0, 0.15, count))
    longer = shorter * np.maximum(ratios, 1 / ratios)
    upright = ratios < 1
    return np.stack(
        [np.where(upright, longer, shorter), np.where(upright, shorter, longer)], axis=1
    ).astype("int32")


class _Work:
    """Images in memory, and a network that they are sent through by `fit` or `predict`.

    Args:
        setting: As "training, width 0.25".
        sizes: Sizes of the images.
        batch: Images in a batch.
    """

    def __init__(self, setting: str, sizes: np.ndarray, batch: int):
        self.model = _build_model(setting)
        self.trains = "training" in setting
        self.batch = batch
        shrink = _options().shrink
        self.sizes = np.maximum(sizes // shrink, find_entrance(self.model).min_size)
        self.pixels = int(self.sizes.prod(axis=1, dtype="int64").sum())

    def list_batches(self) -> list[np.ndarray]:
        """Sizes of the images of each batch."""
        return [self.sizes[i : i + self.batch] for i in range(0, len(self.sizes), self.batch)]

    def make_images(self) -> tf.data.Dataset:
        """The images with labels, one by one."""

        def generate() -> Any:
            random = np.random.default_rng(0)
            for index, size in enumerate(self.sizes):
                image = random.integers(0, 256, (*size, 3), dtype="uint8")
                yield image, index % _CLASSES

        signature = tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int32)
        dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
        count = tf.data.experimental.assert_cardinality(len(self.sizes))
        return dataset.apply(count).cache()

    def prepare(self, dataset: tf.data.Dataset, pixels: int, fill: float) -> Prepared:
        """A call that goes through a dataset once."""
        return Prepared(
            _make_call(self.model, dataset, self.trains), None, pixels, lambda: f"{fill}"
        )


def _make_call(model: keras.Model, dataset: tf.data.Dataset, trains: bool) -> Any:
    if trains:
        return lambda: model.fit(dataset, verbose=0, shuffle=False)
    dataset = dataset.map(lambda images, *_: images)
    return lambda: model.predict(dataset, verbose=0)


@functools.cache
def _build_model(setting: str) -> keras.Model:
    """`zf5_spp` of a width, or another network by name; the cases of a setting share it."""
    keras.utils.set_random_seed(0)
    name = setting.split(", ")[1]
    if name.startswith("width "):
        model = zoo.zf5_spp(_CLASSES, width=float(name.removeprefix("width ")))
    else:
        backbone = getattr(keras.applications, name)(
            include_top=False, weights=None, pooling="avg", input_shape=(None, None, 3)
        )
        scores = keras.layers.Dense(_CLASSES, activation="softmax")(backbone.output)
        model = spp_keras.any_size(keras.Model(backbone.input, scores, name=name))
    model.compile(keras.optimizers.SGD(1e-4, 0.9), "sparse_categorical_crossentropy")
    return model


def measure_fill(model: keras.Model, batches: Sequence[np.ndarray], training: bool) -> float:
    """Part of the canvases that is images, where the network packs batches of these sizes."""
    rules = find_canvas_rules(model)
    images = canvases = 0
    for sizes in batches:
        layout = plan_canvases(sizes, rules, training)
        canvases += int(layout.canvases) * int(layout.height) * int(layout.width)
        images += int(sizes.prod(axis=1, dtype="int64").sum())
    return images / canvases


def _register(section: str, make: Any) -> None:
    """The cases of a section, all of the images that `make` returns for a setting."""

    def one_size(setting: str) -> Prepared:
        work = make(setting)
        work.sizes = np.concatenate([_square(sizes) for sizes in work.list_batches()])
        pixels = int(work.sizes.prod(axis=1, dtype="int64").sum())
        return work.prepare(work.make_images().batch(work.batch), pixels, 1.0)

    def as_they_come(setting: str) -> Prepared:
        work = make(setting)
        fill = measure_fill(work.model, work.list_batches(), work.trains)
        return work.prepare(work.make_images().ragged_batch(work.batch), work.pixels, fill)

    def padded(setting: str) -> Prepared:
        work = make(setting)

        def name_inputs(images: Any, labels: Any) -> Any:
            return {"images": images, "sizes": tf.shape(images)[:2]}, labels

        dataset = work.make_images().map(name_inputs).padded_batch(work.batch)
        largest = [len(sizes) * np.prod(sizes.max(axis=0)) for sizes in work.list_batches()]
        return work.prepare(dataset, work.pixels, work.pixels / float(np.sum(largest)))

    def one_at_a_time(setting: str) -> Prepared:
        work = make(setting)
        return work.prepare(work.make_images().batch(1), work.pixels, 1.0)

    case(section, ONE_SIZE, "squares, as many pixels in as many images")(one_size)
    case(section, AS_THEY_COME, "`dataset.ragged_batch`, packed in the graph")(as_they_come)
    case(section, PADDED, '`{"images", "sizes"}`')(padded)
    case(section, ONE_AT_A_TIME, "the same images; in training an update each")(one_at_a_time)


def _square(sizes: np.ndarray) -> np.ndarray:
    """As many squares with as many pixels."""
    return np.full_like(sizes, round(float(sizes.prod(axis=1).mean()) ** 0.5))


def _make_random(setting: str) -> _Work:
    # Full width is twelve times the work.
    return _Work(setting, draw_shapes(16 * (2 if setting.endswith("width 1") else 6)), 16)


def _make_photographs(setting: str) -> _Work:
    short_side = 256 if "256" in setting else None
    return _Work(setting, draw_photographs(64, short_side), 32)


def _make_light(setting: str) -> _Work:
    return _Work(setting, draw_shapes(32), 16)


_register("random", _make_random)
_register("photographs", _make_photographs)
_register("light", _make_light)


class _PipelineWork:
    """The first batches of an epoch of `Pipeline(records, batch_size=32)`."""

    def __init__(self, setting: str):
        self.model = _build_model(setting)
        records = data.load_records("shapes/small", "train", _options().data_dir, progress=False)
        self._steps = max(1, (8 if setting.endswith("0.25") else 3) // _options().shrink)
        self._pipeline = data.Pipeline(records, batch_size=32)

    def make_dataset(self) -> tf.data.Dataset:
        """The batches, which are read once and then in memory."""
        return self._pipeline.dataset().take(self._steps).cache()

    def list_batches(self) -> tuple[list[np.ndarray], int]:
        """Sizes of the images of each batch, and pixels of all batches."""
        batches, pixels = [], 0
        for inputs, *_ in self.make_dataset():
            pixels += int(np.prod(inputs["images"].shape[:3]))
            places = inputs["placements"] if "placements" in inputs else inputs["sizes"]
            sizes = places.numpy()[:, -2:]
            # What fills a batch up is no image.
            batches.append(sizes[sizes.min(axis=1) > 0])
        return batches, pixels


@case("pipeline", ONE_SIZE, "squares in memory, as many pixels in as many images")
def _pipeline_one_size(setting: str) -> Prepared:
    work = _PipelineWork(setting)
    batches, _ = work.list_batches()
    sizes = _square(np.concatenate(batches))
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (len(sizes), *sizes[0], 3), dtype="uint8")
    labels = np.arange(len(sizes), dtype="int32") % _CLASSES
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = dataset.batch(-(-len(sizes) // len(batches)))
    pixels = int(sizes.prod(axis=1, dtype="int64").sum())
    return Prepared(_make_call(work.model, dataset, True), None, pixels, lambda: "1.0")


@case("pipeline", PIPELINE, "batches of `Pipeline(records, batch_size=32)`, in memory")
def _pipeline(setting: str) -> Prepared:
    work = _PipelineWork(setting)
    batches, every = work.list_batches()
    pixels = sum(int(sizes.prod(axis=1, dtype="int64").sum()) for sizes in batches)
    call = _make_call(work.model, work.make_dataset(), True)
    return Prepared(call, None, pixels, lambda: f"{pixels / every}")


def _canvases(count: int) -> None:
    """A case of so many squares of one size, with the pixels of sixteen of 256."""

    def prepare(setting: str) -> Prepared:
        side = round(1024 / _options().shrink / count**0.5)
        sizes = np.full((4 * count, 2), side, "int32")
        work = _Work(setting, sizes, count)
        work.sizes = sizes
        dataset = work.make_images().batch(count)
        return work.prepare(dataset, int(sizes.prod(axis=1, dtype="int64").sum()), 1.0)

    case("canvases", str(count), "")(prepare)


for number in (16, 8, 4, 3, 2, 1):
    _canvases(number)


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    serve(["spp_keras", "tensorflow", "keras", "numpy"])
