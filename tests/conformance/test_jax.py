import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conformance import jax_check

pytestmark = pytest.mark.integration

# Most of the time is compiling what runs once.
QUICKLY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@pytest.fixture(scope="module")
def results():
    done = subprocess.run(
        [sys.executable, str(Path(jax_check.__file__))],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICKLY},
        timeout=600,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_checks_run_on_jax_without_tensorflow(results):
    assert results["backend"] == "jax"
    assert results["tensorflow"] is False


@pytest.mark.parametrize("name", jax_check.CHECKS)
def test_on_jax(results, name):
    assert results[name] is None, results[name]
