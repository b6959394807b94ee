import json
import subprocess
import sys

import pytest
import small_detectors
import tensorflow as tf
from photographs import encoded, photograph
from small_runs import LABELS, RECIPE, make_run

from spp_keras import cli, model_repository, recipes, run_folder, serving


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose images are there, for int8."""
    home = tmp_path_factory.mktemp("runs")
    for number, label in enumerate(LABELS):
        (home / "pets" / "train" / label).mkdir(parents=True)
        for seed in range(3):
            content = encoded(photograph(40 + seed, 60, number))
            (home / "pets" / "train" / label / f"{seed}.png").write_bytes(content)
    recipe = recipes.Recipe(**{**vars(RECIPE), "data": str(home / "pets")})
    make_run(home / "run", recipe)
    return home / "run"


def test_a_run_becomes_a_version_that_is_printed(run, tmp_path, capsys):
    # A dot in the name makes no file of it.
    to = tmp_path / "saved_models" / "pets-0.25.onnx_like"
    assert (
        cli.main(["export", str(run), "--output", str(to), "--top", "2", "--on-error", "report"])
        == 0
    )
    assert capsys.readouterr().out == f"{to / '1'}\n"
    answer = tf.saved_model.load(to / "1").signatures["bytes"]
    found = answer(image_bytes=tf.constant([encoded(photograph(40, 60)), b"Not found"]))
    assert found["labels"].shape == (2, 2)
    assert found["error_codes"].numpy().tolist() == [0, 1]
    assert (to.parent / "models.config").is_file()


def test_json_has_the_path_and_the_labels(run, tmp_path, capsys):
    to = tmp_path / "pets.tflite"
    assert cli.main(["export", str(run), "--output", str(to), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"path": str(to), "labels": list(LABELS)}
    assert to.is_file()


@pytest.mark.integration
def test_a_run_becomes_an_int8_file_for_one_size_fitted_to_its_own_images(run, tmp_path, capsys):
    to = tmp_path / "phone" / "pets.tflite"
    assert (
        cli.main(
            ["export", str(run), "--output", str(to), "--quantize", "int8", "--image-size", "64"]
        )
        == 0
    )
    assert capsys.readouterr().out == f"{to}\n"
    assert to.with_suffix(".labels.txt").read_text().splitlines() == list(LABELS)
    answer = serving.load_predictor(to)(encoded(photograph(200, 170)))
    assert set(answer.labels) == set(LABELS)
    assert sum(answer.scores) == pytest.approx(1, abs=1e-3)


@pytest.mark.integration
def test_an_export_orients_files_as_the_run_did(run, tmp_path):
    for orientation in ("exif", "file"):
        recipe = recipes.read_recipe(run / run_folder.RECIPE, orientation=orientation)
        make_run(tmp_path / orientation, recipe)
        to = tmp_path / "models" / orientation
        assert cli.main(["export", str(tmp_path / orientation), "--output", str(to)]) == 0
        assert model_repository.read_orientation(to / "1") == orientation


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The folder of a detector."""
    folder = tmp_path_factory.mktemp("detector")
    small_detectors.detector(deltas=False).save(folder / run_folder.DETECTOR)
    return folder


def test_the_detector_of_a_folder_becomes_a_version(found, tmp_path, capsys):
    to = tmp_path / "saved_models" / "pets"
    assert cli.main(["export", str(found), "--output", str(to), "--on-error", "report"]) == 0
    assert capsys.readouterr().out == f"{to / '1'}\n"
    answer = tf.saved_model.load(to / "1").signatures["bytes_with_boxes"](
        image_bytes=tf.constant([encoded(photograph(40, 60)), b"Not found"]),
        boxes=tf.constant([[[0.0, 0, 40, 40]]] * 2),
    )
    assert answer["error_codes"].numpy().tolist() == [0, 1]
    assert answer["count"][0] > 0


@pytest.mark.integration
def test_the_detector_of_a_folder_becomes_a_file(found, tmp_path, capsys):
    to = tmp_path / "pets.tflite"
    assert (
        cli.main(
            [
                "export",
                str(found),
                "--output",
                str(to),
                "--quantize",
                "float16",
                "--image-size",
                "64",
            ]
        )
        == 0
    )
    assert capsys.readouterr().out == f"{to}\n"
    labels = to.with_suffix(".labels.txt").read_text(encoding="utf-8").splitlines()
    assert tuple(labels) == small_detectors.LABELS


OF_A_DETECTOR = {
    "top": (
        ["--output", "{tmp}/m/x", "--top", "3"],
        "`top_k` is an option of the export of a classifier for",
    ),
    "calibration": (
        ["--output", "{tmp}/x.tflite", "--calibration-data", "voc/2007"],
        "--calibration-data is for --quantize int8",
    ),
    "int8": (["--output", "{tmp}/x.tflite", "--quantize", "int8"], "Received: quantization='int8'"),
    "a quantization for a server": (
        ["--output", "{tmp}/m/x", "--quantize", "int8"],
        "--quantize is for a file",
    ),
}


@pytest.mark.parametrize("case", OF_A_DETECTOR)
def test_what_is_not_for_a_detector_is_refused_with_2(case, found, tmp_path, capsys):
    arguments, message = OF_A_DETECTOR[case]
    filled = [argument.format(tmp=tmp_path) for argument in arguments]
    assert cli.main(["export", str(found), *filled]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


REFUSED = {
    "a folder that is no run": (["{tmp}", "--output", "{tmp}/m/x"], "recipe.toml is missing"),
    "a quantization for a server": (
        ["{run}", "--output", "{tmp}/m/x", "--quantize", "int8"],
        "--quantize is for a fi",
    ),
    "a top for a file": (
        ["{run}", "--output", "{tmp}/x.tflite", "--top", "3"],
        "--top is for the rep",
    ),
    "calibration of floats": (
        ["{run}", "--output", "{tmp}/x.tflite", "--calibration-data", "voc/2007"],
        "--calibration-data is for --quantize int8",
    ),
    "a size too small": (
        ["{run}", "--output", "{tmp}/x.tflite", "--image-size", "20"],
        "`image_size` must be None or (height, width), ints >= 29",
    ),
    "a name with a space": (["{run}", "--output", "{tmp}/m/x y"], "must end in a name of letters"),
    "calibration that is not there": (
        [
            "{run}",
            "--output",
            "{tmp}/x.tflite",
            "--quantize",
            "int8",
            "--calibration-data",
            "/nowhere",
        ],
        "`data` must be an existing folder",
    ),
}


OTHER_FORMS = (
    *("model.onnx", "model.keras", "model.h5", "model.hdf5", "model.pb", "model.pt", "model.pth"),
    *("model.mlmodel", "model.mlpackage", "model.pbtxt", "model.json", "model.zip"),
    *("model.savedmodel", "model.ONNX", "zf5_spp-0.25.weights.h5", "m/x.Keras"),
)


@pytest.mark.parametrize("name", OTHER_FORMS)
def test_a_file_that_is_not_written_is_refused_before_any_work(name, tmp_path, capsys, monkeypatch):
    (tmp_path / "runs" / "none").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spp_keras.cli.export.load_tensorflow", lambda: pytest.fail("work"))
    # Not even the run is read.
    assert cli.main(["export", "runs/none", "--output", name]) == 2
    said = capsys.readouterr().err
    assert "saved_models/zf5_spp" in said
    assert ".tflite" in said
    assert f"Received: output={name!r}" in said
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_the_refusal_does_not_load_tensorflow(tmp_path):
    code = (
        "import sys; from spp_keras import cli\n"
        "print(cli.main(['export', 'run', '--output', 'model.onnx']), 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout == "2 False\n"
    assert not list(tmp_path.iterdir())


def test_a_tflite_ending_in_capitals_is_told_from_a_folder(run, tmp_path, capsys):
    assert cli.main(["export", str(run), "--output", str(tmp_path / "x.TFLITE")]) == 2
    assert "in small letters" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_export_is_refused_with_2_and_leaves_nothing(case, run, tmp_path, capsys):
    arguments, message = REFUSED[case]
    filled = [argument.format(run=run, tmp=tmp_path) for argument in arguments]
    assert cli.main(["export", *filled]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_disk_that_does_not_do_its_part_is_a_line_and_not_a_traceback(
    run, tmp_path, capsys, monkeypatch
):
    from spp_keras import export

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "export_model", full)
    assert cli.main(["export", str(run), "--output", str(tmp_path / "m" / "x")]) == 2
    said = "no space left on the disk: make room, and give the same command again."
    assert capsys.readouterr().err == f"spp-keras: {said}\n"
