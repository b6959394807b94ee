"""What loads no TensorFlow: imports, help, and commands that run no network.

All of it runs in one process, in which each step must load nothing heavy.
"""

import json
import subprocess
import sys

import pytest
from commands import COMMANDS

HEAVY = ("PIL", "h5py", "keras", "matplotlib", "numpy", "tensorflow", "tqdm")
LINES = [
    *("zoo", "zoo --json", "--version", "--help", "completion bash", "evaluate --view-size x"),
    *(f"{name} --help" for name in COMMANDS),
]
# These may load NumPy.
MODULES = [
    "spp_keras.detection.detections",
    "spp_keras.data.image_formats",
    "spp_keras.geometry",
    "spp_keras.model_repository",
    "spp_keras.run_folder",
    "spp_keras.runs",
    "spp_keras.zoo.tables",
    "spp_keras.zoo.model_summary",
]
SCRIPT = f"""
import contextlib, importlib, io, json, sys
loaded = {{}}
def note(step):
    loaded[step] = sorted(set({HEAVY}) & set(sys.modules) - set(sum(loaded.values(), [])))
import spp_keras
note("spp_keras")
from spp_keras import cli, recipes
note("spp_keras.cli")
for line in {LINES}:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            cli.main(line.split())
    note(line)
for module in {MODULES}:
    importlib.import_module(module)
    note(module)
from spp_keras import zoo
assert set(zoo.__all__) <= set(dir(zoo))
note("spp_keras.zoo")
assert callable(zoo.zf5_spp)
note("spp_keras.zoo.zf5_spp")
print(json.dumps(loaded))
"""


@pytest.fixture(scope="module")
def loaded():
    """By step, the heavy modules that it was the first to load."""
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("step", ["spp_keras", "spp_keras.cli", *LINES])
def test_a_command_that_runs_no_network_loads_nothing_heavy(step, loaded):
    assert loaded[step] == []


@pytest.mark.parametrize("module", [*MODULES, "spp_keras.zoo"])
def test_a_light_module_loads_neither_tensorflow_nor_keras(module, loaded):
    assert set(loaded[module]) <= {"numpy"}


def test_a_builder_loads_keras(loaded):
    assert "keras" in loaded["spp_keras.zoo.zf5_spp"]
