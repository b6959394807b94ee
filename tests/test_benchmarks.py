"""What the benchmarks count by themselves; their figures are made by running them."""

import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from spp_keras import zoo
from spp_keras.data import size_policies as policies
from spp_keras.data.shapes import outlines, scenes
from spp_keras.zoo import model_parts

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
RESULTS = BENCHMARKS / "results"
TABLES = ("table2", "table3", "table4", "tables67", "sizes")


@pytest.fixture(scope="module")
def paper():
    """Imports of what the commands for the paper's tables import of each other."""
    folders, before = [str(BENCHMARKS / "paper"), str(BENCHMARKS)], set(sys.modules)
    path = list(sys.path)
    sys.path[:0] = folders
    yield importlib.import_module
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(BENCHMARKS)):
            del sys.modules[name]


def load(name):
    spec = importlib.util.spec_from_file_location(Path(name).stem, BENCHMARKS / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_is_that_of_the_t_test(seed):
    gains = np.random.default_rng(seed).normal(1, 2, 5)

    verdict = load("paper/verdicts.py").judge(gains)

    expected = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert (verdict.low, verdict.high) == pytest.approx(expected)
    assert (verdict.mean, verdict.seeds) == (pytest.approx(gains.mean()), 5)


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        ([1.0, 1.2, 0.8], "shown"),
        ([-1.0, -1.2, -0.8], "shown the other way"),
        ([-1.0, 1.2, 0.8], "not shown"),
        ([1.0], "cannot be judged here: there are fewer than two seeds"),
    ],
)
def test_a_verdict_follows_from_the_interval(gains, word):
    verdicts = load("paper/verdicts.py")
    line = verdicts.line(verdicts.Claim("more is better", verdicts.judge(gains)))

    assert line.startswith(f"- **{word}**: more is better")


@pytest.mark.parametrize(
    ("gains", "word"),
    [
        ([0.1, -0.1, 0.0], "shown"),
        ([1.0, 1.2, 0.8], "shown the other way"),
        ([-1.0, -1.2, -0.8], "shown the other way"),
        ([-1.0, 1.2, 0.8], "not shown"),
    ],
)
def test_a_claim_of_no_difference_is_shown_where_the_interval_leaves_no_room(gains, word):
    assert load("paper/verdicts.py").judge(gains, within=0.3).word == word


def test_an_end_of_an_interval_never_reads_as_zero():
    verdicts = load("paper/verdicts.py")

    text = verdicts.figures(verdicts.Verdict("shown", 0.3, 0.04, 0.6, 5))

    assert text == "+0.3 points, 95% interval +0.04 to +0.60 (5 seeds)"


def test_networks_in_small_differ_in_sizes_and_levels_alone(paper):
    networks = paper("networks")

    for net in networks.NETS:
        made = [vars(networks.recipe(net, variant, seed=3)) for variant in networks.VARIANTS]
        differing = {key for one in made for key in one if one[key] != made[0][key]}
        assert differing == {"levels", "size_policy", "image_sizes", "short_side"}
    # What is compared as forms of training differs in nothing but the form.
    forms = [vars(networks.recipe("overfeat7", form, 0)) for form in ("single", "whole", "warped")]
    assert len({form["levels"] for form in forms}) == 1


def test_the_form_of_a_training_is_that_of_its_recipe(paper):
    networks = paper("networks")
    of_sizes = {"fixed": "crop", "alternating": "crop", "range": "crop", "whole": "whole"}
    of_sizes["warped"] = "warp"

    for variant in networks.VARIANTS:
        recipe = networks.recipe("zf5", variant, seed=0)
        assert networks.FORMS[variant] == of_sizes[recipe.size_policy]


def test_whole_images_have_as_many_pixels_as_the_squares(paper):
    networks = paper("networks")
    drawn = np.array(
        [
            scenes.compose_scene(outlines.CLASSES[n % 12], np.random.default_rng(n)).size
            for n in range(600)
        ]
    )

    sent = policies.Whole(short_side=networks.WHOLE_SHORT_SIDE).output_sizes(drawn)

    assert sent.prod(axis=1).mean() == pytest.approx(networks.SIDE**2, rel=0.02)


@pytest.mark.parametrize("net", ["zf5", "alexnet5", "overfeat5", "overfeat7"])
def test_a_map_coarser_than_the_pyramid_is_found(paper, net):
    networks = paper("networks")
    network = getattr(zoo, f"{net}_spp")(classes=2, width=0.02)
    trunk = model_parts.split_model(network).trunk

    for variant in networks.VARIANTS:
        recipe = networks.recipe(net, variant, seed=0)
        sides = recipe.image_sizes or (recipe.short_side,)
        cells = [trunk(np.zeros((1, side, side, 3), "float32")).shape[1] for side in sides]
        assert bool(networks.find_coarse_map(net, variant)) == (min(cells) < max(recipe.levels))
    if net == "zf5":
        assert "second map (4x4 cells, " in networks.find_coarse_map(net, "multi")
        assert "pyramid (6x6)" in networks.find_coarse_map(net, "multi")


def test_two_sizes_are_not_judged_by_maps_coarser_than_the_pyramid(paper):
    rows = [
        {"net": net, "variant": variant, "seed": seed, "top-1": 40.0 + seed + loss}
        for net in paper("networks").NETS
        for variant, loss in (("none", 9), ("single", 5), ("multi", 90 if net == "zf5" else 4))
        for seed in range(3)
    ]

    claims = {claim.text: claim.verdict for claim in paper("table2").claims(rows)}

    two = "training at two sizes is better than at one"
    assert claims[f"{two}, ZF-5 and Convnet*-5"].word == "cannot be judged here"
    assert claims[f"{two}, Overfeat-5 and Overfeat-7 together"].mean == pytest.approx(1)
    one = claims["a pyramid is better than 6x6 bins alone, at one size, four networks together"]
    assert one.mean == pytest.approx(4)


def test_pairs_of_models_are_held_against_the_better_one_and_not_judged(paper):
    table10 = paper("table10")
    single = {0: 0.70, 1: 0.74, 2: 0.66}
    pairs = {(0, 1): 0.73, (0, 2): 0.72, (1, 2): 0.75}
    rows = [
        {"column": column, "row": row, "seed": seed, "11-point": value}
        for row in table10.ROWS
        for column in (table10.ONE, table10.FIVE, table10.RCNN)
        for seed, value in single.items()
    ] + [
        {"column": table10.PAIRS, "row": row, "seed": list(seeds), "11-point": value}
        for row in table10.ROWS
        for seeds, value in pairs.items()
    ]

    claim = next(each for each in table10.claims(rows) if each.text.startswith("two models"))

    assert claim.verdict.word == "cannot be judged here"
    assert "3 pairs of 3 networks are not independent" in claim.verdict.why
    assert "+1.0, +4.0, +5.0 points over the mean of the two" in claim.note
    assert "-1.0, +2.0, +1.0 over the better" in claim.note


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_network_is_tested_in_the_form_it_was_trained_in(paper, path):
    rows = json.loads(path.read_text())["rows"]

    assert paper("forms").find_crossed(path.stem, rows) == []


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("sizes", {"variant": "none", "trained": "crop", "tested": "warp"}),
        ("another", {"trained": "crop", "tested": "whole"}),
        # What does not say.
        ("sizes", {"way": "warp", "short side": 96, "seed": 0, "top-1": 31.2}),
        # By name is a crossing allowed, not by table.
        ("table2", {"net": "zf5", "variant": "whole", "seed": 0}),
    ],
)
def test_a_network_tested_in_another_form_is_found(paper, table, row):
    assert paper("forms").find_crossed(table, [row]) == [row]


def test_every_crossing_that_is_named_is_there(paper):
    forms = paper("forms")
    there = {
        (path.stem, both[1])
        for path in RESULTS.glob("*.json")
        for row in json.loads(path.read_text())["rows"]
        if (both := forms.of_row(path.stem, row)) and both[0] != both[1]
    }

    assert there == set(forms.CROSSINGS)


@pytest.mark.parametrize(
    ("variant", "policy"),
    [
        ("whole", policies.Whole(short_side=93)),
        ("warped", policies.Warp(image_size=112)),
        ("single", policies.Crop(image_sizes=(112,), short_side=128, position="center")),
    ],
)
def test_the_table_of_forms_sends_what_a_training_is_validated_with(paper, variant, policy):
    sizes, network = paper("sizes"), zoo.overfeat7_spp(classes=12, width=0.02)

    (part,) = sizes._ask(network, variant, sizes._OWN[variant]).list_views((375, 500))

    window, target = (
        value.numpy() for value in policy.window_and_size(np.array([375, 500], "int32"))
    )
    left, top, right, bottom = part.views[0].window
    assert len(part.views) == 1
    assert [bottom - top, right - left] == target.tolist()
    # The same part of the image.
    seen = np.array([top, left, bottom, right]) / [*part.size, *part.size]
    taken = np.array([*window[:2], *(window[:2] + window[2:])]) / [375, 500, 375, 500]
    np.testing.assert_allclose(seen, taken, atol=0.01)


@pytest.mark.parametrize("name", [*TABLES, "detection"])
def test_a_table_is_what_its_json_says(paper, name, tmp_path, monkeypatch):
    module = load("paper/detection.py") if name == "detection" else paper(name)
    monkeypatch.setattr(module, "_measure", lambda options: pytest.fail("measures"))
    for file in RESULTS.glob("*.json"):
        shutil.copy(file, tmp_path)

    module.main(["--render", "--out", str(tmp_path)])

    assert (tmp_path / f"{name}.md").read_text() == (RESULTS / f"{name}.md").read_text()
    if name != "detection":
        drawn, kept = (
            np.asarray(Image.open(folder / f"{name}.png").convert("RGB"), "float32")
            for folder in (tmp_path, RESULTS)
        )
        assert drawn.shape == kept.shape
        # Letters are not the same in every version of what draws them.
        assert np.abs(drawn - kept).mean() < 4


def test_what_came_out_is_what_the_tables_say(paper, tmp_path):
    for file in RESULTS.glob("*.json"):
        shutil.copy(file, tmp_path)

    paper("summary").main(["--out", str(tmp_path)])

    assert (tmp_path / "summary.md").read_text() == (RESULTS / "summary.md").read_text()


@pytest.mark.parametrize(
    ("page", "heading"),
    [("paper.md", "## Reduced-scale tables"), ("detection.md", "## Accuracy")],
)
def test_no_result_is_typed_beside_a_table(paper, page, heading):
    without_sections = load("fill_readme.py").without_sections
    text = (ROOT / "docs" / page).read_text()
    section = text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    typed = without_sections(section)
    assert len(typed) < len(section)

    # A verdict, points, or a comparison.
    words = "|".join([*paper("verdicts").WORDS, "contradicted"])
    points = "(?<![\\w.])[+\N{MINUS SIGN}-]\\d+[.]\\d"
    assert re.findall(rf"\*\*(?:{words})\b", without_sections(text)) == []
    assert re.findall(points, without_sections(text) if page == "paper.md" else typed) == []
    assert re.findall(r"\b(?:better|best|worse|behind|ahead|more than|less than)\b", typed) == []


def list_commands():
    """The scripts that a user starts; workers are started by another one."""
    texts = {path: path.read_text() for path in sorted(BENCHMARKS.glob("**/*.py"))}
    return [
        path
        for path, text in texts.items()
        if "__main__" in text and not re.search(r"^ +serve\(", text, re.MULTILINE)
    ]


# One process for all: each would load TensorFlow anew.
ASK_ALL = """
import pathlib, runpy, sys
for path in sys.argv[1:]:
    sys.path[0], sys.argv = str(pathlib.Path(path).parent), [path, "--help"]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as stop:
        assert not stop.code, path
    else:
        raise AssertionError(f"{path} went on")
"""


def test_every_command_has_help():
    paths = list_commands()
    done = subprocess.run(
        [sys.executable, "-c", ASK_ALL, *paths], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for path in paths:
        assert f"usage: {path.name} " in done.stdout, path
