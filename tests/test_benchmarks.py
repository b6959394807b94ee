"""What the benchmarks count by themselves; their figures are made by running them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(Path(name).stem, BENCHMARKS / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_is_that_of_the_t_test(seed):
    gains = np.random.default_rng(seed).normal(1, 2, 5)

    found = load("paper/verdicts.py").interval(gains)

    assert found == pytest.approx(stats.ttest_1samp(gains, 0).confidence_interval(0.95))


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        ([1.0, 1.2, 0.8], "shown"),
        ([-1.0, -1.2, -0.8], "contradicted"),
        ([-1.0, 1.2, 0.8], "not shown"),
    ],
)
def test_a_verdict_follows_from_the_interval(gains, word):
    line = load("paper/verdicts.py").verdict("more is better", gains)

    assert line.startswith(f"- **{word}**: more is better: ")


def test_networks_in_small_differ_in_sizes_and_levels_alone():
    networks = load("paper/networks.py")

    for net in networks.NETS:
        made = [vars(networks.recipe(net, variant, seed=3)) for variant in networks.VARIANTS]
        differing = {key for one in made for key in one if one[key] != made[0][key]}
        assert differing == {"levels", "sizes", "image_sizes"}


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("**/*.py")), ids=lambda path: path.name)
def test_every_command_has_help(path):
    if "__main__" not in path.read_text():
        return
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
