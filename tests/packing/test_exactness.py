"""Ragged batches, packed on canvases by the network itself, held against images alone.

`benchmarks/packing_exactness.py` does it at length.
"""

import importlib
from pathlib import Path

import any_size_cases as cases
import keras
import numpy as np
import pytest
import random_networks
import tensorflow as tf
from hypothesis import HealthCheck, Phase, assume, given, note, settings
from hypothesis import strategies as st

from spp_keras import any_size
from spp_keras.models.graph_run import find_entrance

pytestmark = pytest.mark.tensorflow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# Keras itself computes layer and group normalizations to seven digits.
TOLERANCE = 3e-6
# Steps from the least height and width that the network takes.
STEPS = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), min_size=1, max_size=7)
SETTINGS = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    # To make a failing network smaller takes minutes.
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}


@pytest.fixture(scope="module")
def double_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.usefixtures("double_precision")
@settings(max_examples=6, **SETTINGS)
@given(random_networks.networks(), STEPS)
def test_answers_to_ragged_batches_are_those_of_images_alone(network, steps):
    check(network, steps)


@pytest.mark.integration
@pytest.mark.usefixtures("double_precision")
@settings(max_examples=60, **SETTINGS)
@given(random_networks.networks(most=7), STEPS)
def test_answers_of_many_networks_to_ragged_batches_are_those_of_images_alone(network, steps):
    check(network, steps)


def check(plan, steps):
    original = plan.build()
    converted = any_size(original)
    entrance = find_entrance(converted)
    least = entrance.min_size
    sizes = [(least + rows, least + columns) for rows, columns in steps]
    # Duplicates beside others.
    sizes += sizes[:1]
    assume(all(cases.fits(entrance, axis, size[axis]) for size in sizes for axis in (0, 1)))
    cases.randomize(original, side=least + 30)
    images = cases.make_images(sizes, random_networks.CHANNELS)
    images = [image.astype("float64") for image in images]
    note(f"{sizes}, {entrance.canvas_rules}")

    packed = converted(tf.ragged.stack(images))

    alone = [cases._flatten(original(image[np.newaxis])) for image in images]
    assert cases._measure(alone, packed, range(len(images))) < TOLERANCE


@pytest.mark.integration
def test_a_twentieth_of_the_batches_of_the_benchmark_are_exact(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    benchmark = importlib.import_module("packing_exactness")

    assert benchmark.main(["--fraction", "0.05", "--out", str(tmp_path)]) == 0
