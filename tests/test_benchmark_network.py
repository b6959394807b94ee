"""What the benchmark of a whole network counts, compares and says; its figures are made by it."""

import argparse
import importlib
import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from spp_keras import zoo
from spp_keras.zoo import model_summary

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def inputs(load):
    return load("network_inputs")


@pytest.fixture
def small(inputs, monkeypatch):
    """The inputs of the benchmark with a network, images and a batch that are small."""
    monkeypatch.setattr(inputs, "WIDTHS", {"tiny": 0.02})
    monkeypatch.setattr(inputs, "SIDE", 64)
    monkeypatch.setattr(inputs, "BATCH", 2)
    return inputs


def row(name, cpu, spread=0.1, section="forward", setting="width 1", **fields):
    samples = [cpu - spread, cpu, cpu + spread]
    return {
        **{"section": section, "setting": setting, "name": name, "note": "", "gflop": 2.0},
        **{"first s": 1.0, "difference": None, "error": "", "milliseconds": samples},
        **{"cpu milliseconds": samples, **fields},
    }


def say(tables, rows):
    machine = {"date": "", "command": "", "processor": "", "cores": 2, "threads": 2}
    machine |= {"cores busy with other programs": 0, "versions": {"spp_keras": "9.9"}}
    return tables.markdown({"machine": machine, "rows": rows})


def test_operations_are_those_counted_by_hand(inputs):
    convolutions = [
        147 * 96 * 112**2,  # 7x7 of 3 channels
        2400 * 256 * 27**2,  # 5x5 of 96
        2304 * 384 * 13**2,  # 3x3 of 256, and so on
        3456 * 384 * 13**2,
        3456 * 256 * 13**2,
    ]
    dense = [12800 * 4096, 4096 * 4096, 4096 * 1000]
    products = sum(convolutions) + sum(dense)

    assert inputs.count_flops("forward", 1) == 16 * 2 * products
    # Gradients by weights and by inputs, without those by the pixels.
    assert inputs.count_flops("training", 1) == 16 * 2 * (3 * products - convolutions[0])


def test_operations_are_those_that_the_zoo_lists(inputs):
    listed = {one.name: one.flops for one in model_summary.summarize_models()}

    assert inputs.count_flops("forward", 1) == inputs.BATCH * listed["zf5_spp"]


def test_operations_are_those_that_tensorflow_counts(small):
    model = zoo.zf5_spp(small.CLASSES, width=0.02, dropout=0)
    shape = tf.TensorSpec((small.BATCH, small.SIDE, small.SIDE, 3))
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(shape).graph
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
    options = options.with_empty_output().build()
    counted = profiler.profile(graph, cmd="op", options=options)
    by_kind = {node.name: node.total_float_ops for node in counted.children}
    while counted.children:
        (counted,) = counted.children
        by_kind[counted.name] = counted.float_ops

    assert by_kind["Conv2D"] + by_kind["MatMul"] == small.count_flops("forward", 0.02)


@pytest.mark.parametrize("width", [1, 0.25, 0.02])
def test_the_layers_are_those_of_the_network(inputs, width):
    if width == 1:
        shapes = [math.prod(x.shape) + x.shape[-1] for x in inputs.list_layers(1)]
        assert sum(shapes) == 77_037_672  # As in the README.
        return
    model = zoo.zf5_spp(inputs.CLASSES, width=width)

    layers = {x.name: x.shape for x in inputs.list_layers(width)}

    assert layers == {
        x.name: tuple(x.kernel.shape)
        for x in model.layers
        if getattr(x, "kernel", None) is not None
    }


def test_a_training_step_answers_with_its_gradients(load, small):
    cases = load("network_tensorflow")
    prepared = cases._training("tiny")
    answer = prepared.answer(prepared.call())

    model = cases._make_model("tiny")
    with tf.GradientTape() as tape:
        scores = model(small.images(), training=True)
        picked = tf.gather(scores, small.labels()[:, None], batch_dims=1)
        loss = -tf.reduce_mean(tf.math.log(picked))
    weights = [x for layer in small.list_layers(0.02) for x in model.get_layer(layer.name).weights]
    expected = np.concatenate([np.ravel(x) for x in tape.gradient(loss, weights)])
    assert small.difference("training", 0.02, answer, expected) < 1e-4


def test_normalizations_change_the_scores_that_are_compared(load, small, monkeypatch):
    cases = load("network_tensorflow")
    model = cases._make_model("tiny")
    names = [x.name for x in model.layers if "LocalResponse" in type(x).__name__]
    scores = model(small.images()).numpy()

    for name in names:
        monkeypatch.setattr(model.get_layer(name), "call", lambda x: x)
    without = model(small.images()).numpy()

    assert len(names) == len(small.NORMALIZED)
    assert small.difference("forward", 0.02, without, scores) > 0.1


def test_a_difference_is_a_share_of_its_layer(small):
    layers = small.list_layers(0.02)
    gradients = {
        x.name: (np.full(x.shape, size), np.full(x.shape[-1:], size))
        for size, x in zip(10.0 ** np.arange(len(layers)), layers, strict=True)
    }
    expected = small.join_gradients(gradients, 0.02)
    gradients["conv1"][1][0] *= 1.5

    assert small.difference("training", 0.02, expected, expected) == 0
    actual = small.join_gradients(gradients, 0.02)
    assert small.difference("training", 0.02, actual, expected) == pytest.approx(0.5)


class Stub:
    """A worker whose cases answer and take the time that they are made with."""

    def __init__(self, answers):
        self.answers, self.measured = answers, []

    def ask(self, action, timeout=0, *, name, **arguments):
        if action == "start":
            np.save(arguments["answer"], self.answers[name])
            return {"first_ms": 1500.0, "comparable": self.answers[name] is not None}
        self.measured.append(name)
        return [(10.0, 20.0)]


def test_what_answers_otherwise_is_not_timed(load):
    network, tables = load("network"), load("network_tables")
    answers = {
        tables.OURS: np.array([1.0, 2.0]),
        "PyTorch, right": np.array([1.0, 2.00001]),
        "PyTorch, wrong": np.array([1.0, 2.1]),
        "PyTorch, nowhere": np.array([1.0, np.nan]),
        "PyTorch, without normalization": np.array([1.0, 4.0]),
    }
    worker = Stub(answers)
    options = argparse.Namespace(rounds=2, seconds=0)

    rows = network._measure("forward", "width 1", [(worker, name, "") for name in answers], options)

    wrong = ["PyTorch, wrong", "PyTorch, nowhere"]
    assert [row["name"] for row in rows if row["error"]] == wrong
    assert worker.measured == [name for name in answers if name not in wrong] * 2
    assert rows[1]["difference"] == pytest.approx(5e-6)
    assert rows[1]["cpu milliseconds"] == [20.0, 20.0]
    assert rows[1]["milliseconds"] == [10.0, 10.0]


def test_ours_stands_beside_the_quickest_of_each_kind(load):
    tables = load("network_tables")
    rows = [
        row(tables.OURS, 10),
        row(tables.MATMUL, 10, gflop=4.0),
        row("PyTorch, slow", 40),
        row("PyTorch, by hand", 30),
        row("PyTorch, without normalization", 10.5),
        row("PyTorch, compiled, quick", 8),
        row("PyTorch, compiled, wrong", 1, error="answers differ"),
        row("PyTorch, compiled, without normalization", 9.5),
    ]

    text = say(tables, rows)

    assert (
        "| Forward, width 1 | 10.0 | behind, x0.80 (quick) | quicker, x3.00 (by hand) "
        "| on par, x0.95 (compiled) | 0.50 | 0.62 |\n"
    ) in text
    table = text.partition("**Forward, width 1**")[2].strip().splitlines()[2:]
    ours, *_, failed, matmul = [[x.strip() for x in line.split("|")] for line in table]
    assert ours[1:6] == [f"**{tables.OURS}**", "10.0 (9.95-10.1)", "10.0", "200", "0.50"]
    assert failed[1:3] == ["PyTorch, compiled, wrong", "failed"]
    assert matmul[1:6] == [tables.MATMUL, "10.0 (9.95-10.1)", "10.0", "400", "1.00"]


def test_ours_alone_stands_beside_the_rate_of_the_machine(load):
    tables = load("network_tables")
    rows = [row(tables.OURS, 10, setting=one) for one in ("width 1", "width 0.25")]
    rows.append(row(tables.MATMUL, 5, setting="width 1"))

    text = say(tables, rows)

    assert "| Forward, width 1 | 10.0 |  |  |  | 0.50 |  |\n" in text
    assert "| Forward, width 0.25 | 10.0 |  |  |  |  |  |\n" in text
