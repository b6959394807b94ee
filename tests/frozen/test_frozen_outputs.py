"""Outputs must be those of 0.1.1."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from frozen import inputs, network_outputs, outputs
from frozen.old_names import CHANGED_RECIPES

from spp_keras import zoo

pytestmark = pytest.mark.integration

FILE = Path(__file__).with_name("outputs_0_1_1.npz")
FILE_SHA256 = "c681ecb03528403e4fcda5414508f530e04592517acaeb0e9c1e9fa5ae867f2f"
# Relative to the largest value; floats differ by less between machines.
TOLERANCES = {"learning rates": 1e-4}


@pytest.fixture(scope="module")
def frozen():
    with np.load(FILE, allow_pickle=False) as arrays:
        return dict(arrays)


def select_subject(frozen, subject):
    changed = {f"recipes: {name}" for name in CHANGED_RECIPES}
    return {
        name: value
        for name, value in frozen.items()
        if name.startswith(f"{subject}: ") and name not in changed
    }


def check_equal(actual, expected, tolerance=1e-5):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        if value.dtype.kind == "f":
            largest = np.abs(value[np.isfinite(value)]).max(initial=0)
            np.testing.assert_allclose(
                actual[name], value, rtol=tolerance, atol=tolerance * largest, err_msg=name
            )
        else:
            np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.mark.parametrize("subject", outputs.SUBJECTS)
def test_outputs_are_those_of_0_1_1(subject, frozen):
    expected = select_subject(frozen, subject)
    check_equal(outputs.compute(subject), expected, TOLERANCES.get(subject, 1e-5))


def test_the_file_has_no_other_subjects(frozen):
    assert {name.partition(": ")[0] for name in frozen} == set(outputs.SUBJECTS)


@pytest.mark.parametrize("path", ["conv1/kernel", "conv4/kernel", "fc7/kernel"])
def test_a_weight_that_is_a_hundredth_larger_is_noticed(path, frozen, monkeypatch):
    make_network = network_outputs.make_network

    def make_changed_network(name, **options):
        model = make_network(name, **options)
        (weight,) = [weight for weight in model.weights if inputs.weight_path(weight) == path]
        weight.assign(1.01 * weight)
        return model

    monkeypatch.setattr(network_outputs, "make_network", make_changed_network)
    actual = outputs.compute("zf5 spp")
    for name, value in select_subject(frozen, "zf5 spp").items():
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            check_equal({name: actual[name]}, {name: value})


def test_the_file_was_never_made_again():
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == FILE_SHA256


def test_a_weights_file_of_0_1_1_fits_the_network_of_now():
    options = {"classes": 2, "width": 0.01, "levels": (1,)}
    loaded = zoo.zf5_spp(weights=str(FILE.with_name("zf5_spp_0_1_1.weights.h5")), **options)
    expected = inputs.fill_weights(zoo.zf5_spp(**options))
    for weight, value in zip(loaded.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(weight, value, err_msg=weight.path)
