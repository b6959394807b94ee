"""Photographs of classes with names that could break a page, and runs on them."""

import csv
import json

import numpy as np
import photographs
import pytest
import small_runs

from spp_keras import recipes, run_folder
from spp_keras.report import predictions

# In the order of a folder's classes.
LABELS = ("<script>alert('&')", "cat", "red car")
SIZES = [(64, 151), (130, 70), (90, 90), (77, 120), (101, 64), (120, 80), (66, 99)]
HISTORY = [
    {"epoch": 1, "learning_rate": 0.01, "seconds": 61, "fill": 0.9, "accuracy": 0.4}
    | {"val_accuracy": 0.3},
    {"epoch": 2, "learning_rate": 0.001, "seconds": 61, "fill": 0.8, "accuracy": 0.6}
    | {"val_accuracy": 0.5},
]


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for split, each in (("train", 1), ("validation", 7)):
        for label, name in enumerate(LABELS):
            for number, size in enumerate(SIZES[:each]):
                path = folder / split / name / f"{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture = photographs.photograph(*size, seed=10 * label + number)
                path.write_bytes(photographs.encoded(picture, "JPEG", quality=95))
    return folder


@pytest.fixture(scope="session")
def make_run(data, tmp_path_factory):
    def make(*, multi_label=False, **changes):
        given = {"width": 0.0625, "levels": (3, 2, 1), "data": str(data), "longest_side": 120}
        folder = tmp_path_factory.mktemp("runs") / "<b>run & co"
        recipe = recipes.Recipe(**given | changes)
        small_runs.make_run(folder, recipe, LABELS, multi_label=multi_label)
        for name, rows in (
            (run_folder.HISTORY, HISTORY),
            (
                run_folder.SKIPPED,
                [{"images": "train", "id": "<img src=x>.jpg", "reason": "is empty"}],
            ),
        ):
            with (folder / name).open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        return folder

    return make


@pytest.fixture(scope="session")
def run(make_run):
    return make_run()


@pytest.fixture(scope="session")
def results(run):
    return predictions.predict_validation_images(run, 600)


@pytest.fixture(scope="session")
def evaluated():
    """Writes an `evaluation.json` with rows of these shares."""

    def write(folder, shares, images=200):
        rows = [
            {
                "runs": [str(folder)],
                "protocol": name,
                "views": 1.0,
                "view_sizes": [64],
                "top1": share,
            }
            for name, share in shares.items()
        ]
        result = {"data": "pets validation", "images": images, "skipped": 3, "date": "2014-06-18"}
        result |= {"versions": {"spp_keras": "0"}, "rows": rows}
        (folder / run_folder.EVALUATION).mkdir(parents=True, exist_ok=True)
        path = folder / run_folder.EVALUATION / run_folder.EVALUATION_RESULTS
        path.write_text(json.dumps(result))

    return write


@pytest.fixture
def maps():
    """A feature map of uneven sides in which values are tied, as behind a ReLU."""
    drawn = np.random.default_rng(0)
    return np.maximum(drawn.integers(-4, 5, (7, 10, 6)), 0).astype("float32")
