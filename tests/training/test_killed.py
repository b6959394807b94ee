"""Processes that are killed with -9, and resumed."""

import os
import random
import signal
import time

import numpy as np
import pytest

from spp_keras import runs

# Rounding, between machines that add up gradients in another order: measured below 1e-7.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_for_a_state(run, process, seconds=120):
    """Until the process has written another state of its training."""
    file, end = run / runs.LAST, time.monotonic() + seconds
    before = file.stat().st_mtime_ns if file.exists() else 0
    while not file.exists() or file.stat().st_mtime_ns == before:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "no state was kept"
        time.sleep(0.01)


def leave_rubbish(run):
    """What a process leaves that is killed while it writes."""
    for name in (runs.LAST, runs.BEST, runs.HISTORY):
        (run / f".{'0' * 32}.{name}").write_bytes(b"half a file")


@pytest.mark.parametrize(
    ("kills", "epochs"), [(2, 12), pytest.param(10, 60, marks=pytest.mark.slow)]
)
def test_a_run_killed_at_random_moments_ends_like_one_undisturbed(
    kills, epochs, recipe, undisturbed, start, state, tmp_path
):
    expected_state = undisturbed(epochs=epochs).run
    run, moments = tmp_path / "run", []
    for number in range(kills):
        # With fewer epochs than in the end, so that the last resumption has more to do.
        process = start(recipe(epochs=epochs - 1, checkpoint_minutes=0.0005), run)
        wait_for_a_state(run, process)
        time.sleep(random.Random(number).uniform(0, 0.5))
        assert process.poll() is None, "it ended before it was killed: take more epochs"
        kill(process)
        moments.append((state(run)[1]["epoch"], state(run)[1]["step"]))
        leave_rubbish(run)
    process = start(recipe(epochs=epochs), run)
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    epoch, step = moments[-1]
    assert f"going on behind epoch {epoch}, batch {step}" in said

    values, stored = state(run)
    expected, undisturbed_state = state(expected_state)
    for key, value in expected.items():
        np.testing.assert_array_equal(values[key], value, err_msg=f"{key}, killed at {moments}")
    assert [row["epoch"] for row in stored["history"]] == list(range(1, epochs + 1))
    for row, once in zip(stored["history"], undisturbed_state["history"], strict=True):
        assert row | {"seconds": 0} == once | {"seconds": 0}
    assert len((run / runs.HISTORY).read_text().splitlines()) == epochs + 1


def begin(start, recipe, run, clusters):
    return [start(recipe, run, cluster=cluster) for cluster in clusters()]


def end(begin_again):
    """Starts the same command until it is done, as a lost worker asks one to do.

    On a machine so busy that nothing moves for ten seconds TensorFlow takes a
    worker for lost that is merely slow.
    """
    for _ in range(3):
        processes = begin_again()
        said = [process.communicate(timeout=180)[0] for process in processes]
        codes = {process.returncode for process in processes}
        if codes == {0}:
            return
        assert codes <= {0, 75}, "\n".join(said)
    raise AssertionError("\n".join(said))


def assert_like_one_device(run, once, state):
    values, stored = state(run)
    expected, _ = state(once)
    for key, value in expected.items():
        # Each device has random numbers of its own, here unused.
        np.testing.assert_allclose(values[key], value, **TOLERANCE, err_msg=key)
    assert [row["epoch"] for row in stored["history"]] == list(range(1, stored["epoch"] + 1))


def test_two_devices_train_to_what_one_does(recipe, undisturbed, start, state, tmp_path):
    # Batches of few large images, of which a device may have none, and uneven ones.
    exact = recipe(dropout=0.0)
    process = start(exact, tmp_path / "run", "--devices", "2")
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 0, said
    once = undisturbed(dropout=0.0)
    assert_like_one_device(tmp_path / "run", once.run, state)
    assert any(stop - start_ < 2 for start_, stop in batches_of(exact))
    assert any((stop - start_) % 2 for start_, stop in batches_of(exact))
    for row, expected in zip(state(tmp_path / "run")[1]["history"], once.history, strict=True):
        for name in ("accuracy", "cross_entropy", "val_accuracy", "val_cross_entropy"):
            assert row[name] == pytest.approx(expected[name], rel=1e-5)


def batches_of(recipe):
    from spp_keras.training import trainer

    plan = trainer.pipelines_of(recipe)[0]._batches.epoch(0)
    return list(zip(plan.starts.numpy(), plan.stops.numpy(), strict=True))


@pytest.mark.parametrize("lost", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_lost_worker_ends_the_other_and_both_resume(
    lost, recipe, undisturbed, start, state, tmp_path, clusters
):
    epochs, run = 6, tmp_path / "run"
    exact = recipe(dropout=0.0, epochs=epochs, checkpoint_minutes=0.0005)
    processes = begin(start, exact, run, clusters)
    wait_for_a_state(run, processes[0])
    kill(processes[lost])
    killed, other = time.monotonic(), processes[1 - lost]
    said, _ = other.communicate(timeout=120)
    assert other.returncode == 75, said
    assert "A worker of the cluster was lost, so this one stops. Start the same command" in said
    assert time.monotonic() - killed < 60
    assert state(run)[1]["epoch"] < epochs

    end(lambda: begin(start, exact, run, clusters))
    assert_like_one_device(run, undisturbed(dropout=0.0, epochs=epochs).run, state)


@pytest.mark.slow
def test_two_workers_resume_to_the_very_weights_of_two_undisturbed(
    recipe, start, state, tmp_path, clusters
):
    # With dropout, whose random numbers go on where they were.
    again = recipe(epochs=6, checkpoint_minutes=0.0005)
    end(lambda: begin(start, again, tmp_path / "once", clusters))
    processes = begin(start, again, tmp_path / "run", clusters)
    wait_for_a_state(tmp_path / "run", processes[0])
    kill(processes[1])
    processes[0].communicate(timeout=120)
    end(lambda: begin(start, again, tmp_path / "run", clusters))
    values, expected = state(tmp_path / "run")[0], state(tmp_path / "once")[0]
    for key, value in expected.items():
        np.testing.assert_allclose(values[key], value, **TOLERANCE, err_msg=key)
