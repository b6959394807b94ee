"""What 0.1.1 gave, later versions give."""

from pathlib import Path

import numpy as np
import pytest
from frozen import outputs

FILE = Path(__file__).with_name("outputs_0_1_1.npz")
# Of the largest value; floats differ by less between machines.
TOLERANCES = {"learning rates": 1e-4}


@pytest.fixture(scope="module")
def frozen():
    with np.load(FILE, allow_pickle=False) as arrays:
        return dict(arrays)


def of_subject(frozen, subject):
    return {name: it for name, it in frozen.items() if name.startswith(f"{subject}: ")}


def compare(found, expected, tolerance=1e-5):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        if value.dtype.kind == "f":
            largest = np.abs(value[np.isfinite(value)]).max(initial=0)
            np.testing.assert_allclose(
                found[name], value, rtol=tolerance, atol=tolerance * largest, err_msg=name
            )
        else:
            np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("subject", outputs.SUBJECTS)
def test_outputs_are_those_of_0_1_1(subject, frozen):
    compare(outputs.compute(subject), of_subject(frozen, subject), TOLERANCES.get(subject, 1e-5))


def test_the_file_has_no_other_subjects(frozen):
    assert {name.partition(": ")[0] for name in frozen} == set(outputs.SUBJECTS)


@pytest.mark.parametrize("path", ["conv1/kernel", "conv4/kernel", "fc7/kernel"])
def test_a_weight_that_is_a_hundredth_larger_is_noticed(path, frozen, monkeypatch):
    make = outputs.network

    def changed(name, **options):
        model = make(name, **options)
        (weight,) = [each for each in model.weights if outputs.path_of(each) == path]
        weight.assign(1.01 * weight)
        return model

    monkeypatch.setattr(outputs, "network", changed)
    found = outputs.compute("zf5 spp")
    for name, value in of_subject(frozen, "zf5 spp").items():
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            compare({name: found[name]}, {name: value})


def test_the_file_is_not_written_again():
    before = FILE.read_bytes()
    with pytest.raises(SystemExit, match="never made again"):
        outputs.write(FILE)
    assert FILE.read_bytes() == before
