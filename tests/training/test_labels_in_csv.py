"""Training and evaluation on a folder of images with a CSV file, from the command line."""

import json

import numpy as np
import pytest
from PIL import Image

from spp_keras import cli, run_folder
from spp_keras.data import records

COLORS = ("blue", "green", "red")


def draw(path, colors, rng):
    pixels = rng.integers(0, 256, (*rng.integers(32, 91, 2), 3))
    for color in colors:
        channel = 2 - COLORS.index(color)
        pixels[..., channel] = pixels[..., channel] // 3 + 160
    Image.fromarray(pixels.astype("uint8")).save(path)


@pytest.mark.integration
@pytest.mark.parametrize(("several", "as_file"), [(False, True), (True, False)])
def test_train_and_evaluate(several, as_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng, rows = np.random.default_rng(0), ["file,labels"]
    (tmp_path / "photos").mkdir()
    for index in range(30):
        colors = [COLORS[index % 3]] + [COLORS[(index + 1) % 3]] * (several and index % 2)
        draw(tmp_path / "photos" / f"{index}.png", colors, rng)
        rows.append(f"{index}.png,{'|'.join(colors)}")
    (tmp_path / "photos" / "labels.csv").write_text("\n".join(rows))
    data = "photos/labels.csv" if as_file else "photos/"
    small = "--width 0.0625 --levels 2,1 --batch-size 5 --epochs 2 --learning-rate 0.003"
    train = ["train", "zf5_spp", "--data", data, "--output", "run", *small.split()]
    assert cli.main(train) == 0
    run = run_folder.RunFolder(tmp_path / "run")
    assert tuple(run.labels) == COLORS
    assert run.multi_label == several
    assert cli.main(["evaluate", "run", "--protocol", "full", "--output", "results"]) == 0
    results = json.loads((tmp_path / "results" / "evaluation.json").read_text())
    assert results["images"] == len(records.load_records(data, "validation")) > 2
