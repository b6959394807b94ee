import json
import subprocess
import sys

import numpy as np
import photographs
import pytest

import spp_keras
from spp_keras import cli, pretrained, recipes, run_folder
from spp_keras.zoo import imagenet, package_weights


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    picture = photographs.photograph(300, 451)
    path.write_bytes(photographs.encoded(picture, "JPEG"))
    return path


def test_a_network_with_weights_is_a_run_made_once(cache):
    run = spp_keras.load_run("efficientnet_lite0")
    assert run.path.is_relative_to(cache)
    assert run.labels == imagenet.list_labels()
    assert len(set(run.labels)) == 1000
    assert run.recipe.model == "efficientnet_lite0"
    assert (run.recipe.levels, run.recipe.mode) == ((1,), "average")
    written = (run / run_folder.BEST_WEIGHTS).stat().st_mtime_ns
    assert spp_keras.load_run("efficientnet_lite0").path == run.path
    assert (run / run_folder.BEST_WEIGHTS).stat().st_mtime_ns == written


def test_the_run_has_the_weights_of_the_package(cache):
    ours = spp_keras.load_run("efficientnet_lite0").model.get_weights()
    theirs = spp_keras.create_model("efficientnet_lite0", weights="imagenet").get_weights()
    for ours_, theirs_ in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(ours_, theirs_)


def test_what_lies_in_the_current_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "efficientnet_lite0").mkdir()
    assert str(pretrained.find_run("efficientnet_lite0")) == "efficientnet_lite0"


def test_nothing_is_left_where_it_cannot_be_made(cache, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError("`weights` is cut")

    monkeypatch.setattr(package_weights, "_read_arrays", fail)
    with pytest.raises(ValueError, match="is cut"):
        pretrained.find_run("efficientnet_lite0")
    assert not list(cache.rglob("*.h5"))
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(run_folder.RunFolder, "write_recipe", lambda *args, **kwargs: fail())
    with pytest.raises(ValueError, match="is cut"):
        pretrained.find_run("efficientnet_lite0")
    assert not list(cache.rglob("*.h5"))


def test_predict_names_a_photograph(cache, photo, capsys):
    assert cli.main(["predict", "efficientnet_lite0", str(photo), "--top", "2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer["labels"]) < set(imagenet.list_labels())
    # As the model itself answers, for the image at the scale of the recipe.
    run = spp_keras.load_run("efficientnet_lite0")
    from PIL import Image

    size = run.size_policy.output_sizes(np.array([[300, 451]]))[0]
    assert min(size) == run.recipe.short_side
    assert answer["labels"] == list(run.predict(Image.open(photo), top_k=2).labels)


def test_int8_needs_calibration_images(cache, tmp_path, capsys):
    output = tmp_path / "lite0.tflite"
    arguments = ["efficientnet_lite0", "--output", str(output), "--quantize", "int8"]
    assert cli.main(["export", *arguments]) == 2
    said = capsys.readouterr().err
    assert "`calibration_data` must be given for quantization='int8'" in said
    assert "(--calibration-data photos/)" in said
    assert not list(tmp_path.glob("lite0*"))


def test_a_name_that_is_neither_run_nor_network_is_refused(capsys):
    assert cli.main(["predict", "efficientnet_lite9", "photo.jpg"]) == 2
    assert "or the name of a network with weights" in capsys.readouterr().err


def test_a_detector_on_it_is_written_to_runs(cache, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = {}

    def train(recipe, output, **options):
        given.update(recipe=recipe, output=output)

    monkeypatch.setattr("spp_keras.detection.train_detector", train)
    spp_keras.train_detector("efficientnet_lite0", data="voc")
    assert str(given["output"]) == "runs/efficientnet_lite0-detector"
    spp_keras.train_detector(pretrained.find_run("efficientnet_lite0"), data="voc")
    assert str(given["output"]) == "runs/efficientnet_lite0-detector"
    assert recipes.read_recipe(given["recipe"].run + "/recipe.toml").weights == "imagenet"


@pytest.mark.integration
def test_two_processes_make_it_at_once(cache):
    code = (
        "from spp_keras import pretrained, run_folder\n"
        "run = run_folder.RunFolder(pretrained.find_run('efficientnet_lite0'))\n"
        "run.check_is_trained()\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(300) for process in processes] == [0, 0]
    assert len(list(cache.rglob("best.weights.h5"))) == 1
