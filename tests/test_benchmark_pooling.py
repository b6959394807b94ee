"""What the benchmark of pooling says of its figures; the figures are made by running it."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import spp_keras
from spp_keras import geometry

pytestmark = pytest.mark.integration

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULTS = BENCHMARKS / "results"
FIRST, GIVEN = "as written first", "given our algebra"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def sentences(module):
    return module("pooling_comparisons").sentences


def row(name, median, setting="32 x 13x13", spread=0.01, **fields):
    return {
        "setting": setting,
        "name": name,
        "pixels": 0,
        "differing": 0.0,
        "error": "",
        "lower quartile ms": median - spread,
        "median ms": median,
        "upper quartile ms": median + spread,
        **fields,
    }


def test_the_page_is_made_of_the_kept_results(tmp_path):
    shutil.copy(RESULTS / "pooling.json", tmp_path)

    command = [sys.executable, BENCHMARKS / "pooling.py", "--render", "--out", tmp_path]
    subprocess.run(command, check=True, timeout=300)

    assert (tmp_path / "pooling.md").read_text() == (RESULTS / "pooling.md").read_text()
    kept, copy = (json.loads((at / "pooling.json").read_text()) for at in (RESULTS, tmp_path))
    assert kept == copy


@pytest.mark.parametrize(
    ("median", "spread", "words"),
    [
        (0.5, 0.01, "behind on 32 x 13x13 (x0.50, PyTorch)"),
        (0.95, 0.01, "on par on 32 x 13x13 (x0.95, PyTorch)"),
        (1.09, 0.01, "on par on 32 x 13x13 (x1.09, PyTorch)"),
        (1.12, 0.01, "quicker on 32 x 13x13 (x1.12, PyTorch)"),
        (1.5, 0.6, "within the noise on 32 x 13x13 (x1.50, PyTorch)"),
    ],
)
def test_a_verdict_follows_from_medians_and_quartiles(sentences, median, spread, words):
    rows = [row("spp_keras", 1.0), row(f"PyTorch, {GIVEN}", median, spread=spread)]

    said = f"Beside the quickest peer that is given our algebra, ours is {words}."
    assert sentences("whole", rows) == said


def test_ours_stands_beside_the_quickest_right_peer_of_each_kind(sentences):
    rows = [
        *(row("spp_keras", 1.0, setting) for setting in ("random", "proposals")),
        row(f"PyTorch, {GIVEN}", 3.0, "random"),
        row(f"PyTorch, {GIVEN}", 0.8, "proposals"),
        row(f"OpenVINO, joined, {GIVEN}", 2.0, "random"),
        row(f"OpenVINO, joined, {GIVEN}", 0.9, "proposals"),
        row(f"PyTorch, {FIRST}", 6.0, "random"),
        row(f"PyTorch, {FIRST}", 1.0, "proposals"),
        # Wrong, failed, and of no kind.
        row(f"Some, {GIVEN}", 0.1, "random", differing=0.2),
        {**row(f"Other, {GIVEN}", 0.1, "random"), "error": "No memory"},
        row("approximation", 0.1, "random"),
    ]

    assert sentences("windows", rows) == (
        "Beside the quickest peer that is given our algebra, ours is behind on proposals (x0.80, "
        "PyTorch) and quicker on random (x2.00, OpenVINO, joined). Beside the quickest as a user "
        "writes it first, ours is on par on proposals (x1.00, PyTorch) and quicker on random "
        "(x6.00, PyTorch)."
    )


def test_our_portable_path_stands_beside_what_is_used(sentences):
    rows = [row("spp_keras", 2.0), row("spp_keras, portable", 3.0)]

    assert sentences("whole", rows) == "Our portable path takes x1.50 (32 x 13x13) of our time."


@pytest.mark.parametrize(
    ("apart", "words", "advice"),
    [
        (1.0, "on par forward (x1.00)", " So batch like sizes together."),
        (2.0, "behind forward (x0.50)", ""),
    ],
)
def test_a_mixed_batch_stands_beside_its_images_alone(sentences, apart, words, advice):
    times = {"one ragged batch": 2.0, "two ragged batches": apart, "one by one": 1.0}
    rows = [row(name, time, "forward", pixels=100) for name, time in times.items()]

    assert sentences("network", rows) == (
        "In speed, beside the same images one by one, the one ragged batch, upright and lying "
        f"mixed, is behind forward (x0.50); the two, upright and lying apart, are {words}.{advice}"
    )


def test_a_table_without_peers_says_nothing(sentences):
    assert sentences("whole", [row("spp_keras", 1.0)]) == ""


def test_every_peer_is_measured_as_written_first_and_given_our_algebra():
    text = "".join(path.read_text() for path in sorted(BENCHMARKS.glob("pooling_*.py")))
    cases = re.findall(r'@case\(\s*"([a-z ]+)",\s*f?"(.+?)"[,)]', text)
    peers = {
        (section, name)
        for section, name in cases
        if section not in ("network", "apart")
        and not name.startswith(("spp_keras", "floor: "))
        # Its samples are an approximation, whose levels come from the finest anyway.
        and name != "`tf.image.crop_and_resize`"
    }

    first = {(section, name.removesuffix(", {inputs.FIRST}")) for section, name in peers}
    assert len(peers) == 2 * len({(s, n.removesuffix(", {inputs.GIVEN}")) for s, n in first})
    assert {section for section, _ in peers} == {
        *("whole", "gradient", "mixed", "mixed gradient", "windows", "windows gradient")
    }
    assert ("whole", "spp_keras, portable") in cases
    assert ("gradient", "spp_keras, portable") in cases


def test_peers_derive_the_levels_that_ours_derives(module):
    inputs = module("pooling_inputs")
    levels = [(bins, bins) for bins in inputs.LEVELS]
    derived = [
        (inputs.LEVELS[step.level], inputs.LEVELS[step.source])
        for step in geometry.derive_levels(levels)
        if step.source is not None
    ]

    assert sorted(inputs.DERIVATIONS) == sorted(derived)


def test_the_version_is_that_of_the_code_that_runs(module, monkeypatch):
    monkeypatch.setattr(spp_keras, "__version__", "9.9")

    assert module("worker")._version("spp_keras") == "9.9"
