"""The cases of whole maps in TensorFlow: ours, what Keras and TensorFlow offer, and the floors."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pooling_inputs as inputs
import tensorflow as tf
from pooling_graphs import (
    MAPS,
    RAGGED,
    derived,
    graph,
    one_by_one,
    one_by_one_gradient,
    prepared,
    prepared_gradient,
    slices_first,
    slices_given,
)
from worker import Prepared, case

from spp_keras import _checks
from spp_keras.layers import SpatialPyramidPooling
from spp_keras.ops import _grid_pooling

_LEVELS = _checks.levels(inputs.LEVELS)
_PORTABLE = "`keras.ops` alone, without the kernels of `ops/_cpu_max_pooling.py`"


@case("whole", "spp_keras", "any height and width")
def _whole(setting: str) -> Prepared:
    return prepared(SpatialPyramidPooling(inputs.LEVELS), [MAPS], inputs.maps(setting))


@case("whole", "spp_keras, portable", _PORTABLE)
def _whole_portable(setting: str) -> Prepared:
    return prepared(_portable, [MAPS], inputs.maps(setting))


@case("whole", f"Keras `AdaptiveMaxPooling2D`, {inputs.FIRST}", "one size; `reduce_max` for 1x1")
def _whole_keras_first(setting: str) -> Prepared:
    x = inputs.maps(setting)
    return prepared(_keras_first(), [tf.TensorSpec(x.shape)], x)


@case("whole", f"Keras `AdaptiveMaxPooling2D`, {inputs.GIVEN}", "one size")
def _whole_keras_given(setting: str) -> Prepared:
    x = inputs.maps(setting)
    return prepared(_keras_given(), [tf.TensorSpec(x.shape)], x)


@case("whole", f"TensorFlow slices, {inputs.FIRST}", "any height and width; a slice a bin")
def _whole_slices_first(setting: str) -> Prepared:
    return prepared(slices_first, [MAPS], inputs.maps(setting))


@case("whole", f"TensorFlow slices, {inputs.GIVEN}", "any height and width; a slice a bin")
def _whole_slices_given(setting: str) -> Prepared:
    return prepared(slices_given, [MAPS], inputs.maps(setting))


@case("whole", "floor: one `tf.reduce_max`", "reads the maps once")
def _whole_floor(setting: str) -> Prepared:
    maxima = graph(lambda x: tf.reduce_max(x, axis=(1, 2)), [MAPS])
    x = tf.constant(inputs.maps(setting))
    return Prepared(lambda: maxima(x))


@case("gradient", "spp_keras", "any height and width; the first of a tie has it all")
def _gradient(setting: str) -> Prepared:
    return _gradient_of(SpatialPyramidPooling(inputs.LEVELS), setting)


@case("gradient", "spp_keras, portable", _PORTABLE)
def _gradient_portable(setting: str) -> Prepared:
    return _gradient_of(_portable, setting)


@case("gradient", f"Keras `AdaptiveMaxPooling2D`, {inputs.FIRST}", "one size; `reduce_max` for 1x1")
def _gradient_keras_first(setting: str) -> Prepared:
    return _gradient_of(_keras_first(), setting, one_size=True)


@case("gradient", f"Keras `AdaptiveMaxPooling2D`, {inputs.GIVEN}", "one size")
def _gradient_keras_given(setting: str) -> Prepared:
    return _gradient_of(_keras_given(), setting, one_size=True)


@case("gradient", f"TensorFlow slices, {inputs.FIRST}", "any height and width; ties share")
def _gradient_slices_first(setting: str) -> Prepared:
    return _gradient_of(slices_first, setting)


@case("gradient", f"TensorFlow slices, {inputs.GIVEN}", "any height and width; the first of a tie")
def _gradient_slices_given(setting: str) -> Prepared:
    return _gradient_of(slices_given, setting)


@case("mixed", "spp_keras", "ragged tensor")
def _mixed(setting: str) -> Prepared:
    return prepared(SpatialPyramidPooling(inputs.LEVELS), [RAGGED], _ragged_maps())


@case("mixed", "spp_keras, portable", _PORTABLE)
def _mixed_portable(setting: str) -> Prepared:
    return prepared(_portable_ragged, [RAGGED], _ragged_maps())


@case("mixed", "spp_keras, padded", "padded tensor and `sizes`")
def _mixed_padded(setting: str) -> Prepared:
    pool = SpatialPyramidPooling(inputs.LEVELS)
    sizes = np.array([x.shape[:2] for x in inputs.mixed_maps()], "int32")
    return prepared(
        lambda x, sizes: pool(x, sizes=sizes),
        [MAPS, tf.TensorSpec((None, 2), tf.int32)],
        _ragged_maps().to_tensor(),
        sizes,
    )


@case("mixed", "spp_keras, one by one", "sixteen calls")
def _mixed_one_by_one(setting: str) -> Prepared:
    return one_by_one(SpatialPyramidPooling(inputs.LEVELS))


@case("mixed", f"TensorFlow slices, one by one, {inputs.FIRST}", "sixteen calls")
def _mixed_slices_first(setting: str) -> Prepared:
    return one_by_one(slices_first)


@case("mixed", f"TensorFlow slices, one by one, {inputs.GIVEN}", "sixteen calls")
def _mixed_slices_given(setting: str) -> Prepared:
    return one_by_one(slices_given)


@case("mixed", "floor: one `tf.reduce_max`", "reads the maps once")
def _mixed_floor(setting: str) -> Prepared:
    maxima = graph(lambda x: tf.reduce_max(x.flat_values, axis=0), [RAGGED])
    ragged = _ragged_maps()
    return Prepared(lambda: maxima(ragged))


@case("mixed gradient", "spp_keras", "ragged tensor; the first of a tie has it all")
def _mixed_gradient(setting: str) -> Prepared:
    return _mixed_gradient_of(SpatialPyramidPooling(inputs.LEVELS))


@case("mixed gradient", "spp_keras, portable", _PORTABLE)
def _mixed_gradient_portable(setting: str) -> Prepared:
    return _mixed_gradient_of(_portable_ragged)


@case("mixed gradient", "spp_keras, one by one", "sixteen calls")
def _mixed_gradient_one_by_one(setting: str) -> Prepared:
    return one_by_one_gradient(SpatialPyramidPooling(inputs.LEVELS))


@case("mixed gradient", f"TensorFlow slices, one by one, {inputs.FIRST}", "sixteen calls")
def _mixed_gradient_slices_first(setting: str) -> Prepared:
    return one_by_one_gradient(slices_first)


@case("mixed gradient", f"TensorFlow slices, one by one, {inputs.GIVEN}", "sixteen calls")
def _mixed_gradient_slices_given(setting: str) -> Prepared:
    return one_by_one_gradient(slices_given)


def _portable(x: tf.Tensor) -> tf.Tensor:
    """What the layer computes on every backend but TensorFlow."""
    return _grid_pooling.max_pyramid(x, _LEVELS)


def _portable_ragged(x: tf.RaggedTensor) -> tf.Tensor:
    """The same for a ragged batch: padded maps, and the cells of each that count."""
    sizes = tf.stack([x.row_lengths(), tf.reduce_max(x.row_lengths(2), axis=1)], axis=1)
    return _grid_pooling.max_pyramid(x.to_tensor(), _LEVELS, tf.cast(sizes, tf.int32))


def _keras_first() -> Callable[[tf.Tensor], tf.Tensor]:
    # Without a graph its output size 1 ends the interpreter by SIGFPE; in one it cannot be built.
    levels = [keras.layers.AdaptiveMaxPooling2D(bins) for bins in inputs.LEVELS if bins > 1]

    def pyramid(x: tf.Tensor) -> tf.Tensor:
        grids = [level(x) for level in levels] + [tf.reduce_max(x, axis=(1, 2))]
        return tf.concat([tf.reshape(grid, (x.shape[0], -1)) for grid in grids], axis=1)

    return pyramid


def _keras_given() -> Callable[[tf.Tensor], tf.Tensor]:
    finest = keras.layers.AdaptiveMaxPooling2D(6)
    return lambda x: derived(finest(x))


def _gradient_of(function: Callable[..., Any], setting: str, one_size: bool = False) -> Prepared:
    x = inputs.maps(setting)
    signature: Sequence[tf.TensorSpec] = [tf.TensorSpec(x.shape) if one_size else MAPS]
    return prepared_gradient(function, len(x), list(signature), x)


def _mixed_gradient_of(function: Callable[..., Any]) -> Prepared:
    return prepared_gradient(function, len(inputs.mixed_maps()), [RAGGED], _ragged_maps())


def _ragged_maps() -> tf.RaggedTensor:
    return tf.ragged.stack(inputs.mixed_maps())
