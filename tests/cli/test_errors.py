import errno
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from photographs import encoded, photograph
from small_detectors import make_detector_run
from small_runs import make_run

from spp_keras import _extras, _files, cli, training

COMMAND = [sys.executable, "-m", "spp_keras.cli"]


@pytest.fixture
def train(monkeypatch, tmp_path, capsys):
    """Exit code and standard error of a training that does no more than call a function."""

    def run(function):
        monkeypatch.setattr(training, "train_model", lambda *_, **__: function())
        code = cli.main(["train", "zf5_spp/shapes", "--output", str(tmp_path / "run")])
        return code, capsys.readouterr().err

    return run


def test_a_disk_that_fills_up_while_a_checkpoint_is_written_is_named(train, monkeypatch, tmp_path):
    (tmp_path / "last.npz").write_text("the state before")
    # Written to the full disk as if it were beside the file.
    (tmp_path / "full").symlink_to("/dev/full")
    monkeypatch.setattr(_files, "_make_temporary_path", lambda path: tmp_path / "full")

    def save():
        with _files.replace_file(tmp_path / "last.npz") as beside, beside.open("wb") as file:
            np.savez(file, weights=np.zeros(100_000))

    code, said = train(save)
    assert code == 2
    assert said == (
        f"spp-keras: no space left on the disk for '{tmp_path / 'last.npz'}': "
        "make room, and give the same command again.\n"
    )
    assert (tmp_path / "last.npz").read_text() == "the state before"


def of_numpy(path):
    with path.open("wb") as file:
        np.savez(file, np.zeros(10_000))


def of_hdf5(path):
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(10_000)


def of_tensorflow(path):
    tf.io.write_file(str(path), "x" * 10_000)


@pytest.mark.parametrize("write", [of_numpy, of_hdf5, of_tensorflow])
def test_a_full_disk_is_known_whoever_writes(train, write):
    code, said = train(lambda: write(Path("/dev/full")))
    assert code == 2
    assert said.startswith("spp-keras: no space left on the disk")


def no_room():
    message = "OOM when allocating tensor with shape[128,96,109,109] and type float on /job:a"
    raise tf.errors.ResourceExhaustedError(None, None, f"Graph execution error:\n\n{message}")


@pytest.mark.parametrize(
    "allocate",
    [
        no_room,
        # A petabyte, for which TensorFlow asks again and again.
        pytest.param(lambda: tf.zeros((2**48,)), marks=pytest.mark.integration),
    ],
)
def test_a_batch_that_does_not_fit_says_what_makes_it_smaller(train, allocate):
    code, said = train(allocate)
    assert code == 2
    assert said.startswith("spp-keras: not enough memory (OOM when allocating tensor with shape[")
    for name in ("batch_size", "longest_side", "max_pixels"):
        assert f"--{name.replace('_', '-')} N" in said


def test_an_array_that_does_not_fit_is_said_too(train):
    code, said = train(lambda: np.zeros(2**57))
    assert code == 2
    assert "not enough memory (Unable to allocate 1.00 EiB" in said


def test_a_missing_package_is_named_with_the_line_that_installs_it(train):
    code, said = train(lambda: _extras.import_package("missing_package", "detection", "Training"))
    assert code == 2
    assert said.startswith("spp-keras: Training needs the package `missing_package`.")
    assert said.endswith(f"Install it with: {_extras.install_line('detection')}\n")


def test_a_broken_installation_keeps_its_traceback(train):
    with pytest.raises(ModuleNotFoundError):
        train(lambda: importlib.import_module("spp_keras.missing"))


def test_notes_of_an_error_are_shown(train):
    def fail():
        error = ValueError("`image` is broken.")
        error.add_note("This was image 'a.png'.")
        raise error

    assert train(fail) == (2, "spp-keras: `image` is broken.\nThis was image 'a.png'.\n")


def test_a_mistake_of_ours_keeps_its_traceback(train):
    with pytest.raises(ZeroDivisionError):
        train(lambda: 1 / 0)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_ends_the_command_quietly(unbuffered):
    writer = subprocess.Popen(
        [*COMMAND, "zoo"],
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    writer.stdout.close()
    assert writer.stderr.read() == ""
    writer.stderr.close()
    assert writer.wait(timeout=300) == 141


def test_help_says_what_exit_codes_mean(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    said = capsys.readouterr().out
    assert all(f"\n  {code} " in said for code in (0, 2, 75, 130, 141))


def test_json_of_a_training_has_no_nan(monkeypatch, tmp_path, capsys):
    def train_model(recipe, output, **_):
        Path(output).mkdir()
        (Path(output) / "history.csv").write_text("epoch,loss,val_loss\n1,nan,2.5\n")

    monkeypatch.setattr(training, "train_model", train_model)
    run = tmp_path / "mine"
    assert cli.main(["train", "zf5_spp/shapes", "--output", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "run": str(run),
        "history": [{"epoch": 1, "loss": None, "val_loss": 2.5}],
    }


def test_a_file_of_which_an_open_file_said_nothing_gets_its_name(tmp_path):
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*/state\.json'"),
        _files.replace_file(tmp_path / "state.json"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def quietly(*arguments, cwd):
    """Runs a command as a user does, for whom nobody has set a level of logs."""
    environment = {key: value for key, value in os.environ.items() if "LOG_LEVEL" not in key}
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )


@pytest.mark.integration
def test_a_console_shows_answers_and_nothing_else(tmp_path):
    make_run(tmp_path / "run")
    make_detector_run(tmp_path / "detector")
    (tmp_path / "photo.png").write_bytes(encoded(photograph(60, 90)))
    done = quietly("predict", "run", "photo.png", cwd=tmp_path)
    assert done.stdout.startswith("photo.png\t")
    assert done.stderr == ""
    assert quietly("export", "run", "--output", "m/pets", cwd=tmp_path).stderr == ""
    assert quietly("detect", "detector", "photo.png", cwd=tmp_path).stderr == ""


@pytest.mark.integration
def test_no_import_of_ours_warns():
    parts = ("zoo", "data", "evaluation", "export", "serving", "detection", "training")
    code = "import " + ", ".join(f"spp_keras.{part}" for part in parts)
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=300)


def test_a_load_that_fails_shows_what_was_said_meanwhile(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'no AVX')\nraise ImportError('x')"
    )
    code = "from spp_keras.cli import _command; _command.load_tensorflow()"
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("no AVX")
