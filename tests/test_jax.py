"""Tests of layers, operations and networks once more, with JAX behind Keras.

Tests that need TensorFlow have the marker `tensorflow`; those with shapes for each of which
JAX would compile every operation anew have `many_shapes`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Most of the time is compiling what runs once.
QUICKLY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICKLY}
TESTS = ["tests/layers", "tests/ops", "tests/zoo/test_every_backend.py"]
MARKERS = "not tensorflow and not many_shapes and not integration"


def run(*command):
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **JAX},
        timeout=600,
        capture_output=True,
        text=True,
    )


@pytest.mark.integration
def test_layers_operations_and_networks_pass_their_tests_on_jax():
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", MARKERS, *TESTS)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


@pytest.mark.integration
def test_layers_and_operations_on_jax_do_not_load_tensorflow():
    code = """
import sys
import numpy as np
from spp_keras import layers, ops
layers.RoISpatialPyramidPooling(1)(np.ones((1, 4, 4, 1)), np.ones((1, 1, 4)))
ops.roi_align(np.ones((1, 4, 4, 1)), np.ones((1, 1, 4)), 2)
print("tensorflow" in sys.modules)
"""
    done = run("-c", code)
    assert done.stdout == "False\n", done.stderr
