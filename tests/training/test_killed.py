"""Trainings in processes of their own: killed with -9 and resumed, on two devices or workers."""

import os
import random
import signal
import subprocess
import time

import numpy as np
import pytest
from tiers import mark_rest

from spp_keras import run_folder
from spp_keras.training import recipe_pipelines

pytestmark = pytest.mark.integration

# Two devices add up in another order. Measured: below 1e-7, as weights of up to 0.4 are rounded.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-6}


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ended(*processes, seconds=180):
    """Exit codes, and what was said."""
    try:
        codes = [process.wait(timeout=seconds) for process in processes]
    except subprocess.TimeoutExpired:
        pytest.fail("\n".join(["It hangs.", *(process.said() for process in processes)]))
    return codes, "\n".join(process.said() for process in processes)


def wait_for_a_state(run, process, seconds=120):
    """Until the process has written another state of its training."""
    file, end = run / run_folder.CHECKPOINT, time.monotonic() + seconds
    before = file.stat().st_mtime_ns if file.exists() else 0
    while not file.exists() or file.stat().st_mtime_ns == before:
        assert process.poll() is None, process.said()
        assert time.monotonic() < end, "no state was kept"
        time.sleep(0.01)


def leave_rubbish(run):
    """What a process leaves that is killed while it writes."""
    for name in (run_folder.CHECKPOINT, run_folder.BEST_WEIGHTS, run_folder.HISTORY):
        (run / f".{'0' * 32}.{name}").write_bytes(b"half a file")


@pytest.mark.parametrize(
    ("kills", "epochs", "changes"),
    [(2, 8, {}), (1, 4, {"top_epochs": 3, "trunk_multiplier": 0.1})],
)
def test_a_run_killed_at_random_moments_ends_like_one_undisturbed(
    kills, epochs, changes, recipe, undisturbed, start, state, tmp_path
):
    run, moments = tmp_path / "run", []
    for number in range(kills):
        # With fewer epochs than in the end, so that the last resumption has more to do.
        process = start(recipe(epochs=epochs - 1, checkpoint_minutes=0.0005, **changes), run)
        wait_for_a_state(run, process)
        time.sleep(random.Random(number).uniform(0, 0.5))
        assert process.poll() is None, "it ended before it was killed: take more epochs"
        kill(process)
        moments.append((state(run)[1]["epoch"], state(run)[1]["step"]))
        leave_rubbish(run)
    codes, said = ended(start(recipe(epochs=epochs, **changes), run))
    assert codes == [0], said
    epoch, step = moments[-1]
    assert f"resumed after epoch {epoch}, batch {step}" in said

    values, stored = state(run)
    expected, once = state(undisturbed(epochs=epochs, **changes).run)
    for key, value in expected.items():
        np.testing.assert_array_equal(values[key], value, err_msg=f"{key}, killed at {moments}")
    assert [row["epoch"] for row in stored["history"]] == list(range(1, epochs + 1))
    for row, other in zip(stored["history"], once["history"], strict=True):
        assert row | {"seconds": 0} == other | {"seconds": 0}
    assert len((run / run_folder.HISTORY).read_text().splitlines()) == epochs + 1


def assert_like_one_device(run, once, state):
    values, stored = state(run)
    expected, _ = state(once)
    for key, value in expected.items():
        np.testing.assert_allclose(values[key], value, **TOLERANCE, err_msg=key)
    assert [row["epoch"] for row in stored["history"]] == list(range(1, stored["epoch"] + 1))


def test_two_devices_train_to_what_one_does(recipe, undisturbed, start, state, tmp_path):
    exact = recipe(dropout=0.0)
    process = start(exact, tmp_path / "run", "--devices", "2")
    once = undisturbed(dropout=0.0)
    codes, said = ended(process)
    assert codes == [0], said
    assert_like_one_device(tmp_path / "run", once.run, state)
    for row, expected in zip(state(tmp_path / "run")[1]["history"], once.history, strict=True):
        for name in ("accuracy", "cross_entropy", "val_accuracy", "val_cross_entropy"):
            assert row[name] == pytest.approx(expected[name], rel=1e-4)

    # Batches that cannot be halved, and one for a single device.
    pipeline = recipe_pipelines.build_pipelines(exact)[0]
    counts = [len(labels) for _, labels in pipeline.dataset()]
    assert 1 in counts
    assert 3 in counts


def trained(start, recipe, run, clusters):
    """Trains with two workers, and again when they say that it must be.

    On a machine so busy that nothing moves for ten seconds TensorFlow takes a
    worker for lost that is merely slow.
    """
    for _ in range(3):
        codes, said = ended(*(start(recipe, run, cluster=cluster) for cluster in clusters()))
        if codes == [0, 0]:
            return
        assert set(codes) <= {0, 75}, said
    pytest.fail(said)


@pytest.mark.parametrize("lost", mark_rest([1, 0], 0))
def test_a_lost_worker_ends_the_other_and_both_resume(
    lost, recipe, undisturbed, start, state, tmp_path, clusters
):
    run, exact = tmp_path / "run", recipe(dropout=0.0, checkpoint_minutes=0.0005)
    processes = [start(exact, run, cluster=cluster) for cluster in clusters()]
    wait_for_a_state(run, processes[0])
    kill(processes[lost])
    codes, said = ended(processes[1 - lost], seconds=60)
    assert codes == [75], said
    assert "A worker of the cluster was lost, so this one stops. Start the same command" in said
    assert state(run)[1]["epoch"] < 3

    trained(start, exact, run, clusters)
    assert_like_one_device(run, undisturbed(dropout=0.0).run, state)


@pytest.mark.exhaustive
def test_two_workers_resume_to_the_weights_of_two_undisturbed(
    recipe, start, state, tmp_path, clusters
):
    # With dropout, whose random numbers go on where they were.
    again = recipe(checkpoint_minutes=0.0005)
    trained(start, again, tmp_path / "once", clusters)
    processes = [start(again, tmp_path / "run", cluster=cluster) for cluster in clusters()]
    wait_for_a_state(tmp_path / "run", processes[0])
    kill(processes[1])
    codes, said = ended(processes[0], seconds=60)
    assert codes == [75], said
    trained(start, again, tmp_path / "run", clusters)
    values, expected = state(tmp_path / "run")[0], state(tmp_path / "once")[0]
    for key, value in expected.items():
        np.testing.assert_allclose(values[key], value, **TOLERANCE, err_msg=key)
