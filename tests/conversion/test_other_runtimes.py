"""Converted networks on two devices, and on JAX."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_jax import JAX, ROOT

TWO_DEVICES = """
import json, os, sys
from spp_keras import training
strategy = training.choose_strategy(devices=2)
sys.path[:0] = sys.argv[1:]
import keras, numpy as np, tensorflow as tf
import test_training_loss as tests
from spp_keras import any_size

# A replica gets a batch of its own, and more images than the other.
batches = [*tests.BATCHES, tests.BATCHES[1]]
tests.BATCHES = tuple(batches)
tests.SIZES = [size for batch in batches for size in batch]
tests.LABELS = np.arange(len(tests.SIZES)) % 3
with strategy.scope():
    original = tests.network()
    model = tests.compile_model(any_size(original))
batches, images, _ = tests.make_batches(model)
spec = {
    "images": tf.TensorSpec((None, None, None, 3)),
    "placements": tf.TensorSpec((None, 5), tf.int32),
}

def make_dataset(context):
    data = tf.data.Dataset.from_generator(
        lambda: iter([batch[:2] for batch in batches]),
        output_signature=(spec, tf.TensorSpec((None,), tf.int32)),
    )
    return data.apply(tf.data.experimental.assert_cardinality(len(batches)))

def distribute():
    return strategy.distribute_datasets_from_function(make_dataset)

history = model.fit(
    distribute(),
    validation_data=distribute(),
    steps_per_epoch=2,
    validation_steps=2,
    verbose=0,
).history
losses = [history["loss"][0], history["val_loss"][0]]
losses.append(model.evaluate(distribute(), steps=2, verbose=0)[0])
expected = tests.losses_alone(original, images).mean()
print(json.dumps([strategy.num_replicas_in_sync, losses, float(expected)]), flush=True)
# The threads of a strategy may hang when the interpreter ends.
os._exit(0)
"""


FOLDER = Path(__file__).parent


def run(script, folders=(FOLDER, ROOT / "tests"), **environment):
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, folders)],
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=600,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.integration
def test_two_devices_report_the_mean_over_images():
    replicas, losses, expected = run(TWO_DEVICES)
    assert replicas == 2
    assert losses == pytest.approx([expected] * 3, rel=1e-5)


@pytest.mark.integration
@pytest.mark.exhaustive
def test_converted_networks_pass_their_tests_on_jax():
    paths = [str(FOLDER / f"test_{name}.py") for name in ("every_backend", "training_loss")]
    tiers = "not tensorflow and (integration or not integration)"
    # `predict_on_batch` compiles, too.
    tests = ["-m", tiers, "-k", "not compiled_call", *paths]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env={**os.environ, **JAX},
        timeout=600,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
