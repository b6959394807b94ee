import errno
import resource
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from spp_keras.training import Checkpoint, trainer

STEPS = 4


def batches(first=0):
    """Numbered batches without end, so that training can begin at any of them."""

    def batch(number):
        x = tf.random.stateless_uniform((6, 3), (number, 0))
        return x, tf.cast(tf.reduce_sum(x, axis=1) > 1.5, "int32")

    return tf.data.Dataset.range(first, np.iinfo("int64").max).map(batch)


class Killed(BaseException):
    """Neither Keras nor the checkpoint catches it, as nothing catches a kill."""


class KillAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Killed


def build(units=8):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(units), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
    network = keras.Sequential([keras.Input((3,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    network.optimizer.build(network.trainable_variables)
    return network


def checkpoint_in(folder, network, **options):
    return Checkpoint(network, folder / "last.npz", folder / "best.weights.h5", **options)


def fit(folder, epochs=3, others=(), kill=None, **options):
    """Trains a new network, or goes on, one epoch after the other."""
    network = build()
    checkpoint = checkpoint_in(
        folder, network, monitor="accuracy", callbacks=list(others), **options
    )
    checkpoint.restore(network.optimizer)
    callbacks = trainer._ResumedCallbacks(
        [*others, *([kill] if kill else []), checkpoint],
        add_history=True,
        model=network,
        steps=STEPS,
        epochs=epochs,
    )
    while checkpoint.epoch < epochs:
        epoch, step = checkpoint.epoch, checkpoint.step
        network.fit(
            batches(epoch * STEPS + step),
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=STEPS - step,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )
    return network, checkpoint


def assert_same(network, other):
    for one, two in ((network, other), (network.optimizer, other.optimizer)):
        for variable, expected in zip(one.variables, two.variables, strict=True):
            np.testing.assert_array_equal(variable.numpy(), expected.numpy(), variable.path)


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("once")
    return (*fit(folder), folder)


@pytest.mark.parametrize(
    ("epoch", "batch"), [(0, 1), (1, 0), (1, 2), (2, 3)], ids=lambda value: str(value)
)
def test_a_killed_training_ends_like_one_undisturbed(epoch, batch, once, tmp_path):
    with pytest.raises(Killed):
        fit(tmp_path, kill=KillAt(epoch, batch), minutes=1e-9)
    network, checkpoint = fit(tmp_path, minutes=1e-9)
    assert_same(network, once[0])
    assert checkpoint.best_value == once[1].best_value
    assert network.optimizer.iterations == 3 * STEPS


@pytest.mark.integration
def test_an_epoch_may_be_killed_again_and_again(once, tmp_path):
    for _ in range(3):
        with pytest.raises(Killed):
            # Of what is left of the epoch.
            fit(tmp_path, kill=KillAt(0, 1), minutes=1e-9)
    checkpoint = checkpoint_in(tmp_path, network := build())
    checkpoint.restore(network.optimizer)
    assert (checkpoint.epoch, checkpoint.step) == (0, 3)
    assert_same(fit(tmp_path)[0], once[0])


def test_without_time_for_a_state_within_it_an_epoch_is_begun_anew(once, tmp_path):
    with pytest.raises(Killed):
        fit(tmp_path, kill=KillAt(1, 3))
    checkpoint = checkpoint_in(tmp_path, network := build())
    assert checkpoint.restore(network.optimizer)
    assert (checkpoint.epoch, checkpoint.step) == (1, 0)
    assert_same(fit(tmp_path)[0], once[0])


def test_no_state_says_that_an_epoch_has_no_batch_left(tmp_path, monkeypatch):
    seen, save = [], Checkpoint.save

    def note(checkpoint):
        seen.append((checkpoint.epoch, checkpoint.step))
        save(checkpoint)

    monkeypatch.setattr(Checkpoint, "save", note)
    with pytest.raises(Killed):
        fit(tmp_path, epochs=2, kill=KillAt(1, 2), minutes=1e-9)
    assert seen == [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2)]
    # Nor behind a resumption, when the first batch of the rest is not that of the epoch.
    fit(tmp_path, epochs=2, minutes=1e-9)
    assert seen[6:] == [(1, 3), (2, 0)]


def test_a_kill_between_best_weights_and_state_repeats_the_epoch(once, tmp_path, monkeypatch):
    save = Checkpoint.save

    def killed(checkpoint):
        if checkpoint.epoch == 2:
            raise Killed
        save(checkpoint)

    monkeypatch.setattr(Checkpoint, "save", killed)
    with pytest.raises(Killed):
        fit(tmp_path)
    monkeypatch.undo()
    network, _ = fit(tmp_path)
    assert_same(network, once[0])
    best, other = build(), build()
    best.load_weights(tmp_path / "best.weights.h5")
    other.load_weights(once[2] / "best.weights.h5")
    for weight, expected in zip(best.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_full_disk_leaves_the_last_good_state(tmp_path):
    network, checkpoint = fit(tmp_path, epochs=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoint.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert_same(fit(tmp_path, epochs=1)[0], network)


def test_a_full_disk_leaves_the_last_best_weights(tmp_path, monkeypatch):
    network, checkpoint = fit(tmp_path, epochs=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    # HDF5 itself does not survive a disk that is really full: the process dies later on.
    def no_space(path):
        path.write_bytes(b"half a file")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(network, "save_weights", no_space)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.on_epoch_end(1, {"accuracy": 2.0})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_weights_are_not_begun_where_they_have_no_room(tmp_path, monkeypatch):
    network, checkpoint = fit(tmp_path, epochs=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    usage = shutil.disk_usage(tmp_path)
    size = len(before["best.weights.h5"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=size - 1))
    monkeypatch.setattr(network, "save_weights", pytest.fail)
    with pytest.raises(OSError, match=r"Not enough disk space for '.*/best\.weights\.h5'"):
        checkpoint.on_epoch_end(1, {"accuracy": 2.0})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_half_a_file_beside_the_state_is_no_state(tmp_path, once):
    (tmp_path / f".{'0' * 32}.last.npz").write_bytes(b"PK half")
    checkpoint = checkpoint_in(tmp_path, network := build())
    assert not checkpoint.restore(network.optimizer)
    assert_same(fit(tmp_path)[0], once[0])


def test_the_state_of_another_network_is_refused_with_what_differs(once):
    network = build(units=9)
    checkpoint = checkpoint_in(once[2], network)
    with pytest.raises(ValueError, match=r"of another network or optimizer.*dense.*/kernel"):
        checkpoint.restore(network.optimizer)


def stoppers():
    # Of a number that never grows so much.
    kind = {"monitor": "accuracy", "mode": "max", "min_delta": 2.0}
    return [
        keras.callbacks.ReduceLROnPlateau(**kind, patience=2),
        keras.callbacks.EarlyStopping(**kind, patience=9, restore_best_weights=True),
    ]


def test_callbacks_go_on_with_what_they_remember(tmp_path):
    (tmp_path / "once").mkdir()
    _, expected = fit(tmp_path / "once", epochs=5, others=stoppers())
    with pytest.raises(Killed):
        fit(tmp_path, epochs=5, others=stoppers(), kill=KillAt(3, 1), minutes=1e-9)
    _, checkpoint = fit(tmp_path, epochs=5, others=stoppers())
    for callback, other in zip(checkpoint.callbacks, expected.callbacks, strict=True):
        assert (callback.wait, callback.best) == (other.wait, other.best)
    for weight, other in zip(
        checkpoint.callbacks[1].best_weights, expected.callbacks[1].best_weights, strict=True
    ):
        np.testing.assert_array_equal(weight, other)


def test_memory_goes_to_callbacks_of_its_kind(tmp_path):
    _, before = fit(tmp_path, epochs=3, others=stoppers())
    stopping = keras.callbacks.EarlyStopping("accuracy", mode="max", patience=5)
    _, checkpoint = fit(tmp_path, epochs=3, others=[stopping])
    checkpoint.on_train_begin()
    assert stopping.wait == before.callbacks[1].wait != before.callbacks[0].wait


def test_a_machine_that_does_not_write_writes_nothing(tmp_path):
    fit(tmp_path, epochs=1, writes=False, minutes=1e-9)
    assert not list(tmp_path.iterdir())
