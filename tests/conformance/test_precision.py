import keras
import numpy as np
import pytest
from conformance.subjects import STEP, SUBJECTS, every_subject, maps

from spp_keras import layers

pytestmark = pytest.mark.integration

# Relative to the largest value: some units in the last place of each type.
TOLERANCES = {"float64": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}
every_precision = pytest.mark.parametrize("dtype", TOLERANCES)


def wide(array):
    return np.asarray(keras.ops.cast(array, "float64"))


def outputs(layer, arguments):
    result = layer(**arguments)
    return [x for x in (result if isinstance(result, tuple) else [result]) if x is not None]


@every_subject
@every_precision
def test_a_layer_computes_in_its_type_and_answers_as_in_float32(subject, dtype):
    arguments = subject.inputs(13, 9)
    reference, layer = subject.create(), subject.create(dtype=dtype)
    expected = outputs(reference, arguments)
    layer(**arguments)
    layer.set_weights(reference.get_weights())
    found = outputs(layer, arguments)
    assert keras.backend.standardize_dtype(found[0].dtype) == dtype
    for one, other in zip(found, expected, strict=True):
        limit = TOLERANCES[dtype] * np.abs(wide(other)).max()
        np.testing.assert_allclose(wide(one), wide(other), rtol=0, atol=limit)


@every_subject
def test_a_mixed_policy_answers_in_the_type_it_computes_in(subject):
    layer = subject.create(dtype="mixed_bfloat16")
    found = outputs(layer, subject.inputs(13, 9))
    assert keras.backend.standardize_dtype(found[0].dtype) == "bfloat16"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_means_of_large_maps_keep_the_digits_of_their_type(dtype):
    # A running sum in half precision would stop growing at some 2048.
    features = np.full((1, 90, 110, 1), 3.0, "float32")
    boxes = np.array([[[0, 0, 110 * STEP, 90 * STEP]]], "float32")
    whole = layers.SpatialPyramidPooling((2, 1), "average", dtype=dtype)(features)
    windows = layers.RoISpatialPyramidPooling(STEP, levels=(2, 1), mode="average", dtype=dtype)
    np.testing.assert_array_equal(wide(whole), 3)
    np.testing.assert_array_equal(wide(windows(features, boxes)), 3)


@pytest.mark.parametrize("region", ["across", "within"])
def test_squares_of_large_activations_do_not_overflow_half_precision(region):
    inputs = 1000 + np.abs(maps(6, 7))
    options = {"region": region, "size": 3, "alpha": 1e-4}
    expected = layers.LocalResponseNormalization(**options)(inputs)
    found = layers.LocalResponseNormalization(**options, dtype="float16")(inputs)
    assert np.abs(wide(expected)).min() > 1
    np.testing.assert_allclose(wide(found), wide(expected), rtol=4e-3)


@pytest.mark.parametrize(
    "subject",
    [
        subject
        for subject in SUBJECTS
        if subject.name.startswith(("pyramid", "windows", "adaptive", "roi"))
    ],
    ids=lambda subject: subject.name,
)
def test_double_precision_is_kept_throughout(subject):
    layer, arguments = subject.create(dtype="float64"), subject.inputs(13, 9)
    features = next(iter(arguments))
    one = arguments[features].astype("float64")
    before = wide(layer(**{**arguments, features: one}))
    after = wide(layer(**{**arguments, features: one * (1 + 1e-9)}))
    np.testing.assert_allclose(after, before * (1 + 1e-9), rtol=0, atol=1e-12)
