"""The table of how quick a detection is says what was measured, and nothing else."""

import importlib
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SYSTEMS = ("R-CNN", "SPP, 1 scale", "SPP, 5 scales")
KINDS = [(dense, precision) for dense in ("full", "SVD") for precision in ("float32", "bfloat16")]


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("detection_tables")


@pytest.fixture
def results():
    """R-CNN takes 40, 20, 30 and 10 seconds, SPP 1 and 2 seconds whatever the kind."""
    rows = []
    for name, each in zip(SYSTEMS, ((40, 20, 30, 10), (1,) * 4, (2,) * 4), strict=True):
        for (dense, precision), whole in zip(KINDS, each, strict=True):
            seconds = {"all": [whole] * 5, "convolutions": [0.6 * whole] * 5}
            if name != "R-CNN":
                seconds |= {"pooling": [0.1 * whole] * 5, "dense": [0.29 * whole] * 5}
            row = {"name": name, "precision": precision, "dense": dense, "distinct": 1900}
            rows.append({**row, "seconds": seconds, "cpu": [2 * whole] * 5})
    return {
        **json.loads((BENCHMARKS / "results" / "detection_speed.json").read_text()),
        "rows": rows,
        "proposals": {"seconds": [1.0] * 5, "cpu": [1.0] * 5},
    }


def test_the_table_is_made_of_the_measurements_alone(tables):
    stem = BENCHMARKS / "results" / "detection_speed"

    made = tables.markdown(json.loads(stem.with_suffix(".json").read_text()))

    assert made == stem.with_suffix(".md").read_text()


def test_each_is_compared_with_r_cnn_of_its_own_kind(tables, results):
    lines = tables.markdown(results).splitlines()
    cells = {line.split("|")[1].strip(): line.split("|") for line in lines if line[:1] == "|"}

    for title, times, with_proposals in (
        ("R-CNN, bfloat16", "1.0", "1.0"),
        ("SPP, 1 scale, float32", "40.0", "20.5"),
        ("SPP, 1 scale, bfloat16", "20.0", "10.5"),
        ("SPP, 1 scale, float32, SVD", "30.0", "15.5"),
        ("SPP, 1 scale, bfloat16, SVD", "10.0", "5.5"),
        ("SPP, 5 scales, bfloat16, SVD", "5.0", "3.7"),
    ):
        assert cells[title][7].strip() == times, title
        assert cells[title][9].strip() == with_proposals, title
    assert (
        "- Without proposals, float32 on both sides: 40 times R-CNN at one scale and 20 at five "
        "(the paper on a GPU: 102 and 38)."
    ) in lines
    assert (
        "- With proposals, bfloat16 and SVD on both sides: 5.5 times R-CNN at one scale and 3.7 "
        "at five."
    ) in lines


@pytest.mark.parametrize(("dense", "right"), [(0.29, True), (0.6, False)])
def test_parts_that_do_not_add_up_are_named(tables, results, dense, right):
    results["rows"][4]["seconds"]["dense"] = [dense] * 5

    text = tables.markdown(results)

    assert ("the rest is scales, boxes and suppression." in text) == right
    assert ("They do not add up in: SPP, 1 scale, float32 (130%)." in text) != right
