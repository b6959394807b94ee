"""Tables of times are what their figures say: none of them is edited by hand."""

import importlib
import json
import re
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULTS = BENCHMARKS / "results"
TABLES = (
    *("training", "serving", "evaluation", "network", "any_size", "packing_exactness"),
    *("photograph_scales", "pretrained_exports", "fine_tuning"),
)


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def results(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_that_of_its_figures(name, load):
    tables = load(f"{name}_tables")
    assert (RESULTS / f"{name}.md").read_text() == tables.markdown(results(name))


@pytest.mark.parametrize(
    "name",
    [
        *("training", "serving", "network", "any_size", "packing_exactness"),
        *("photograph_scales", "pretrained_exports", "fine_tuning"),
    ],
)
def test_render_makes_the_table_again_and_measures_nothing(name, load, tmp_path):
    (tmp_path / f"{name}.json").write_bytes((RESULTS / f"{name}.json").read_bytes())
    assert load(name).main(["--render", "--out", str(tmp_path)]) == 0
    assert (tmp_path / f"{name}.md").read_text() == (RESULTS / f"{name}.md").read_text()


def test_three_samples_have_a_range_and_no_ratio_of_medians(load):
    found = results("training")
    rates = {row["name"]: row["rates"] for row in found["rows"] if row["section"] == "devices"}
    least = min(rates["two devices"]) / max(rates["one device"])
    most = max(rates["two devices"]) / min(rates["one device"])
    assert all(len(samples) == 3 for samples in rates.values())

    text = load("training_tables").markdown(found)

    line = re.search(r"^\| two devices \| (.*?) \|", text, re.MULTILINE)[1]
    assert line.endswith(f", x{least:.2f} to x{most:.2f}")
    assert line.endswith(", x0.57 to x0.95")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.1.0.dev0", "spp_keras 0.1.0.dev0 was no release: the code has changed since"),
        (None, "The version of spp_keras was not noted: the code has changed since"),
        ("0.1.1", None),
    ],
)
@pytest.mark.parametrize("name", TABLES)
def test_figures_of_code_that_was_no_release_say_so(name, version, expected, load):
    found = results(name)
    found["machine"]["versions"] = {"spp_keras": version} if version else {}

    text = load(f"{name}_tables").markdown(found)

    assert ("the code has changed since" in text) == (expected is not None)
    assert (expected or "") in text


def test_whether_the_network_had_stopped_learning_is_said(load):
    missing = "Whether the network had stopped learning was not noted."
    for name in ("serving", "evaluation"):
        found, tables = results(name), load(f"{name}_tables")
        for holder in (found["machine"], *found["rows"]):
            holder.pop("training", None)
        assert missing in tables.markdown(found)
        for holder in (found["machine"], *found["rows"]):
            holder["training"] = "The training of a was broken off."
        text = tables.markdown(found)
        assert missing not in text
        assert "The training of a was broken off." in text


def test_a_share_of_images_is_said_with_what_it_is_worth(load):
    found = results("serving")
    # By hand: 412 of 600 are right.
    said = "Other images would give the network 64.8% to 72.2% (Wilson's 95% interval): no diff"
    assert said in load("serving_tables").markdown(found)
    for row in found["rows"]:
        if row["section"] == "agreement" and row["name"] == "TFLite, int8":
            row["right"] = 0.5
    assert "Other images would" not in load("serving_tables").markdown(found)
