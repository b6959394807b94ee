"""The weights that come with the package, by what the command that made them kept of them."""

import importlib
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import spp_keras
from spp_keras import cli, evaluation, zoo
from spp_keras.data import load_records
from spp_keras.data.shapes import outlines
from spp_keras.zoo import shipped_weights
from spp_keras.zoo.zoo_folder import find_zoo_folder

FOLDER = find_zoo_folder() / "zf5_spp"
RESULTS = json.loads((FOLDER / "shapes_weights.json").read_text())
PROTOCOLS = {row["form"]: row["protocol"] for row in reversed(RESULTS["rows"])}
NAMES = sorted(RESULTS["weights"])
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_weights_are_listed_beside_their_recipes():
    assert shipped_weights.list_shipped_weights("zf5_spp") == NAMES
    assert shipped_weights.list_shipped_weights("zf5") == []
    assert zoo.list_models(weights="shapes") == ["zf5_spp"]
    assert zoo.list_models("alex*", weights="shapes_warped") == []
    recipes = {Path(name).name for name in spp_keras.recipes.list_recipes("classification")}
    assert recipes >= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_has_the_weights_of_its_file(name):
    model = zoo.zf5_spp(12, width=0.125, weights=name)
    path = FOLDER / f"{name}.weights.h5"
    with h5py.File(path) as file:
        stored = []
        file.visititems(
            lambda _, node: stored.append(node[()]) if isinstance(node, h5py.Dataset) else None
        )
    assert {array.dtype for array in stored} == {np.dtype("float16")}
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    sums = sorted(float(array.astype("float64").sum()) for array in stored)
    np.testing.assert_allclose(sorted(w.astype("float64").sum() for w in model.get_weights()), sums)
    assert shipped_weights.read_labels(str(path)) == outlines.CLASSES


def test_they_take_less_than_ten_megabytes():
    assert sum(file.stat().st_size for file in FOLDER.glob("*.weights.h5")) < 10e6


def test_fine_tuning_begins_with_all_but_the_predictions():
    trained = zoo.zf5_spp(12, width=0.125, weights="shapes").get_layer("fc7").get_weights()
    model = spp_keras.create_model("zf5_spp", classes=3, width=0.125, weights="shapes")
    for ours, theirs in zip(model.get_layer("fc7").get_weights(), trained, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("network", "arguments", "message"),
    [
        ("zf5_spp", {"weights": "shapes"}, "`width` explains it: conv1 has 12 units in the file"),
        (
            "zf5_spp",
            {"weights": "places"},
            "'shapes', 'shapes_cropped', 'shapes_warped' or None for zf",
        ),
        ("zf5", {"weights": "shapes"}, "file ending in .weights.h5 or None for zf5"),
    ],
)
def test_other_networks_and_names_are_refused(network, arguments, message):
    with pytest.raises(ValueError, match=message):
        spp_keras.create_model(network, classes=12, **arguments)


def test_a_recipe_knows_them():
    recipe = spp_keras.recipes.Recipe(model="zf5_spp", width=0.125, weights="shapes")
    assert recipe.weights == "shapes"
    with pytest.raises(ValueError, match="'shapes_warped', or empty"):
        spp_keras.recipes.Recipe(model="zf5_spp", weights="places")


def test_a_trained_network_is_a_run_by_the_name_of_its_recipe(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run = spp_keras.load_run("zf5_spp/shapes_warped")
    assert (run.labels, run.recipe.weights) == (outlines.CLASSES, "shapes_warped")
    assert run.recipe.size_policy == "warped"
    expected = zoo.zf5_spp(12, width=0.125, weights="shapes_warped").get_weights()
    for ours, theirs in zip(run.model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert cli.main(["predict", "zf5_spp/shaps", "photo.jpg"]) == 2
    assert "zf5_spp/shapes_cropped" in capsys.readouterr().err


def test_the_text_is_that_of_the_figures(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    tables = importlib.import_module("shapes_weights_tables")
    assert (FOLDER / "shapes_weights.md").read_text() == tables.markdown(RESULTS)


def test_all_trainings_had_stopped_learning():
    for row in RESULTS["rows"]:
        assert len(row["accuracies"]) == RESULTS["seeds"] >= 3
        assert all(row["stopped_learning"]), row["form"]


@pytest.mark.integration
@pytest.mark.parametrize("name", NAMES)
def test_logits_and_accuracy_are_those_of_the_training(name, drawn_shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = RESULTS["weights"][name]
    records = load_records("shapes", "test", drawn_shapes)
    monkeypatch.syspath_prepend(BENCHMARKS)
    made = importlib.import_module("shapes_weights")
    run = spp_keras.load_run(f"zf5_spp/{name}")
    few = records.select(range(len(kept["logits"])))
    path = str(FOLDER / f"{name}.weights.h5")
    np.testing.assert_allclose(
        made.compute_logits(run, path, PROTOCOLS[name], few), kept["logits"], atol=1e-3
    )

    results = evaluation.evaluate(
        f"zf5_spp/{name}",
        PROTOCOLS[name],
        data="shapes",
        data_dir=drawn_shapes,
        split="test",
        output=tmp_path / "evaluation",
    )

    assert results["images"] == RESULTS["images"]
    right = round(results["rows"][0]["top1"] * results["images"])
    assert abs(right - kept["correct"]) <= 2
