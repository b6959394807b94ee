"""Photographs to learn from, a recipe for them, and trainings in processes of their own."""

import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from spp_keras import recipes, run_folder, training

CLASSES = ("blue", "green", "red")
# Shares of the work of a small network, of images of 32 to 90 pixels: 5 or fewer to a batch,
# so that the last share of two is smaller, or of weight nothing.
RECIPE = {
    "width": 0.0625,
    "levels": (2, 1),
    "batch_size": 5,
    "max_pixels": 20_000,
    "epochs": 3,
    "learning_rate": 0.003,
    "max_skipped_fraction": 0.1,
}


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def draw(path, color, size, rng):
    """Noise in which one of the colors, blue, green or red, is bright."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (*size, 3))
    pixels[..., 2 - color] = pixels[..., 2 - color] // 3 + 160
    Image.fromarray(pixels.astype("uint8")).save(path)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """Of every size, and one that is cut short, and one too small for the network."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for split, count in (("train", 9), ("val", 4)):
        for number in range(count):
            for color, name in enumerate(CLASSES):
                draw(folder / split / name / f"{number}.png", color, rng.integers(32, 91, 2), rng)
    whole = (folder / "train" / "red" / "0.png").read_bytes()
    (folder / "train" / "red" / "cut.png").write_bytes(whole[: len(whole) // 2])
    draw(folder / "val" / "red" / "small.png", 2, (20, 60), rng)
    return folder


@pytest.fixture(scope="session")
def recipe(photographs):
    def build(**changes):
        return recipes.Recipe(**{"data": str(photographs), **RECIPE, **changes})

    return build


@pytest.fixture(scope="session")
def undisturbed(recipe, tmp_path_factory):
    """Trainings from beginning to end in this process, each done once."""
    done = {}

    def trained(**changes):
        key = tuple(changes.items())
        if key not in done:
            run = tmp_path_factory.mktemp("undisturbed") / "run"
            done[key] = training.train_model(recipe(**changes), run)
        return done[key]

    return trained


@pytest.fixture
def start(tmp_path):
    """Starts `spp-keras train` in a process of its own, which does not outlive the test."""
    started = []

    def start(recipe, run, *arguments, cluster=None):
        file = tmp_path / f"{len(started)}.toml"
        file.write_text(recipes.recipe_to_toml(recipe))
        environment = os.environ | ({"TF_CONFIG": json.dumps(cluster)} if cluster else {})
        with file.with_suffix(".txt").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "spp_keras.cli", "train", file, "--output", run, *arguments],
                env=environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        process.said = file.with_suffix(".txt").read_text
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def clusters():
    """`TF_CONFIG` of each of two workers on this machine."""

    def clusters():
        with socket.socket() as one, socket.socket() as other:
            for each in (one, other):
                each.bind(("localhost", 0))
            addresses = [f"localhost:{each.getsockname()[1]}" for each in (one, other)]
        return [
            {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            for index in range(2)
        ]

    return clusters


@pytest.fixture(scope="session")
def state():
    """The variables of a run's last state, and what else is in it."""

    def state(run):
        with np.load(run / run_folder.CHECKPOINT) as stored:
            values = {key: stored[key] for key in stored.files}
        return values, json.loads(str(values.pop("state")))

    return state
