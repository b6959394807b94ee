import functools

import backends
import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from spp_keras import layers

both_regions = pytest.mark.parametrize("region", ["across", "within"])
STRONG = {"alpha": 0.3, "beta": 0.75, "bias": 1.5}


def drawn(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@both_regions
@settings(max_examples=backends.examples(30))
@given(
    size=st.sampled_from([1, 3, 5, 9]),
    shape=st.tuples(*[st.integers(1, n) for n in (2, 7, 7, 7)]),
    alpha=st.sampled_from([1e-4, 0.3, 2.0]),
    beta=st.sampled_from([0.5, 0.75, 1.0]),
    bias=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_answers_are_those_of_the_oracle(region, size, shape, alpha, beta, bias, seed):
    x = drawn(shape, seed)
    layer = layers.LocalResponseNormalization(region, size, alpha=alpha, beta=beta, bias=bias)
    expected = oracles.local_response(x, region, size, alpha, beta, bias)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("beta", [0.75, 0.6])
@pytest.mark.parametrize("size", [3, 5])
def test_across_channels_it_is_what_tensorflow_calls_by_that_name(size, beta):
    x = drawn((2, 5, 6, 11))
    layer = layers.LocalResponseNormalization(size=size, alpha=0.2, beta=beta, bias=2.0)
    expected = tf.nn.local_response_normalization(x, size // 2, bias=2.0, alpha=0.2, beta=beta)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)


def test_within_a_channel_the_edge_adds_nothing():
    x = np.ones((1, 3, 3, 1), "float32")
    layer = layers.LocalResponseNormalization("within", 3, alpha=1.0, beta=1.0, bias=1.0)
    expected = 1 / np.array([[5, 7, 5], [7, 10, 7], [5, 7, 5]])
    np.testing.assert_allclose(layer(x)[0, ..., 0], expected, rtol=1e-6)


def test_across_channels_the_edge_adds_nothing():
    x = np.ones((1, 1, 1, 4), "float32")
    layer = layers.LocalResponseNormalization(size=3, alpha=1.0, beta=1.0, bias=1.0)
    np.testing.assert_allclose(layer(x)[0, 0, 0], [1 / 3, 1 / 4, 1 / 4, 1 / 3], rtol=1e-6)


@pytest.mark.tensorflow
@both_regions
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
def test_graphs_give_what_the_eager_layer_gives(region, compiled):
    layer = layers.LocalResponseNormalization(region, 3, **STRONG)
    unknown = None if not compiled else [tf.TensorSpec((2, 9, 7, 4))]
    graph = tf.function(
        layer,
        input_signature=unknown or [tf.TensorSpec((None, None, None, 4))],
        jit_compile=compiled,
    )
    x = drawn((2, 9, 7, 4))
    np.testing.assert_allclose(graph(x), layer(x), rtol=1e-5, atol=1e-7)


@pytest.mark.tensorflow
@both_regions
@pytest.mark.parametrize("beta", [0.75, 0.6])
def test_gradients_are_the_slopes_of_finite_differences(region, beta):
    layer = layers.LocalResponseNormalization(
        region, 3, alpha=0.3, beta=beta, bias=1.5, dtype="float64"
    )
    x, upstream, direction = np.random.default_rng(1).normal(size=(3, 2, 4, 5, 6))
    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(layer(inputs) * upstream)
    slope = oracles.slope(lambda x: np.sum(layer(x).numpy() * upstream), x, direction, reach=1e-5)
    np.testing.assert_allclose(np.sum(tape.gradient(total, inputs) * direction), slope, rtol=1e-6)


@pytest.mark.tensorflow
@both_regions
@pytest.mark.parametrize(
    ("policy", "dtype", "rounding"),
    [
        ("mixed_float16", "float16", 1e-3),
        ("mixed_bfloat16", "bfloat16", 8e-3),
        ("float64", "float64", 1e-12),
    ],
    ids=["float16", "bfloat16", "float64"],
)
def test_squares_of_large_activations_overflow_in_no_float_type(region, policy, dtype, rounding):
    layer = layers.LocalResponseNormalization(region, 5, dtype=policy)
    x = (drawn((1, 6, 6, 8)) * 1000).astype(tf.as_dtype(dtype).as_numpy_dtype)
    answer = layer(tf.constant(x))
    assert answer.dtype == dtype
    expected = oracles.local_response(x, region, 5, layer.alpha, layer.beta, layer.bias)
    np.testing.assert_allclose(answer.numpy().astype("float64"), expected, rtol=rounding)


@functools.cache
def model_of_any_size():
    inputs = keras.Input((None, None, 4))
    return keras.Model(inputs, layers.LocalResponseNormalization("within", 3, **STRONG)(inputs))


@pytest.mark.parametrize("size", [(1, 1), (6, 3), (12, 30)], ids=str)
def test_a_functional_model_takes_every_size(size):
    model, x = model_of_any_size(), drawn((2, *size, 4))
    assert model.output_shape == (None, None, None, 4)
    expected = oracles.local_response(x, "within", 3, **STRONG)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-7)


def test_defaults_are_alexnets():
    layer = layers.LocalResponseNormalization()
    assert (layer.region, layer.size) == ("across", 5)
    assert (layer.alpha, layer.beta, layer.bias) == (1e-4, 0.75, 2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"region": "between"}, "`region` must be one of 'across', 'within'.*region='between'"),
        ({"size": 4}, "`size` must be an odd int >= 1. Received: size=4"),
        ({"size": 0}, "`size` must be an odd int >= 1. Received: size=0"),
        ({"size": -3}, "`size` must be an odd int >= 1. Received: size=-3"),
        ({"size": 3.0}, "`size` must be an odd int >= 1. Received: size=3.0"),
        ({"alpha": 0}, "`alpha` must be a number > 0. Received: alpha=0"),
        ({"alpha": "1"}, "`alpha` must be a number > 0. Received: alpha='1'"),
        ({"beta": -1.0}, "`beta` must be a number > 0. Received: beta=-1.0"),
        ({"beta": float("nan")}, "`beta` must be a number > 0. Received: beta=nan"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.LocalResponseNormalization(**arguments)


@pytest.mark.parametrize("shape", [(4, 4, 3), (1, 2, 4, 4, 3)], ids=["three", "five"])
def test_maps_of_another_rank_are_refused(shape):
    with pytest.raises(ValueError, match=r"`inputs` must have 4 dimensions, \(batch, height, w"):
        layers.LocalResponseNormalization()(np.zeros(shape, "float32"))


@pytest.mark.parametrize("bias", [0, -1.0])
def test_a_bias_that_a_cell_of_zeros_would_be_divided_by_is_refused(bias):
    with pytest.raises(ValueError, match=r"`bias` must be a number > 0. Received: bias="):
        layers.LocalResponseNormalization(bias=bias)
