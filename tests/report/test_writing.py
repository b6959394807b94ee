import dataclasses
import json
import math
import re
import shutil
from html import parser

import keras
import numpy as np
import pytest
import scenes
from sklearn import metrics
from small_detectors import make_detector_run

from spp_keras import cli, geometry, recipes, report, run_folder, serving
from spp_keras.data import records
from spp_keras.evaluation import run_settings
from spp_keras.report import html, predictions, pyramid
from spp_keras.run_folder import RunFolder

SCRIPT = "<script>alert('&')"
VOID = {"meta", "img"}
LINKS = {"src", "href", "xlink:href", "srcset", "action", "data", "poster", "background"}


class Page(parser.HTMLParser):
    """What is on a page; fails where tags are not closed or something would be fetched."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.text, self.headings, self.ids = [], [], "", [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []
        assert {used["href"] for used in self.all("use")} == {f"#{name}" for name in self.ids}
        assert "url(" not in self.source
        assert "@import" not in self.source
        assert len(self.source) < 3_000_000

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")
        for name, value in attributes:
            assert not name.startswith("on")
            assert name not in LINKS or value.startswith(("data:image/jpeg;base64,", "#"))
            if name == "id":
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)

    def all(self, tag, **attributes):
        return [
            found
            for name, found in self.tags
            if name == tag and attributes.items() <= found.items()
        ]


@pytest.fixture(scope="module")
def whole(run, results):
    return Page(report.write_report(run))


def test_a_page_has_all_parts_and_asks_no_host_for_anything(whole):
    assert whole.headings == [
        "Tests",
        "What the pyramid sees",
        "Right and wrong",
        "Which classes are taken for which",
        "Curves",
        "1 images that could not be used",
        "Recipe",
    ]
    [policy] = whole.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_names_of_classes_files_and_folders_are_text(whole):
    for name in (SCRIPT, "<img src=x>.jpg", "<b>run & co"):
        assert name in whole.text
    assert whole.all("script") == []
    assert f"<title>{html.join_markup('<b>run & co')}</title>" in whole.source


def test_a_page_is_as_wide_as_a_phone(whole):
    [viewport] = whole.all("meta", name="viewport")
    assert viewport["content"] == "width=device-width, initial-scale=1"
    [style] = re.findall(r"<style>(.*?)</style>", whole.source, re.DOTALL)
    assert "img { display: block; max-width: 100%" in style
    # At 16 pixels a rem: a phone has 358 beside the margins.
    for property_, value in re.findall(r"[{;] *((?:min-)?width): ([\d.]+)rem", style):
        assert float(value) * 16 < 358, property_
    for least in re.findall(r"minmax\((.*?), 1fr\)", style):
        assert least.startswith("min(")
    # What may be wider scrolls by itself.
    inside = whole.source.split("<table")
    assert all(before.endswith('<div class="scrolls">') for before in inside[:-1])


def test_answers_are_those_of_predict(run, results):
    ask = serving.load_predictor(run)
    for number in range(0, 21, 5):
        answer = ask(results.images.read(number))
        assert answer.labels[0] == results.run.folder.labels[results.classes[number]]
        assert results.scores[number].max() == pytest.approx(answer.scores[0], abs=1e-5)
        right = str(results.records.ids[number]).split("/")[1]
        assert results.describe_classes(number) == right
        assert results.correct[number] == (answer.labels[0] == right)


def test_the_share_that_is_right_is_said_with_its_interval(whole, results):
    share = np.mean(results.classes == results.records.labels)
    assert f"Right for {100 * share:.1f}% (" in whole.text
    assert "of 21 images of" in whole.text
    assert "21 of 21 images" in whole.text


def test_examples_have_their_own_aspect(whole, results):
    sizes = {tuple(size) for size in results.records.sizes.tolist()}
    shown = [
        (int(image["height"]), int(image["width"])) for image in whole.all("img") if "alt" in image
    ]
    assert len(shown) >= 10
    for height, width in shown:
        assert min(abs(height / width - h / w) * w / h for h, w in sizes) < 0.03


def test_dots_lie_in_their_bins_and_panels_have_the_size_of_what_was_sent(whole, results):
    panel = r"<svg viewBox=\"0 0 (\d+) (\d+)\" class=\"bins\">(.*?)</svg>"
    panels = re.findall(panel, whole.source)
    sent = {
        results.read_network_input(number).shape[:2] for number in pyramid.choose_images(results)
    }
    assert {(int(height), int(width)) for width, height, _ in panels} == sent
    assert len(panels) % 3 == 0
    for _, _, drawn in panels:
        keys = ("x", "y", "width", "height")
        rects = [
            [float(re.search(rf' {key}="(.*?)"', rect)[1]) for key in keys]
            for rect in re.findall(r"<rect.*?>", drawn)
        ]
        dots = re.findall(r"cx=\"(.*?)\" cy=\"(.*?)\"", drawn)
        assert len(rects) in (9, 4, 1)
        assert 0 < len(dots) <= len(rects)
        for x, y in dots:
            # The first cell is centered on pixel 14, the others 16 pixels apart.
            assert (float(x) - 14.5) % 16 == (float(y) - 14.5) % 16 == 0
            assert any(l < float(x) < l + w and t < float(y) < t + h for l, t, w, h in rects)  # noqa: E741


def test_a_bin_is_outlined_around_the_centers_of_its_cells():
    grid = geometry.CellGrid(16, 14.0)
    edges = pyramid.outline((0, 1, 2, 3), grid, (40, 90))
    # Cells 1 and 2 across are centered on 30 and 46, 0 and 1 down on 14 and 30.
    assert edges == (30.5 - 8, 14.5 - 8, 46.5 + 8, 30.5 + 8)
    assert pyramid.outline((0, 0, 2, 5), grid, (36, 80)) == (6.5, 6.5, 80, 36)


def test_a_bin_is_outlined_where_the_size_of_the_image_puts_its_cells():
    grid = geometry.CellGrid(16, 15.0, 2, shifts=(0.0, -1.0))
    # Of an even height and an odd width: first centers are 15 and 14.
    edges = pyramid.outline((0, 1, 2, 3), grid, (40, 91))
    assert edges == (30.5 - 8, 15.5 - 8, 46.5 + 8, 31.5 + 8)


def test_fewer_images_are_spread_over_the_split(run):
    results = predictions.predict_validation_images(run, 4)
    assert results.total == 21
    assert [str(name) for name in results.records.ids] == [
        f"validation/{name}" for name in (f"{SCRIPT}/0.jpg", f"{SCRIPT}/5.jpg")
    ] + ["validation/cat/3.jpg", "validation/red car/1.jpg"]


def test_without_images_it_says_what_makes_them(run, tmp_path):
    found = Page(report.write_report(run, tmp_path / "page.html", images=0))
    assert found.headings[:2] == ["Tests", "Images"]
    assert f"spp-keras evaluate '{run}' --protocol full" in found.text
    assert f"spp-keras report '{run}'" in found.text
    assert not found.all("img")


def test_tests_have_wilsons_interval_and_repeats_a_standard_error(run, tmp_path, evaluated):
    copies = [tmp_path / name for name in ("one", "two", "three")]
    for copy, share in zip(copies, (0.6, 0.7, 0.8), strict=True):
        shutil.copytree(run, copy)
        evaluated(copy, {"full": share, "crop": 0.5})
    found = Page(report.write_report(copies[0], images=0, repeats=copies[1:]))
    # By hand: n=200, p=0.6 and p=0.5.
    assert "60.0% (53.1 to 66.5)" in found.text
    assert "50.0% (43.1 to 56.9)" in found.text
    assert "200 images of pets validation. 3 were too small and skipped." in found.text
    assert f"70.0 ± {100 * math.sqrt(0.01 / 3):.1f}%" in found.text
    evaluated(copies[2], {"full": 0.5}, images=100)
    with pytest.raises(ValueError, match="tested on the same images as `run`, 200 of pets"):
        report.write_report(copies[0], images=0, repeats=copies[2:])
    shutil.rmtree(copies[2] / run_folder.EVALUATION)
    with pytest.raises(ValueError, match=r"evaluation\.json is missing: make it with"):
        report.write_report(copies[0], images=0, repeats=copies[2:])


def test_a_network_without_a_pyramid_has_examples_all_the_same(make_run):
    run = make_run(
        model="zf5", size_policy="fixed", image_sizes=(64,), short_side=73, longest_side=0
    )
    found = Page(report.write_report(run, images=6))
    assert "zf5 has no pyramid; zf5_spp has one" in found.text
    assert len(found.all("img")) >= 6


def test_of_images_with_several_classes_it_is_average_precision(make_run, monkeypatch):
    run, load = make_run(multi_label=True), records.load_records

    def several(*arguments, **options):
        found = load(*arguments, **options)
        labels = np.random.default_rng(0).integers(0, 2, (len(found), 3)).astype("uint8")
        return dataclasses.replace(found, labels=labels)

    monkeypatch.setattr(run_settings, "load_records", several)
    found = Page(report.write_report(run, images=12))
    results = predictions.predict_validation_images(run, 12)
    rate = metrics.average_precision_score(results.records.labels, results.scores)
    assert f"Mean average precision {100 * rate:.1f}% (" in found.text
    assert "95% interval by 200 draws with seed 0" in found.text
    assert "Classes" in found.headings
    assert "Which classes are taken for which" not in found.headings


def test_other_trainings_stand_in_the_same_table(run, tmp_path, evaluated, capsys):
    copies = [tmp_path / name for name in ("whole", "warped")]
    for copy, protocol, share in zip(copies, ("full", "warp"), (0.587, 0.607), strict=True):
        shutil.copytree(run, copy)
        evaluated(copy, {protocol: share})
    arguments = ["report", str(copies[0]), "--images", "0", "--compare", str(copies[1])]

    assert cli.main(arguments) == 0

    text = Page(copies[0] / "report.html").text
    for copy, cells in zip(copies, ("full158.7% (", "warp160.7% ("), strict=True):
        assert f"{copy}{cells}" in text
    assert "Both trainings were broken off after 2 epochs while they were still learning" in text
    assert "mean ± standard error" not in text

    evaluated(copies[1], {"warp": 0.6}, images=100)
    assert cli.main(arguments) == 2
    assert "`compare` must be runs that were tested on the same images" in capsys.readouterr().err


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    home = tmp_path_factory.mktemp("detector")
    # Of these weights something is found.
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    scenes.write_voc(home / "voc", "val", [scenes.scene(rng) for _ in range(3)])
    make_detector_run(home / "run", ("<i>disc", "square"))
    recipe = recipes.DetectorRecipe(run="runs/a b", data=str(home / "voc"), validation_split="val")
    (home / "run" / run_folder.RECIPE).write_text(recipes.recipe_to_toml(recipe))
    each = {"mean": 0.4, "classes": {"<i>disc": 0.8, "square": None}}
    scores = {"images": 3, "untrained": ["square"], "voc_area": each, "voc_11-point": each}
    scores["coco"] = {"AP": 0.25, "AP50": None}
    (home / "run" / run_folder.DETECTION_METRICS).write_text(json.dumps(scores))
    return home / "run"


def test_a_detector_draws_what_it_finds_and_what_is_there(detector, capsys):
    assert cli.main(["report", str(detector)]) == 0
    assert capsys.readouterr().out == f"{detector / 'report.html'}\n"
    found = Page(detector / "report.html")
    assert found.headings[:2] == ["Average precision", "Detections"]
    assert "COCO: AP 25.0%, AP50 -." in found.text
    assert "The training data have no object of square." in found.text
    assert "spp-keras report 'runs/a b'" in found.text
    voc = RunFolder(detector).recipe.data
    find, drawn = serving.load_detector(detector), re.findall(r"<svg.*?</svg>", found.source)
    assert len(drawn) == 3
    for number, svg in enumerate(drawn):
        encoded = (detector.parent / "voc" / "JPEGImages" / f"val_{number}.jpg").read_bytes()
        boxes = np.array(find(encoded).boxes).reshape(-1, 4)[::-1]
        rects = [
            [float(re.search(rf' {key}="(.*?)"', rect)[1]) for key in ("x", "y", "width", "height")]
            for rect in re.findall(r"<rect[^>]*stroke=.*?>", svg)
        ]
        edges = np.array(rects).reshape(-1, 4)
        np.testing.assert_allclose(edges[:, :2], boxes[:, :2], atol=1e-3)
        np.testing.assert_allclose(edges[:, 2:], boxes[:, 2:] - boxes[:, :2], atol=1e-3)
        assert svg.count('class="object"') == 2
    assert any("stroke=" in svg for svg in drawn)
    assert voc in found.text


def test_a_detector_alone_says_what_is_not_there(detector, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copy(detector / run_folder.DETECTOR, tmp_path / "run")
    found = Page(report.write_report(tmp_path / "run"))
    assert "metrics.json is missing" in found.text
    assert f"spp-keras report {tmp_path / 'run'} --data DATA" in found.text


REFUSED = {
    "another ending": (["--output", "page.pdf"], "`output` must be a file ending in .html"),
    "fewer than none": (["--images", "-1"], "`images` must be an int >= 0"),
    "no data": (["--data", "/nowhere"], "`data` must be an existing folder"),
    "no split": (["--split", "summer"], "`split` must be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_options_end_the_command_and_nothing_is_written(case, run, tmp_path, capsys):
    options, message = REFUSED[case]
    arguments = ["report", str(run), "--output", str(tmp_path / "page.html"), *options]
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_run_is_named(tmp_path, detector, capsys):
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "recipe.toml is missing: give the folder" in capsys.readouterr().err
    (tmp_path / run_folder.RECIPE).write_text('task = "detection"\nrun = "a"\ndata = "b"')
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "detector.keras is missing" in capsys.readouterr().err
    assert cli.main(["report", str(detector), "--repeat", str(detector)]) == 2
    assert "`repeats` is for runs of classifiers" in capsys.readouterr().err
    assert cli.main(["report", str(detector), "--compare", str(detector)]) == 2
    assert "`compare` is for runs of classifiers" in capsys.readouterr().err
