"""What the benchmarks of packing draw, count and say; their figures are made by running them."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from spp_keras.models.graph_run import find_canvas_rules
from spp_keras.zoo import zf5_spp

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MACHINE = {"date": "", "command": "", "processor": "", "cores": 2, "threads": 2}
MACHINE |= {"cores busy with other programs": 0, "versions": {"spp_keras": "9.9"}}


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.mark.parametrize(("least", "most"), [(29, 299), (1, 299), (3, 40)])
def test_batches_are_within_the_sides_and_ratios_asked_for(load, least, most):
    batches, random = load("packing_batches"), np.random.default_rng(0)
    found = [batches.draw_batch(random, least, most) for _ in range(300)]
    found.append(("large", batches.draw_large_batch(random, least, most)))

    assert {kind for kind, _ in found} == {*batches.KINDS, "large"}
    sizes = np.concatenate([sizes for _, sizes in found])
    assert sizes.min() >= least
    assert sizes.max() <= most
    assert (sizes.max(axis=1) / sizes.min(axis=1)).max() <= 20
    assert found[-1][1].max() == most


def test_kinds_of_batches_are_what_they_are_called(load):
    batches, random = load("packing_batches"), np.random.default_rng(1)

    def draw(kind):
        return [batches.draw_batch(random, 20, 299, kind)[1] for _ in range(40)]

    assert {len(sizes) for sizes in draw("one image")} == {1}
    assert all(len(np.unique(sizes, axis=0)) == 1 < len(sizes) for sizes in draw("all alike"))
    assert all(len(np.unique(sizes, axis=0)) < len(sizes) for sizes in draw("duplicates"))
    assert all(sizes.min() <= 23 for sizes in draw("tiny"))
    assert max((sizes.max(axis=1) / sizes.min(axis=1)).max() for sizes in draw("strips")) > 14


def exact_row(**fields):
    half = {
        name: {"packed": 0.02, "alone": 0.02, "apart": 0.01} for name in ("answers", "gradients")
    }
    return {
        **{"name": "ZF-5", "answers": [1e-7, 3e-6], "gradients": [1e-6, 2e-5], "double": []},
        **{"kinds": ["any", "tiny"], "images": [3, 4], "half": {"batches": 2, **half}},
        **fields,
    }


def test_a_difference_beyond_what_is_admitted_is_said(load):
    tables = load("packing_exactness_tables")
    good, bad = exact_row(), exact_row(name="Leaky", answers=[1e-7, 2e-5])
    leaking = {"batch": 1, "answers": 1e-15, "gradients": 1e-6, "gradients alone in float32": 1e-3}

    assert tables.holds(good)
    assert not tables.holds(bad)
    assert not tables.holds(exact_row(gradients=[1e-6, 1e-3], double=[leaking]))
    assert "All batches hold them." in tables.markdown({"machine": MACHINE, "rows": [good]})
    assert "Leaky differ by more" in tables.markdown({"machine": MACHINE, "rows": [good, bad]})


def test_gradients_that_differ_by_rounding_are_held_against_float64(load):
    tables = load("packing_exactness_tables")
    double = {"batch": 1, "answers": 1e-15, "gradients": 2e-14, "gradients alone in float32": 4e-4}
    row = exact_row(gradients=[1e-6, 5e-4], double=[double])

    assert tables.holds(row)
    text = tables.markdown({"machine": MACHINE, "rows": [row]})
    assert "gradients of 1 batches differ by more than 1e-04 (ZF-5 1)" in text
    assert "In float64 these differ by 2e-14 at most" in text
    assert "hold them but 1, by rounding alone" in text


def test_half_precision_further_away_than_images_alone_is_an_error(load):
    tables, row = load("packing_exactness_tables"), exact_row()
    row["half"]["answers"]["packed"] = 0.05

    assert not tables.holds(row)


def speed_row(name, cpu, fill=1.0, section="random", setting="training, width 1", pixels=1000):
    row = {"section": section, "setting": setting, "name": name, "note": "", "fill": fill}
    samples = [cpu * factor for factor in (0.9, 1.0, 1.1)]
    return {**row, "pixels": pixels, "milliseconds": samples, "cpu milliseconds": samples}


def test_shares_fill_and_cost_are_those_counted_by_hand(load):
    tables = load("packing_tables")
    rows = [
        speed_row(tables.ONE_SIZE, 10),
        speed_row(tables.AS_THEY_COME, 8, fill=0.8, pixels=640),
        speed_row(tables.PADDED, 16, fill=0.4, pixels=640),
        speed_row(tables.ONE_AT_A_TIME, 12, pixels=640),
    ]

    text = tables.markdown({"machine": MACHINE, "rows": rows})

    # 640 pixels in 8 ms are 0.8 of 1000 in 10 ms; all of it is fill.
    assert ": training, width 1 | 0.80 | 0.80 | 0.75 | 0.80 | 1.00 |" in text
    assert "All aims are reached." in text
    assert "images one at a time, packed batches run at x1.50 (training, width 1)" in text
    assert "images padded, packed batches run at x2.00 (training, width 1)" in text


def test_an_aim_that_is_missed_is_named(load):
    tables = load("packing_tables")
    names = (tables.ONE_SIZE, tables.AS_THEY_COME, tables.PADDED, tables.ONE_AT_A_TIME)
    rows = [speed_row(name, cpu) for name, cpu in zip(names, (10, 20, 40, 30), strict=True)]

    text = tables.markdown({"machine": MACHINE, "rows": rows})

    assert "Missed are Sixteen images of `shapes` drawn at random: training, width 1 (0.50 " in text


def test_prices_are_times_beside_those_of_sixteen_squares(load):
    tables = load("packing_tables")
    rows = [speed_row("16", 10, section="canvases"), speed_row("1", 12.5, section="canvases")]

    assert "| 1 | 1.25 | 1.25 |" in tables.markdown({"machine": MACHINE, "rows": rows})


def test_memory_is_said_for_each_pixel_and_beside_packed_batches(load, tmp_path):
    tables = load("packing_memory_tables")
    rows = [
        {"form": form, "count": 8, "seed": 0, "pixels": 2_000_000, "megabytes": megabytes}
        for form, megabytes in zip(tables.FORMS, (500.0, 1500.0, 400.0), strict=True)
    ]
    results = {"machine": MACHINE, "rows": rows}

    text = tables.markdown(results)
    tables.draw(results, tmp_path / "memory.png")

    assert "| padded | 1,500 | 750 |" in text
    assert "Padded batches take 3.0 times the memory of packed ones, and packed ones 1.2" in text
    assert 1000 < (tmp_path / "memory.png").stat().st_size < 200_000


def test_planned_batches_for_gpus_are_exact_for_their_network():
    rules = find_canvas_rules(zf5_spp(2, width=0.02))
    for planned in json.loads((BENCHMARKS / "gpu_batches.json").read_text()).values():
        count, height, width = planned["canvases"]
        seen = np.zeros((count, height + 200, width + 200), bool)
        for canvas, top, left, rows, columns in planned["placements"]:
            assert top % rules.stride == left % rules.stride == 0
            assert top + rows <= height
            assert left + columns <= width
            seen[canvas, top : top + rows, left : left + columns] = True
        for canvas, top, left, rows, columns in planned["placements"]:
            taken = rules.footprint(rows, columns)
            window = seen[canvas, top : top + taken[0], left : left + taken[1]]
            assert window.sum() == rows * columns


def test_a_gpu_is_named_and_a_cpu_is_called_none(load):
    tables = load("gpu_tables")
    row = {"section": "mixed sizes, forward", "setting": "8", "fill": 1.0}
    rows = [
        {**row, "name": tables.ONE_SIZE, "pixels": 1000, "milliseconds": [1.0, 2.0, 3.0]},
        {**row, "name": tables.PACKED, "pixels": 500, "fill": 0.5, "milliseconds": [2.0] * 3},
    ]
    machine = {**MACHINE, "device": "NVIDIA H200 (gpu)", "policy": "float32"}

    text = tables.markdown({"machine": machine, "rows": rows})
    on_cpu = tables.markdown({"machine": {**machine, "device": "cpu (cpu)"}, "rows": rows})

    assert "on JAX' device NVIDIA H200 (gpu), float32, without PyTorch" in text
    assert "| packed | 2 (2-2) | 0.2 | 0.50 | 0.50 |" in text
    assert "This is no GPU." not in text
    assert "This is no GPU." in on_cpu
