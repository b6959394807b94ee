import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from spp_keras.training import WorkerLost, choose_strategy, distribution


def test_one_device_needs_no_strategy(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert choose_strategy() is None
    assert choose_strategy(devices=1) is None


@pytest.mark.parametrize("devices", [0, -1, 1.5, True], ids=str)
def test_a_number_of_devices_that_makes_no_sense_is_refused(devices, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises((ValueError, TypeError), match=r"`devices` must be .* Received: devices="):
        choose_strategy(devices)


def test_a_cpu_in_use_is_not_divided_any_more(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    tf.constant(0) + 1
    with pytest.raises(RuntimeError, match=r"call `choose_strategy\(devices=2\)` first"):
        choose_strategy(devices=2)


def test_a_task_without_a_cluster_is_one_machine(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"task": {"type": "worker", "index": 0}}))
    assert choose_strategy(devices=1) is None


def strategy_of(jobs, task_type, task_id):
    """What `is_chief` asks of a strategy of several machines."""
    resolver = types.SimpleNamespace(
        task_type=task_type,
        task_id=task_id,
        cluster_spec=lambda: tf.train.ClusterSpec({job: ["localhost:1"] * 2 for job in jobs}),
    )
    return types.SimpleNamespace(cluster_resolver=resolver)


def test_one_process_alone_writes():
    assert distribution.is_chief(None)
    assert distribution.is_chief(tf.distribute.MirroredStrategy(["CPU:0"]))
    assert distribution.is_chief(strategy_of(["worker"], "worker", 0))
    assert not distribution.is_chief(strategy_of(["worker"], "worker", 1))
    with_chief = ["chief", "worker"]
    assert distribution.is_chief(strategy_of(with_chief, "chief", 0))
    assert not distribution.is_chief(strategy_of(with_chief, "worker", 0))


def lost():
    return tf.errors.UnavailableError(
        None,
        None,
        "Graph execution error:\n\nDetected at node x\n"
        "Collective ops is aborted by: Connection reset by peer\nRestart your program to reset.",
    )


def test_a_lost_worker_is_told_with_what_to_do():
    with (
        pytest.raises(WorkerLost, match=r"Start the same command.*: Connection reset by peer$"),
        distribution.detect_lost_workers(strategy_of(["worker"], "worker", 0)),
    ):
        raise lost()


@pytest.mark.parametrize("strategy", [None, types.SimpleNamespace()], ids=["one", "several GPUs"])
def test_errors_on_one_machine_stay_what_they_are(strategy):
    with pytest.raises(tf.errors.UnavailableError), distribution.detect_lost_workers(strategy):
        raise lost()


def test_a_replicated_model_fits_like_any_other_on_one_device():
    def trained(kind):
        keras.utils.set_random_seed(0)
        x = keras.Input((3,))
        model = kind(x, keras.layers.Dense(2)(x))
        model.compile("sgd", "mse")
        x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
        model.fit(x, x[:, :2], verbose=0)
        return model.get_weights()

    pairs = zip(trained(distribution.ReplicatedModel), trained(keras.Model), strict=True)
    for weight, expected in pairs:
        np.testing.assert_array_equal(weight, expected)
