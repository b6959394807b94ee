"""The cases that run in TensorFlow: ours, what Keras and TensorFlow offer, and the floors."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pooling_inputs as inputs
import tensorflow as tf
from worker import THREADS, Prepared, case, serve

from spp_keras.layers import RoiSpatialPyramidPooling, SpatialPyramidPooling
from spp_keras.zoo import zf5_spp

_STEP = 16
_SIZES = inputs.image_sizes()
_SHARE = _SIZES.prod(axis=1).sum() / (len(_SIZES) * _SIZES.max(axis=0).prod())
_MAPS = tf.TensorSpec((None, None, None, inputs.CHANNELS))
_RAGGED = tf.RaggedTensorSpec((None, None, None, inputs.CHANNELS), ragged_rank=2)
_BOXES = tf.TensorSpec((None, None, 4))


@case("whole", "spp_keras", "any height and width")
def _whole(setting: str) -> Prepared:
    return _prepared(SpatialPyramidPooling(inputs.LEVELS), [_MAPS], inputs.maps(setting))


@case("whole", "Keras `AdaptiveMaxPooling2D`", "one size; `reduce_max` for 1x1, where it fails")
def _whole_keras(setting: str) -> Prepared:
    # Without a graph its output size 1 ends the interpreter by SIGFPE; in one it cannot be built.
    levels = [keras.layers.AdaptiveMaxPooling2D(bins) for bins in inputs.LEVELS if bins > 1]

    def pyramid(x: tf.Tensor) -> tf.Tensor:
        grids = [level(x) for level in levels] + [tf.reduce_max(x, axis=(1, 2))]
        return tf.concat([tf.reshape(grid, (x.shape[0], -1)) for grid in grids], axis=1)

    x = inputs.maps(setting)
    return _prepared(pyramid, [tf.TensorSpec(x.shape)], x)


@case("whole", "TensorFlow slices", "any height and width; a slice a bin")
def _whole_slices(setting: str) -> Prepared:
    return _prepared(_slices, [_MAPS], inputs.maps(setting))


@case("whole", "floor: one `tf.reduce_max`", "reads the maps once")
def _whole_floor(setting: str) -> Prepared:
    maxima = _graph(lambda x: tf.reduce_max(x, axis=(1, 2)), [_MAPS])
    x = tf.constant(inputs.maps(setting))
    return Prepared(lambda: maxima(x))


@case("mixed", "spp_keras", "ragged tensor")
def _mixed(setting: str) -> Prepared:
    ragged = tf.ragged.stack(inputs.mixed_maps())
    return _prepared(SpatialPyramidPooling(inputs.LEVELS), [_RAGGED], ragged)


@case("mixed", "spp_keras, padded", "padded tensor and `sizes`")
def _mixed_padded(setting: str) -> Prepared:
    pool = SpatialPyramidPooling(inputs.LEVELS)
    maps = inputs.mixed_maps()
    sizes = np.array([x.shape[:2] for x in maps], "int32")
    return _prepared(
        lambda x, sizes: pool(x, sizes=sizes),
        [_MAPS, tf.TensorSpec((None, 2), tf.int32)],
        tf.ragged.stack(maps).to_tensor(),
        sizes,
    )


@case("mixed", "spp_keras, one by one", "sixteen calls")
def _mixed_one_by_one(setting: str) -> Prepared:
    return _one_by_one(SpatialPyramidPooling(inputs.LEVELS))


@case("mixed", "TensorFlow slices, one by one", "sixteen calls")
def _mixed_slices(setting: str) -> Prepared:
    return _one_by_one(_slices)


@case("mixed", "floor: one `tf.reduce_max`", "reads the maps once")
def _mixed_floor(setting: str) -> Prepared:
    maxima = _graph(lambda x: tf.reduce_max(x.flat_values, axis=0), [_RAGGED])
    ragged = tf.ragged.stack(inputs.mixed_maps())
    return Prepared(lambda: maxima(ragged))


@case("gradient", "spp_keras", "any height and width; ties share")
def _gradient(setting: str) -> Prepared:
    pool = SpatialPyramidPooling(inputs.LEVELS)
    mixed = "mixed" in setting

    def gradient(x: Any, upstream: tf.Tensor) -> tf.Tensor:
        source = x.flat_values if mixed else x
        with tf.GradientTape() as tape:
            tape.watch(source)
            y = pool(x)
        return tape.gradient(y, source, upstream)

    maps = _RAGGED if mixed else _MAPS
    graph = _graph(gradient, [maps, tf.TensorSpec((None, inputs.BINS * inputs.CHANNELS))])
    x = tf.ragged.stack(inputs.mixed_maps()) if mixed else tf.constant(inputs.maps(setting))
    upstream = tf.constant(inputs.upstream(setting))
    return Prepared(
        lambda: graph(x, upstream), lambda result: result.numpy().reshape(-1, inputs.CHANNELS)
    )


@case("windows", "spp_keras", "any height, width and number of windows")
def _windows(setting: str) -> Prepared:
    # Cell i is centred on pixel 16 i: half a step on either side of the centres.
    top, left, bottom, right = _STEP * inputs.windows(setting).T - _STEP // 2
    boxes = np.stack([left, top, right, bottom], axis=1).astype("float32")[np.newaxis]
    pool = RoiSpatialPyramidPooling(_STEP, 0, levels=inputs.LEVELS)
    return _prepared(pool, [_MAPS, _BOXES], inputs.feature_map()[np.newaxis], boxes)


@case("windows", "TensorFlow slices", "`tf.map_fn`, a slice a bin")
def _windows_slices(setting: str) -> Prepared:
    def pool(x: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
        def window(edges: tf.Tensor) -> tf.Tensor:
            top, left, bottom, right = tf.unstack(edges)
            return _slices(x[tf.newaxis, top:bottom, left:right])[0]

        signature = tf.TensorSpec((inputs.BINS * inputs.CHANNELS,))
        return tf.map_fn(window, windows, fn_output_signature=signature)

    signature = [tf.TensorSpec((None, None, inputs.CHANNELS)), tf.TensorSpec((None, 4), tf.int32)]
    return _prepared(pool, signature, inputs.feature_map(), inputs.windows(setting).astype("int32"))


@case("windows", "`tf.image.crop_and_resize`", "12x12 samples, max pooled: an approximation")
def _windows_resized(setting: str) -> Prepared:
    top, left, bottom, right = inputs.windows(setting).T.astype("float32")
    height, width = (side - 1 for side in inputs.MAP)
    boxes = np.stack([top / height, left / width, (bottom - 1) / height, (right - 1) / width], 1)

    def pool(x: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        items = tf.zeros_like(boxes[:, 0], tf.int32)
        grid, grids = tf.image.crop_and_resize(x, boxes, items, (12, 12)), {}
        for bins, source, size in ((6, 12, 2), (3, 6, 2), (2, 6, 3), (1, 2, 2)):
            grids[bins] = tf.nn.max_pool2d(grids.get(source, grid), size, size, "VALID")
        flat = [tf.reshape(grids[bins], (-1, bins**2 * inputs.CHANNELS)) for bins in inputs.LEVELS]
        return tf.concat(flat, axis=1)

    signature = [_MAPS, tf.TensorSpec((None, 4))]
    return _prepared(pool, signature, inputs.feature_map()[np.newaxis], boxes)


@case("windows", "floor: `tf.fill`", "writes the 102 MB of the answer")
def _windows_floor(setting: str) -> Prepared:
    fill = _graph(
        lambda count: tf.fill((count, inputs.BINS * inputs.CHANNELS), 1.0),
        [tf.TensorSpec((), tf.int32)],
    )
    count = tf.constant(len(inputs.windows(setting)))
    return Prepared(lambda: fill(count))


@case("apart", "keras-cv `ROIPooler`", "its graph grows with the number of windows")
def _windows_keras_cv(setting: str) -> Prepared:
    import keras_cv

    pools = [
        keras_cv.layers.ROIPooler("yxyx", (bins, bins), (*inputs.MAP, 3)) for bins in inputs.LEVELS
    ]
    x = inputs.feature_map()[np.newaxis]
    windows = inputs.windows("ten").astype("float32")[np.newaxis]

    def pool(x: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
        return tf.concat([tf.reshape(level(x, windows), (10, -1)) for level in pools], axis=1)

    return _prepared(pool, [tf.TensorSpec(x.shape), tf.TensorSpec(windows.shape)], x, windows)


@case("network", "one ragged batch", f"eight sizes: {_SHARE:.0%} of the padded batch is images")
def _network(setting: str) -> Prepared:
    ragged = tf.ragged.stack(inputs.images())
    step = _step(setting, tf.RaggedTensorSpec((None, None, None, 3), ragged_rank=2))
    return Prepared(lambda: step(ragged), _answer_of(setting), _pixels(_SIZES))


@case("network", "two ragged batches", "the same images, upright and lying apart")
def _network_sorted(setting: str) -> Prepared:
    images = inputs.images()
    batches = [tf.ragged.stack(images[first::2]) for first in (0, 1)]
    step = _step(setting, tf.RaggedTensorSpec((None, None, None, 3), ragged_rank=2))
    order = np.argsort([*range(0, 8, 2), *range(1, 8, 2)])

    def call() -> tf.Tensor:
        return tf.gather(tf.concat([step(batch) for batch in batches], axis=0), order)

    return Prepared(call, _answer_of(setting), _pixels(_SIZES))


@case("network", "one by one", "the same images; in training an update each")
def _network_one_by_one(setting: str) -> Prepared:
    images = [tf.constant(image[np.newaxis]) for image in inputs.images()]
    step = _step(setting, tf.TensorSpec((None, None, None, 3)))
    return Prepared(
        lambda: tf.concat([step(image) for image in images], axis=0),
        _answer_of(setting),
        _pixels(_SIZES),
    )


@case("network", "one batch of one size", "eight squares, as many pixels")
def _network_equal(setting: str) -> Prepared:
    batch = tf.constant(np.stack(inputs.images(equal=True)))
    step = _step(setting, tf.TensorSpec((None, None, None, 3)))
    return Prepared(lambda: step(batch), pixels=_pixels(inputs.image_sizes(equal=True)))


def _prepared(function: Callable[..., Any], signature: list[Any], *values: Any) -> Prepared:
    """A function to `(items, bins * channels)`, in a graph, with its inputs."""
    graph = _graph(function, signature)
    tensors = [tf.convert_to_tensor(v) if isinstance(v, np.ndarray) else v for v in values]
    return Prepared(lambda: graph(*tensors), _by_bin)


def _graph(function: Callable[..., Any], signature: list[Any]) -> Callable[..., Any]:
    return tf.function(
        lambda *tensors: function(*tensors), input_signature=signature, autograph=False
    )


def _one_by_one(function: Callable[..., Any]) -> Prepared:
    graph = _graph(function, [_MAPS])
    maps = [tf.constant(x[np.newaxis]) for x in inputs.mixed_maps()]
    return Prepared(lambda: tf.concat([graph(x) for x in maps], axis=0), _by_bin)


def _by_bin(vectors: tf.Tensor) -> np.ndarray:
    return vectors.numpy().reshape(-1, inputs.BINS, inputs.CHANNELS)


def _slices(x: tf.Tensor) -> tf.Tensor:
    _, height, width, _ = tf.unstack(tf.shape(x))
    cells = []
    for bins in inputs.LEVELS:
        for i in range(bins):
            for j in range(bins):
                rows, columns = inputs.edges(i, height, bins), inputs.edges(j, width, bins)
                cells.append(tf.reduce_max(x[:, slice(*rows), slice(*columns)], axis=(1, 2)))
    return tf.concat(cells, axis=1)


@functools.cache
def _model() -> tuple[keras.Model, keras.optimizers.Optimizer]:
    keras.utils.set_random_seed(0)
    model = zf5_spp(classes=1000, classifier_activation=None)
    # So small a rate that weights stay as they are however many steps are measured.
    optimizer = keras.optimizers.SGD(1e-12)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def _step(setting: str, signature: Any) -> Callable[..., Any]:
    """Scores of images, in "training" with an update of the weights."""
    model, optimizer = _model()

    def step(images: Any) -> tf.Tensor:
        if setting == "forward":
            return model(images)
        with tf.GradientTape() as tape:
            scores = model(images, training=True)
            labels = tf.zeros((tf.shape(scores)[0],), tf.int32)
            loss = tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(labels, scores, from_logits=True)
            )
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        return scores

    return _graph(step, [signature])


def _answer_of(setting: str) -> Callable[[tf.Tensor], np.ndarray] | None:
    # In training dropout makes each answer another.
    return (lambda scores: scores.numpy()) if setting == "forward" else None


def _pixels(sizes: np.ndarray) -> int:
    return int(sizes.prod(axis=1).sum())


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    serve(["spp_keras", "tensorflow", "keras", "numpy"])
