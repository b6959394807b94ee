import functools
import itertools
import re

import backends
import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.python.eager import context

from spp_keras import layers, ops
from spp_keras.ops import _cpu_max_pooling, _grid_pooling

CHANNELS = 3
LEVELS = {
    "paper's 50": (6, 3, 2, 1),
    "paper's 30": (4, 3, 2, 1),
    "one": (1,),
    "coarse first": (1, 2, 4),
    "five": (5,),
    "seven": (7, 1),
    "eight": (8, 4, 2),
    "not square": ((2, 3), (4, 6), (4, 2), (1, 5)),
    "more bins than cells": (13, (41, 2)),
    "twice": (2, 2),
}
SOME_LEVELS = [LEVELS["paper's 50"], LEVELS["not square"], LEVELS["seven"]]
# Of the answer, in units of the values: how far a mean may be off by rounding.
ROUNDING = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-6, "float64": 1e-13}
MAPS = tf.TensorSpec((None, None, None, CHANNELS), tf.float32)
SIZES = tf.TensorSpec((None, 2), tf.int32)
RAGGED = tf.RaggedTensorSpec((None, None, None, CHANNELS), tf.float32, ragged_rank=2)

thoroughly = settings(
    max_examples=backends.examples(25), suppress_health_check=[HealthCheck.too_slow]
)
sides = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
some_levels = st.sampled_from(SOME_LEVELS)
# Kinds of values: without ties, with some, with many.
values = st.sampled_from(["distinct", "normal", "three values"])
batches = st.lists(st.tuples(sides, sides), min_size=1, max_size=4)

both_modes = pytest.mark.parametrize("mode", ["max", "average"])
eager_and_graph = pytest.mark.parametrize("run", ["eager", backends.GRAPH])


def drawn(shape, seed, kind="normal"):
    random = np.random.default_rng(seed)
    if kind == "distinct":
        return (random.permutation(np.prod(shape)).reshape(shape) - 7).astype("float32")
    if kind == "three values":
        return random.integers(-1, 2, shape).astype("float32")
    return random.normal(size=shape).astype("float32")


def drawn_maps(sizes, seed, kind="normal"):
    return [drawn((*size, CHANNELS), seed + i, kind) for i, size in enumerate(sizes)]


@functools.cache
def pooling(levels=(6, 3, 2, 1), mode="max", dtype="float32", data_format="channels_last"):
    return layers.SpatialPyramidPooling(levels, mode, data_format, dtype=dtype)


@functools.cache
def in_graph(layer, form="dense"):
    if form == "padded":
        return tf.function(lambda x, sizes: layer(x, sizes=sizes), input_signature=[MAPS, SIZES])
    specs = {
        "dense": tf.TensorSpec(MAPS.shape, layer.compute_dtype),
        "channels first": tf.TensorSpec((None, CHANNELS, None, None), tf.float32),
        "ragged": RAGGED,
    }
    return tf.function(lambda x: layer(x), input_signature=[specs[form]])


def sizes_of(maps):
    return np.array([one.shape[:2] for one in maps], "int32")


def assert_pooled(answer, maps, levels, mode, rounding=ROUNDING["float32"]):
    answer = np.asarray(answer).astype("float64")
    assert len(answer) == len(maps)
    for vector, one in zip(answer, maps, strict=True):
        expected = oracles.pyramid(one.astype("float64"), levels, mode)
        if mode == "max":
            np.testing.assert_array_equal(vector, expected)
        else:
            scale = max(1.0, np.abs(one.astype("float64")).max())
            np.testing.assert_allclose(vector, expected, rtol=0, atol=rounding * scale)


# Whole batches of one size.


@both_modes
@eager_and_graph
@thoroughly
@given(levels=st.sampled_from(list(LEVELS.values())), rows=sides, columns=sides, seed=seeds)
def test_maps_of_any_size_give_the_pyramid_of_the_oracle(mode, run, levels, rows, columns, seed):
    maps = drawn((2, rows, columns, CHANNELS), seed)
    layer = pooling(levels, mode)
    answer = (backends.quick(layer) if run == "eager" else in_graph(layer))(maps)
    assert_pooled(answer, maps, levels, mode)


@both_modes
def test_a_small_map_gives_the_numbers_that_a_reader_finds_by_eye(mode):
    x = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], "float32")[None, ..., None]
    expected = {"max": [9, 5, 6, 8, 9], "average": [5, 3, 4, 6, 7]}[mode]
    np.testing.assert_allclose(pooling((1, 2), mode)(x), [expected], rtol=1e-6)


def test_a_vector_runs_through_levels_then_rows_then_columns_then_channels():
    x = np.arange(2 * 3 * 2, dtype="float32").reshape(1, 2, 3, 2)
    expected = [*range(12), 10, 11]
    np.testing.assert_array_equal(pooling(((2, 3), (1, 1)))(x), [expected])


@pytest.mark.many_shapes
@both_modes
@eager_and_graph
@pytest.mark.parametrize("dtype", ROUNDING)
@settings(thoroughly, max_examples=backends.examples(8))
@given(rows=sides, columns=sides, seed=seeds)
def test_every_float_type_is_pooled_to_its_own_accuracy(mode, run, dtype, rows, columns, seed):
    maps = drawn((2, rows, columns, CHANNELS), seed).astype(tf.as_dtype(dtype).as_numpy_dtype)
    layer = pooling((6, 3, 2, 1), mode, dtype)
    answer = (backends.quick(layer) if run == "eager" else in_graph(layer))(tf.constant(maps))
    assert answer.dtype == dtype
    assert_pooled(answer, maps, (6, 3, 2, 1), mode, ROUNDING[dtype])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_means_over_large_maps_keep_the_digits_of_half_precision(dtype):
    maps = tf.cast(1 + drawn((1, 60, 60, CHANNELS), 0) / 8, dtype)
    answer = pooling((1,), "average", dtype)(maps)
    assert_pooled(answer, maps.numpy(), (1,), "average", {"float16": 5e-4, "bfloat16": 4e-3}[dtype])


@both_modes
@eager_and_graph
@settings(thoroughly, max_examples=backends.examples(15))
@given(levels=some_levels, rows=sides, columns=sides, seed=seeds)
def test_channels_first_gives_what_channels_last_gives(mode, run, levels, rows, columns, seed):
    maps = drawn((2, rows, columns, CHANNELS), seed)
    layer = pooling(levels, mode, data_format="channels_first")
    answer = (backends.quick(layer) if run == "eager" else in_graph(layer, "channels first"))(
        maps.transpose(0, 3, 1, 2)
    )
    np.testing.assert_array_equal(answer, pooling(levels, mode)(maps))


@pytest.mark.many_shapes
@pytest.mark.parametrize("channels", [1, 2, 17, 64])
def test_any_number_of_channels_is_pooled(channels):
    maps = drawn((2, 9, 11, channels), 3)
    for mode in ("max", "average"):
        assert_pooled(pooling((3, 2), mode)(maps), maps, (3, 2), mode)


@both_modes
@pytest.mark.parametrize("form", ["dense", "padded", backends.RAGGED])
def test_an_empty_batch_gives_no_vectors(mode, form):
    layer = pooling((2, 1), mode)
    x = np.zeros((0, 5, 5, CHANNELS), "float32")
    if form == "padded":
        answer = layer(x, sizes=np.zeros((0, 2), "int32"))
    elif form == "ragged":
        rows = tf.RaggedTensor.from_row_splits(x[:, 0, 0], [0])
        answer = layer(tf.RaggedTensor.from_row_splits(rows, [0]))
    else:
        answer = layer(x)
    assert tuple(answer.shape) == (0, 5 * CHANNELS)


# Mixed sizes.


def mixed_answer(form, run, layer, maps, fill=np.nan):
    if form == "dense":
        return layer(np.stack(maps))
    if form == "ragged":
        batch = tf.ragged.stack(maps)
        return (backends.quick(layer) if run == "eager" else in_graph(layer, "ragged"))(batch)
    x, sizes = oracles.padded(maps, fill), sizes_of(maps)
    if run == "eager":
        return backends.quick(lambda x, sizes: layer(x, sizes=sizes))(x, sizes)
    return in_graph(layer, "padded")(x, sizes)


@both_modes
@eager_and_graph
@pytest.mark.parametrize("form", ["padded", backends.RAGGED])
@settings(thoroughly, max_examples=backends.examples(15))
@given(
    levels=some_levels,
    sizes=batches,
    seed=seeds,
    fill=st.sampled_from([np.nan, np.inf, 3e38, -3e38, 0.0]),
)
def test_a_map_in_a_mixed_batch_gives_what_it_gives_alone(
    mode, run, form, levels, sizes, seed, fill
):
    maps = drawn_maps(sizes, seed)
    layer = pooling(levels, mode)
    answer = mixed_answer(form, run, layer, maps, fill)
    assert_pooled(answer, maps, levels, mode)
    for vector, one in zip(answer, maps, strict=True):
        if mode == "max":
            np.testing.assert_array_equal(vector, layer(one[None])[0])
        else:
            np.testing.assert_allclose(vector, layer(one[None])[0], rtol=1e-5, atol=1e-6)


@pytest.mark.many_shapes
@both_modes
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("form", ["padded", backends.RAGGED])
def test_mixed_sizes_are_pooled_in_every_float_type(mode, dtype, form):
    numpy_dtype = tf.as_dtype(dtype).as_numpy_dtype
    maps = [one.astype(numpy_dtype) for one in drawn_maps([(5, 9), (13, 2), (1, 1)], 4)]
    layer = pooling((6, 3, 2, 1), mode, dtype)
    answer = mixed_answer(form, "eager", layer, maps)
    assert answer.dtype == dtype
    assert_pooled(answer, maps, (6, 3, 2, 1), mode, ROUNDING[dtype])


@pytest.mark.many_shapes
@both_modes
def test_padded_maps_may_have_their_channels_first(mode):
    maps = drawn_maps([(5, 9), (13, 2), (1, 1)], 5)
    x = oracles.padded(maps, np.nan).transpose(0, 3, 1, 2)
    layer = pooling((4, 1), mode, data_format="channels_first")
    assert_pooled(layer(x, sizes=sizes_of(maps)), maps, (4, 1), mode)


@pytest.mark.many_shapes
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_sizes_may_be_integers_of_any_type(dtype):
    maps = drawn_maps([(5, 9), (13, 2)], 6)
    answer = pooling()(oracles.padded(maps, np.nan), sizes=sizes_of(maps).astype(dtype))
    assert_pooled(answer, maps, (6, 3, 2, 1), "max")


def ragged_batch_of_a_dataset(maps):
    spec = tf.TensorSpec((None, None, CHANNELS))
    dataset = tf.data.Dataset.from_generator(lambda: iter(maps), output_signature=spec)
    return next(iter(dataset.ragged_batch(len(maps))))


def ragged_constant(maps):
    return tf.ragged.constant([one.tolist() for one in maps], inner_shape=(CHANNELS,))


def ragged_of_one_width(maps):
    heights = [len(one) for one in maps]
    return tf.RaggedTensor.from_row_lengths(np.concatenate(maps), heights)


@pytest.mark.tensorflow
@both_modes
@eager_and_graph
@pytest.mark.parametrize(
    ("build", "ragged_rank"),
    [
        (ragged_batch_of_a_dataset, 2),
        (tf.ragged.stack, 2),
        (ragged_constant, 2),
        (ragged_of_one_width, 1),
    ],
    ids=["Dataset.ragged_batch", "tf.ragged.stack", "tf.ragged.constant", "one width"],
)
def test_ragged_batches_may_be_built_in_every_usual_way(mode, run, build, ragged_rank):
    maps = drawn_maps([(5, 9), (13, 9), (1, 9)], 8)
    batch = build(maps)
    assert batch.ragged_rank == ragged_rank
    layer = pooling((6, 3, 2, 1), mode)
    function = backends.quick(layer) if run == "eager" else tf.function(lambda x: layer(x))
    assert_pooled(function(batch), maps, (6, 3, 2, 1), mode)


@pytest.mark.parametrize("ragged", [False, backends.IS_RAGGED], ids=["dense", "ragged"])
def test_a_functional_model_takes_maps_of_every_size(ragged):
    inputs = keras.Input((None, None, CHANNELS), ragged=ragged)
    outputs = layers.SpatialPyramidPooling((3, 1))(inputs)
    assert outputs.shape == (None, 10 * CHANNELS)
    model = keras.Model(inputs, outputs)
    if ragged:
        maps = drawn_maps([(5, 9), (13, 2)], 9)
        assert_pooled(model.predict(tf.ragged.stack(maps), verbose=0), maps, (3, 1), "max")
        return
    for size in [(5, 9), (13, 2)]:
        maps = drawn((2, *size, CHANNELS), 9)
        assert_pooled(model.predict(maps, verbose=0), maps, (3, 1), "max")


# Gradients.


@functools.cache
def gradient_in_graph(layer, form):
    def dense(x, upstream):
        return gradient_of(lambda x: layer(x), x, upstream)

    def padded(x, sizes, upstream):
        return gradient_of(lambda x: layer(x, sizes=sizes), x, upstream)

    def ragged(x, upstream):
        return gradient_of(lambda cells: layer(x.with_flat_values(cells)), x.flat_values, upstream)

    vectors = tf.TensorSpec((None, None))
    function, specs = {
        "dense": (dense, [MAPS, vectors]),
        "padded": (padded, [MAPS, SIZES, vectors]),
        "ragged": (ragged, [RAGGED, vectors]),
    }[form]
    return tf.function(function, input_signature=specs)


def gradient_of(function, x, upstream):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tf.convert_to_tensor(tape.gradient(y, x, upstream))


def dense_gradient(layer, x, upstream, run="graph"):
    if run == "graph" and backends.BACKEND == "tensorflow":
        return gradient_in_graph(layer, "dense")(x, upstream).numpy()
    return backends.gradient(layer, x, upstream)


def mixed_gradients(form, layer, maps, upstream, fill=0.0):
    """Gradient by each map of a mixed batch, and by what lies beyond the maps."""
    if form == "ragged":
        batch = tf.ragged.stack(maps)
        cells = gradient_in_graph(layer, "ragged")(batch, upstream).numpy()
        ends = np.cumsum([one.shape[0] * one.shape[1] for one in maps])
        parts = np.split(cells, ends[:-1])
        return [part.reshape(m.shape) for part, m in zip(parts, maps, strict=True)], np.zeros(1)
    x, sizes = oracles.padded(maps, fill), sizes_of(maps)
    if backends.BACKEND == "tensorflow":
        gradient = gradient_in_graph(layer, "padded")(x, sizes, upstream).numpy()
    else:
        gradient = backends.gradient(lambda x: layer(x, sizes=sizes), x, upstream)
    inside = [gradient[i, :rows, :columns] for i, (rows, columns) in enumerate(sizes)]
    return inside, gradient - oracles.masked(gradient, sizes)


def upstream_for(levels, items, seed):
    bins = sum(n * m for n, m in (n if isinstance(n, tuple) else (n, n) for n in levels))
    return drawn((items, bins * CHANNELS), seed + 1000)


@both_modes
@eager_and_graph
@settings(thoroughly, max_examples=backends.examples(15))
@given(levels=some_levels, rows=sides, columns=sides, seed=seeds)
def test_gradients_without_ties_are_those_of_the_oracle(mode, run, levels, rows, columns, seed):
    x = drawn((1, rows, columns, CHANNELS), seed, "distinct")
    upstream = upstream_for(levels, 1, seed)
    gradient = dense_gradient(pooling(levels, mode), x, upstream, run)
    expected = oracles.pyramid_gradient(x[0], levels, mode, upstream[0])
    np.testing.assert_allclose(gradient[0], expected, rtol=1e-5, atol=1e-5)


@both_modes
@pytest.mark.parametrize("form", ["padded", backends.RAGGED])
@settings(thoroughly, max_examples=backends.examples(20))
@given(levels=some_levels, sizes=batches, seed=seeds, kind=values)
def test_a_map_in_a_mixed_batch_gets_the_gradient_it_gets_alone(
    mode, form, levels, sizes, seed, kind
):
    maps = drawn_maps(sizes, seed, kind)
    upstream = upstream_for(levels, len(maps), seed)
    layer = pooling(levels, mode)
    gradients, padding_gradient = mixed_gradients(form, layer, maps, upstream, fill=1e30)
    assert not padding_gradient.any()
    for one, gradient, of_vector in zip(maps, gradients, upstream, strict=True):
        alone = dense_gradient(layer, one[None], of_vector[None])
        np.testing.assert_allclose(gradient, alone[0], rtol=1e-5, atol=1e-5)


@both_modes
def test_what_is_not_a_number_beyond_a_map_does_not_reach_its_gradient(mode):
    maps = drawn_maps([(5, 9), (13, 2), (1, 1)], 10)
    upstream = upstream_for((6, 3, 2, 1), 3, 10)
    layer = pooling((6, 3, 2, 1), mode)
    gradients, padding_gradient = mixed_gradients("padded", layer, maps, upstream, fill=np.nan)
    expected, _ = mixed_gradients("padded", layer, maps, upstream, fill=0.0)
    assert not padding_gradient.any()
    for gradient, same in zip(gradients, expected, strict=True):
        np.testing.assert_array_equal(gradient, same)


@thoroughly
@given(
    levels=st.sampled_from(list(LEVELS.values())),
    rows=sides,
    columns=sides,
    seed=seeds,
    kind=values,
)
def test_ties_leave_all_of_the_gradient_to_maxima_only(levels, rows, columns, seed, kind):
    x = drawn((1, rows, columns, CHANNELS), seed, kind)
    upstream = np.abs(upstream_for(levels, 1, seed)) + 0.1
    gradient = dense_gradient(pooling(levels), x, upstream)[0]
    np.testing.assert_allclose(
        gradient.sum(axis=(0, 1)), upstream.reshape(-1, CHANNELS).sum(axis=0), rtol=1e-4
    )
    assert (gradient >= 0).all()
    assert not gradient[~oracles.maximal_somewhere(x[0], levels)].any()


TIES = [
    ([[5], [1], [5], [0]], [[1], [0], [0], [0]], [[1 / 2], [0], [1 / 2], [0]]),
    ([[5, 1, 5, 0]], [[1, 0, 0, 0]], [[1 / 2, 0, 1 / 2, 0]]),
    ([[2, 2], [2, 2]], [[1, 0], [0, 0]], [[1 / 4, 1 / 4], [1 / 4, 1 / 4]]),
    ([[-1, 0], [0, -1]], [[0, 1], [0, 0]], [[0, 1 / 2], [1 / 2, 0]]),
    (
        [[0, 0], [0, -1], [0, 0]],
        [[1, 0], [0, 0], [0, 0]],
        [[1 / 6, 1 / 6], [1 / 3, 0], [1 / 6, 1 / 6]],
    ),
]


@eager_and_graph
@pytest.mark.parametrize(
    ("x", "first", "shared"),
    TIES,
    ids=["in a column", "in a row", "everywhere", "across", "rows first, then cells"],
)
def test_the_first_tied_cell_gets_the_gradient_and_on_jax_all_share_it(run, x, first, shared):
    x = np.tile(np.array(x, "float32")[None, ..., None], CHANNELS)
    gradient = dense_gradient(pooling((1,)), x, np.ones((1, CHANNELS), "float32"), run)
    expected = shared if backends.BACKEND == "jax" else first
    for channel in range(CHANNELS):
        np.testing.assert_allclose(gradient[0, ..., channel], expected, rtol=1e-6)


@pytest.mark.parametrize("form", ["dense", "padded", backends.RAGGED])
def test_ties_are_settled_alike_in_short_bins_and_in_long_ones(form):
    # Bins of 10 cells are (0, 2), (1, 4), (3, 5), (5, 7), (6, 9), (8, 10).
    first = np.array([1, 1, 0, 1, 0, 1, 1, 0, 1, 0])
    shared = np.array([3, 5, 2, 5, 3, 3, 5, 2, 5, 3]) / 6
    x = np.ones((10, 1, CHANNELS), "float32")
    maps = [x, np.ones((31, 2, CHANNELS), "float32")]
    upstream = np.ones((2, 6 * CHANNELS), "float32")
    layer = pooling(((6, 1),))
    if form == "dense":
        gradient = dense_gradient(layer, x[None], upstream[:1])[0]
    else:
        gradient = mixed_gradients(form, layer, maps, upstream)[0][0]
    expected = shared if backends.BACKEND == "jax" else first
    np.testing.assert_allclose(gradient[:, 0, 0], expected, rtol=1e-6)


@pytest.mark.tensorflow
def test_gradients_have_gradients():
    # Linear in what arrives, and constant in the maps as long as no other cell is maximal.
    x, upstream = tf.constant(drawn((1, 7, 9, CHANNELS), 13)), upstream_for((2, 1), 1, 13)
    weights, arriving = drawn(x.shape, 14), tf.constant(upstream)
    with tf.GradientTape() as outer:
        outer.watch([x, arriving])
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = pooling((2, 1))(x)
        slope = tf.reduce_sum(inner.gradient(y, x, arriving) * weights)
    by_x, by_arriving = outer.gradient(slope, [x, arriving])
    expected = [
        np.sum(oracles.pyramid_gradient(x[0].numpy(), (2, 1), "max", one) * weights[0])
        for one in np.eye(upstream.size)
    ]
    np.testing.assert_allclose(by_arriving[0], expected, rtol=1e-5, atol=1e-5)
    assert by_x is None or not np.any(by_x)


@pytest.mark.tensorflow
def test_gradients_under_xla_are_those_of_the_graph():
    x, upstream = drawn((2, 10, 7, CHANNELS), 11), upstream_for((6, 3, 2, 1), 2, 11)
    layer = pooling()
    compiled = tf.function(lambda x, u: gradient_of(layer.call, x, u), jit_compile=True)
    expected = dense_gradient(layer, x, upstream)
    np.testing.assert_allclose(compiled(tf.constant(x), upstream), expected, atol=1e-5)


# The function for every device and the one for CPUs.

even_counts = pytest.mark.parametrize("bins", [1, 2, 3, 4, 6])


@functools.cache
def both_functions(levels):
    spec = [tf.TensorSpec((None, None, None, 2))]
    return (
        tf.function(lambda x: _grid_pooling.max_pyramid(x, levels), input_signature=spec),
        tf.function(
            lambda x: _cpu_max_pooling._cpu_max_pyramid(levels, x)[0], input_signature=spec
        ),
    )


@pytest.mark.tensorflow
@even_counts
def test_the_function_for_cpus_agrees_at_every_length(bins):
    portable, on_cpu = both_functions(((bins, bins),))
    for length in range(1, 61):
        x = drawn((1, length, 61 - length, 2), length) - 10
        expected = oracles.pyramid(x[0], (bins,), "max")
        np.testing.assert_array_equal(portable(x)[0], expected)
        np.testing.assert_array_equal(on_cpu(x)[0], expected)


@pytest.mark.tensorflow
@even_counts
@pytest.mark.parametrize("length", [1022, 1023, 1024, 1025, 2047])
@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
def test_the_function_for_cpus_agrees_at_lengths_beyond_its_table(bins, length, axis):
    levels = ((bins, bins),)
    x = drawn((1, length, 3, 2) if axis == 0 else (1, 3, length, 2), length)
    for function in both_functions(levels):
        np.testing.assert_array_equal(function(x)[0], oracles.pyramid(x[0], (bins,), "max"))


def implementations(graph_def, name="_max_pyramid_"):
    found = {}
    for function in graph_def.library.function:
        of = function.attr["api_implements"].s.decode() if "api_implements" in function.attr else ""
        if name in of:
            device = function.attr["api_preferred_device"].s.decode()
            found.setdefault(of, {})[device] = function.signature.name
    return found


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["dense", "padded", backends.RAGGED])
def test_a_graph_holds_one_function_for_every_device_and_one_for_cpus(form):
    graph = in_graph(pooling(), form).get_concrete_function().graph
    (functions,) = implementations(graph.as_graph_def()).values()
    assert set(functions) == {"CPU", "GPU"}
    called = {
        node.attr["f"].func.name
        for node in graph.as_graph_def().node
        if node.op in ("PartitionedCall", "StatefulPartitionedCall")
    }
    assert functions["GPU"] in called
    assert functions["CPU"] not in called


@pytest.mark.tensorflow
@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="a GPU keeps the first")
@pytest.mark.parametrize("form", ["dense", "padded", backends.RAGGED])
def test_tensorflow_puts_the_function_for_cpus_in_its_place_on_a_cpu(form):
    maps = drawn_maps([(5, 9), (5, 9)], 12)
    arguments = {
        "dense": (np.stack(maps),),
        "padded": (np.stack(maps), sizes_of(maps)),
        "ragged": (tf.ragged.stack(maps),),
    }[form]
    # A layer of its own, so that this is the graph's first run, in which it is optimized.
    function = in_graph(layers.SpatialPyramidPooling((4, 3, 1)), form)
    graph_def = function.get_concrete_function().graph.as_graph_def()
    (functions,) = implementations(graph_def).values()
    context.enable_run_metadata()
    try:
        function(*arguments)
        metadata = context.export_run_metadata()
    finally:
        context.disable_run_metadata()
    called = {
        node.attr["f"].func.name
        for graphs in metadata.function_graphs
        for graph in [graphs.post_optimization_graph]
        for node in itertools.chain(graph.node, *(f.node_def for f in graph.library.function))
        if node.op in ("PartitionedCall", "StatefulPartitionedCall")
    }
    assert any(name.startswith(functions["CPU"]) for name in called)
    assert not any(name.startswith(functions["GPU"]) for name in called)


# Several images on one map.

PLACEMENTS = np.array(
    [[0, 0, 0, 5, 9], [1, 1, 2, 13, 2], [0, 6, 3, 1, 1], [1, 0, 5, 7, 8], [0, 9, 0, 6, 13]], "int32"
)


def packed(maps, fill):
    canvases = np.full((2, 15, 13, CHANNELS), fill, "float32")
    for one, (canvas, top, left, rows, columns) in zip(maps, PLACEMENTS, strict=True):
        canvases[canvas, top : top + rows, left : left + columns] = one
    return canvases


@both_modes
@eager_and_graph
@pytest.mark.parametrize("kind", ["distinct", "three values"])
@pytest.mark.parametrize("levels", SOME_LEVELS, ids=str)
def test_a_map_on_a_canvas_gives_what_it_gives_alone(mode, run, kind, levels):
    maps = drawn_maps([tuple(place[3:]) for place in PLACEMENTS], 15, kind)
    layer, canvases = pooling(levels, mode), packed(maps, 1e30)
    function = backends.quick if run == "eager" else backends.compiled
    answer = function(lambda x: layer(x, sizes=PLACEMENTS))(canvases)
    assert_pooled(answer, maps, levels, mode)


@both_modes
@pytest.mark.parametrize("kind", ["distinct", "three values"])
@pytest.mark.parametrize("levels", SOME_LEVELS, ids=str)
def test_a_map_on_a_canvas_gets_the_gradient_it_gets_alone(mode, kind, levels):
    maps = drawn_maps([tuple(place[3:]) for place in PLACEMENTS], 16, kind)
    upstream = upstream_for(levels, len(maps), 16)
    layer = pooling(levels, mode)
    gradient = backends.gradient(
        lambda x: layer(x, sizes=PLACEMENTS), packed(maps, 1e5 if mode == "max" else 0.0), upstream
    )
    alone = [
        dense_gradient(layer, one[None], arriving[None])[0]
        for one, arriving in zip(maps, upstream, strict=True)
    ]
    np.testing.assert_allclose(gradient, packed(alone, 0.0), rtol=1e-5, atol=1e-5)


def test_maps_outside_their_canvas_are_refused():
    canvases, outside = np.zeros((2, 15, 13, CHANNELS), "float32"), PLACEMENTS.copy()
    outside[3, 1] = 9
    with pytest.raises(
        ValueError, match=r"inside a canvas.*placements=\[1, 9, 5, 7, 8\] of image 3"
    ):
        pooling()(canvases, sizes=outside)


@pytest.mark.tensorflow
def test_a_functional_model_gives_a_vector_for_each_image_on_its_maps():
    maps, sizes = (
        keras.Input((None, None, CHANNELS), batch_size=2),
        keras.Input((5,), dtype="int32"),
    )
    outputs = layers.SpatialPyramidPooling((2,))(maps, sizes=sizes)
    assert outputs.shape == (None, 4 * CHANNELS)


# What Keras asks of a layer.


def test_defaults_are_the_50_bins_of_the_paper_and_maxima():
    layer = layers.SpatialPyramidPooling()
    assert layer.levels == ((6, 6), (3, 3), (2, 2), (1, 1))
    assert layer.mode == "max"
    assert layer.data_format == keras.config.image_data_format()


# Wrong arguments and bad inputs.


@pytest.mark.parametrize(
    "levels",
    [(), [], 3, None, "12", (0,), (2, 0), (-1,), ((2, 0),), (2.5,), ("6",), (True,), ((1, 2, 3),)],
    ids=repr,
)
def test_levels_that_are_no_counts_of_bins_are_refused(levels):
    rule = "`levels` must be a non-empty sequence of ints >= 1 or (rows, columns) pairs"
    with pytest.raises(ValueError, match=re.escape(rule)) as caught:
        layers.SpatialPyramidPooling(levels)
    assert f"Received: levels={levels!r}" in str(caught.value)


def test_the_level_that_is_wrong_is_named():
    with pytest.raises(ValueError, match="where 0 is neither"):
        layers.SpatialPyramidPooling((6, 0, 1))


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"`mode` must be one of 'max', 'average'.*mode='mean'"):
        layers.SpatialPyramidPooling(mode="mean")


def test_an_unknown_data_format_is_refused():
    with pytest.raises(ValueError, match=r"`data_format` must be one of .*data_format='NHWC'"):
        layers.SpatialPyramidPooling(data_format="NHWC")


@pytest.mark.parametrize("shape", [(4, 4, 3), (1, 2, 4, 4, 3)], ids=["three", "five"])
def test_maps_of_another_rank_are_refused(shape):
    with pytest.raises(ValueError, match=r"`inputs` must have 4 dimensions, \(batch, height, wid"):
        layers.SpatialPyramidPooling()(np.zeros(shape, "float32"))


@pytest.mark.tensorflow
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_maps_of_unknown_channels_are_refused(data_format):
    layer = layers.SpatialPyramidPooling(data_format=data_format)
    with pytest.raises(ValueError, match="`inputs` must have a known number of channels"):
        tf.function(layer).get_concrete_function(tf.TensorSpec((None, None, None, None)))


def ragged_of_rows(*images):
    """Ragged images of ones from the lengths of their rows."""
    rows = tf.RaggedTensor.from_row_lengths(
        tf.ones((sum(map(sum, images)), CHANNELS)), [length for image in images for length in image]
    )
    return tf.RaggedTensor.from_row_lengths(rows, [len(image) for image in images])


@eager_and_graph
@both_modes
@pytest.mark.parametrize(
    ("size", "row"),
    [((6, 5), 1), ((5, 6), 0), ((0, 5), 2), ((5, 0), 1), ((-1, 3), 1)],
    ids=["too high", "too wide", "no rows", "no columns", "negative"],
)
def test_sizes_that_no_map_has_are_refused_and_the_first_is_named(run, mode, size, row):
    layer = pooling((6, 3, 2, 1), mode)
    x, sizes = np.zeros((3, 5, 5, CHANNELS), "float32"), np.full((3, 2), 5, "int32")
    sizes[row:] = size
    rule = "`sizes` must be at least 1 and at most the height and width of the padded batch"
    if run == "eager":
        with pytest.raises(ValueError, match=rule) as caught:
            layer(x, sizes=sizes)
        assert f"Received: sizes={list(size)} of image {row}." in str(caught.value)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rule) as caught:
            in_graph(layer, "padded")(x, sizes)
        expected = f"sizes=] [[{size[0]} {size[1]}]] [of image] [[{row}]]"
        assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([[2.0, 2.0]], "`sizes` must be integers.*of dtype float32"),
        ([[True, True]], "`sizes` must be integers.*of dtype bool"),
        ([2, 2], r"`sizes` must have shape \(batch, 2\).*of shape \(2,\)"),
        ([[2, 2, 3]], r"`sizes` must have shape \(batch, 2\).*of shape \(1, 3\)"),
        ([[2, 2], [2, 2]], r"`sizes` must have shape \(batch, 2\).*batch of 1.*of shape \(2, 2\)"),
    ],
    ids=["floats", "booleans", "one dimension", "three numbers", "another batch"],
)
def test_sizes_that_are_no_sizes_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        pooling()(np.zeros((1, 4, 4, CHANNELS), "float32"), sizes=np.array(sizes))


@eager_and_graph
@both_modes
@pytest.mark.parametrize("size", [(0, 5), (5, 0)], ids=["no rows", "no columns"])
def test_maps_without_cells_are_refused(run, mode, size):
    layer, x = pooling((6, 3, 2, 1), mode), np.zeros((1, *size, CHANNELS), "float32")
    rule = "Feature maps must have at least one row and one column"
    if run == "eager":
        with pytest.raises(ValueError, match=rule):
            layer(x)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rule):
            in_graph(layer)(x)


@pytest.mark.tensorflow
@eager_and_graph
@both_modes
@pytest.mark.parametrize(
    ("images", "rule", "values", "image"),
    [
        (([3, 3], [2], []), "must have at least one row and one column", [0, 0], 2),
        (([3, 3], [0, 0], [2]), "must have at least one row and one column", [2, 0], 1),
        (([3, 3], [2], [2, 4, 3]), "All rows of an image in `inputs` must have one", [2, 4], 2),
        (([3, 3], [0, 1], [2]), "All rows of an image in `inputs` must have one", [0, 1], 1),
    ],
    ids=["no rows", "no columns", "rows of two lengths", "an empty row"],
)
def test_ragged_images_that_are_no_images_are_refused_and_named(
    run, mode, images, rule, values, image
):
    layer, x = pooling((6, 3, 2, 1), mode), ragged_of_rows(*images)
    if run == "eager":
        with pytest.raises(ValueError, match=rule) as caught:
            layer(x)
        assert f"{values} of image {image}." in str(caught.value)
    else:
        with pytest.raises(tf.errors.InvalidArgumentError, match=rule) as caught:
            in_graph(layer, "ragged")(x)
        expected = f"[[{values[0]} {values[1]}]] [of image] [[{image}]]"
        assert expected in str(caught.value)


@pytest.mark.tensorflow
def test_ragged_maps_with_ragged_channels_are_refused():
    x = tf.ragged.constant([[[[1.0, 2.0], [3.0]]], [[[4.0, 5.0]]]])
    with pytest.raises(ValueError, match="with as many channels in every image"):
        layers.SpatialPyramidPooling()(x)


@pytest.mark.tensorflow
def test_sizes_beside_ragged_maps_are_refused():
    with pytest.raises(ValueError, match="`sizes` must be None for ragged `inputs`"):
        pooling()(ragged_of_rows([3, 3]), sizes=np.array([[2, 3]]))


@pytest.mark.tensorflow
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_sizes_of_another_batch_are_refused_in_a_graph(rows):
    x, sizes = np.zeros((3, 5, 5, CHANNELS), "float32"), np.full((rows, 2), 5, "int32")
    with pytest.raises(tf.errors.InvalidArgumentError, match="`sizes` must have"):
        in_graph(pooling(), "padded")(x, sizes)


@pytest.mark.tensorflow
def test_ragged_maps_with_channels_first_are_refused():
    layer = layers.SpatialPyramidPooling(data_format="channels_first")
    with pytest.raises(ValueError, match="`data_format` must be 'channels_last' for ragged"):
        layer(ragged_of_rows([3, 3]))


def test_sizes_may_be_a_list():
    maps = np.random.default_rng(0).normal(size=(1, 5, 6, 2)).astype("float32")
    expected = ops.spatial_pyramid_pool(maps[:, :3, :4], (2, 1))
    np.testing.assert_array_equal(ops.spatial_pyramid_pool(maps, (2, 1), sizes=[[3, 4]]), expected)
