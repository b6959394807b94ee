"""The way of a new user with a folder of images: look, train, ask, each by the command line."""

import json
import shlex

import exif_files
import numpy as np
import pytest
from photographs import encoded, photograph
from PIL import Image

from spp_keras import cli
from spp_keras.recipes import read_recipe
from spp_keras.zoo import weight_packages

pytestmark = pytest.mark.integration
COLORS = {"green": 1, "red": 0}


def draw(name, height, width, seed):
    """Noise in which the color of the class is bright."""
    pixels = photograph(height, width, seed) // 2
    pixels[..., COLORS[name]] += 120
    return pixels


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """As they come: of several sizes and formats, one turned by EXIF, one cut short, one twice."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name in COLORS:
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(20):
            height, width = rng.integers(40, 110, 2)
            image = Image.fromarray(draw(name, int(height), int(width), number))
            image.save(folder / f"{number}.{('jpg', 'png', 'webp', 'tiff')[number % 4]}")
    turned = exif_files.file(draw("red", 48, 64, 50), "JPEG", 6)
    (tmp_path / "photos" / "red" / "phone.jpg").write_bytes(turned)
    whole = encoded(draw("red", 60, 80, 51), "JPEG")
    (tmp_path / "photos" / "red" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    twice = (tmp_path / "photos" / "red" / "0.jpg").read_bytes()
    (tmp_path / "photos" / "green" / "twice.jpg").write_bytes(twice)
    return tmp_path


def run(capsys, *words):
    code = cli.main(list(words))
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed


def test_the_command_that_sizes_ends_with_trains_and_what_it_trains_predicts(
    photos, monkeypatch, capsys
):
    monkeypatch.setattr(weight_packages, "is_installed", lambda network: False)
    summary = json.loads(run(capsys, "sizes", "photos", "--json").out)
    words = shlex.split(summary["training"]["command"])[1:]
    assert words == ["train", "--data", "photos"]

    words += ["--epochs", "2", "--width", "0.0625"]
    printed = run(capsys, *words)
    assert printed.out.strip() == "runs/zf5_spp-photos"
    # Every key with its reason; what is wrong with the images.
    assert "size_policy" in printed.err
    assert "whole images at their own" in printed.err
    assert "Warning: 1 picture is in two classes" in printed.err
    assert "red/cut.jpg: " in printed.err
    assert "cut short or damaged" in printed.err
    recipe = read_recipe("runs/zf5_spp-photos/recipe.toml")
    assert (recipe.size_policy, recipe.width) == ("native", 0.0625)
    assert " # " in (photos / "runs/zf5_spp-photos/recipe.toml").read_text()

    # The same command has nothing left to do.
    assert "epoch" not in run(capsys, *words).err.partition("resumed after")[2].partition(":")[2]
    answer = run(capsys, "predict", "runs/zf5_spp-photos", "photos/red/3.tiff", "--json").out
    assert json.loads(answer)["labels"][0] in COLORS


def test_a_folder_that_cannot_be_trained_on_says_why(photos, capsys):
    assert cli.main(["train", "--data", "photos/red"]) == 2
    assert "a folder for each of at least two classes" in capsys.readouterr().err
    assert not (photos / "runs").exists()
    assert "at least two classes" in run(capsys, "sizes", "photos/red").out.replace("\n", " ")
