"""The cases of windows in TensorFlow: ours, its own operations, keras-cv, and the floor."""

from collections.abc import Callable

import numpy as np
import pooling_inputs as inputs
import tensorflow as tf
from pooling_graphs import (
    MAPS,
    derived,
    graph,
    prepared,
    prepared_gradient,
    slices_first,
    slices_given,
)
from worker import Prepared, case

from spp_keras.layers import RoISpatialPyramidPooling

_STEP = 16
_BOXES = tf.TensorSpec((None, None, 4))
_SLICED = [tf.TensorSpec((None, None, inputs.CHANNELS)), tf.TensorSpec((None, 4), tf.int32)]
_ANY = "any height, width and number of windows; `keras.ops` alone"


@case("windows", "spp_keras", _ANY)
def _windows(setting: str) -> Prepared:
    pool = RoISpatialPyramidPooling(_STEP, 0, levels=inputs.LEVELS)
    return prepared(pool, [MAPS, _BOXES], inputs.feature_map()[np.newaxis], _boxes(setting))


@case("windows gradient", "spp_keras", _ANY)
def _windows_gradient(setting: str) -> Prepared:
    pool = RoISpatialPyramidPooling(_STEP, 0, levels=inputs.LEVELS)
    boxes = _boxes(setting)
    x = inputs.feature_map()[np.newaxis]
    return prepared_gradient(pool, boxes.shape[1], [MAPS, _BOXES], x, boxes)


@case("windows", f"TensorFlow slices, {inputs.FIRST}", "`tf.map_fn`, a slice a bin")
def _windows_slices_first(setting: str) -> Prepared:
    return prepared(_sliced(slices_first), _SLICED, *_map_and_windows(setting))


@case("windows", f"TensorFlow slices, {inputs.GIVEN}", "`tf.map_fn`, a slice a bin")
def _windows_slices_given(setting: str) -> Prepared:
    return prepared(_sliced(slices_given), _SLICED, *_map_and_windows(setting))


@case("windows", "`tf.image.crop_and_resize`", "12x12 samples, max pooled: an approximation")
def _windows_resized(setting: str) -> Prepared:
    top, left, bottom, right = inputs.windows(setting).T.astype("float32")
    height, width = (side - 1 for side in inputs.MAP)
    boxes = np.stack([top / height, left / width, (bottom - 1) / height, (right - 1) / width], 1)

    def pool(x: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        items = tf.zeros_like(boxes[:, 0], tf.int32)
        samples = tf.image.crop_and_resize(x, boxes, items, (12, 12))
        return derived(tf.nn.max_pool2d(samples, 2, 2, "VALID"))

    signature = [MAPS, tf.TensorSpec((None, 4))]
    return prepared(pool, signature, inputs.feature_map()[np.newaxis], boxes)


@case("windows", "floor: `tf.fill`", "writes the 102 MB of the answer")
def _windows_floor(setting: str) -> Prepared:
    fill = graph(
        lambda count: tf.fill((count, inputs.BINS * inputs.CHANNELS), 1.0),
        [tf.TensorSpec((), tf.int32)],
    )
    count = tf.constant(len(inputs.windows(setting)))
    return Prepared(lambda: fill(count))


@case("apart", "keras-cv `ROIPooler`", "its graph grows with the number of windows")
def _windows_keras_cv(setting: str) -> Prepared:
    import keras_cv  # Of the extra `augment`.

    pools = [
        keras_cv.layers.ROIPooler("yxyx", (bins, bins), (*inputs.MAP, 3)) for bins in inputs.LEVELS
    ]
    x = inputs.feature_map()[np.newaxis]
    windows = inputs.windows(setting).astype("float32")[np.newaxis]

    def pool(x: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
        return tf.concat(
            [tf.reshape(level(x, windows), (windows.shape[1], -1)) for level in pools], axis=1
        )

    return prepared(pool, [tf.TensorSpec(x.shape), tf.TensorSpec(windows.shape)], x, windows)


def _boxes(setting: str) -> np.ndarray:
    # Cell i is centered on pixel 16 i: half a step on either side of the centers.
    top, left, bottom, right = _STEP * inputs.windows(setting).T - _STEP // 2
    return np.stack([left, top, right, bottom], axis=1).astype("float32")[np.newaxis]


def _map_and_windows(setting: str) -> tuple[np.ndarray, np.ndarray]:
    return inputs.feature_map(), inputs.windows(setting).astype("int32")


def _sliced(
    pyramid: Callable[[tf.Tensor], tf.Tensor],
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The pyramid of each window of a map, window by window."""

    def pool(x: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
        def window(edges: tf.Tensor) -> tf.Tensor:
            top, left, bottom, right = tf.unstack(edges)
            return pyramid(x[tf.newaxis, top:bottom, left:right])[0]

        signature = tf.TensorSpec((inputs.BINS * inputs.CHANNELS,))
        return tf.map_fn(window, windows, fn_output_signature=signature)

    return pool
