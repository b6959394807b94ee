import json
from pathlib import Path

import exif_files
import keras
import numpy as np
import pytest
from photographs import decoded, encoded, photograph
from PIL import Image
from small_detectors import LABELS, make_detector_run

from spp_keras import cli, detection, export, recipes, run_folder, serving, zoo
from spp_keras.detection import drawing, heads
from spp_keras.run_folder import RunFolder
from spp_keras.serving.loaded_model import LoadedModel

FILES = {
    "0.jpg": encoded(photograph(100, 151), "JPEG", quality=90),
    "1.png": encoded(photograph(130, 90)),
    "2.gif": encoded(photograph(90, 90), "GIF"),
    "bad.jpg": b"Not found",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "pets"
    make_detector_run(folder)
    return str(folder)


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for name, file in FILES.items():
        (tmp_path / "photos" / name).write_bytes(file)
    return [str(tmp_path / "photos" / name) for name in FILES]


@pytest.fixture
def loads(monkeypatch, tmp_path):
    """Calls of `load_detector`, in place of which one box is found on whatever decodes."""
    calls = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir(exist_ok=True)

    def load_detector(*arguments):
        calls.append(arguments)
        found = detection.Detections(
            np.array([[10.4, 30.6, 81.0, 70.0]]), np.array([0.8766]), np.array([2]), ("red car",)
        )
        bad = detection.Detections(error="is no JPEG, PNG, GIF, BMP or WebP image")
        orientation = RunFolder(arguments[0]).orientation
        return LoadedModel(lambda image: bad if image == b"Not found" else found, orientation)

    monkeypatch.setattr(serving, "load_detector", load_detector)
    return calls


def test_the_command_prints_what_the_detector_of_a_run_finds(run, photos, capsys, monkeypatch):
    answers = []
    load_detector = serving.load_detector

    def load(*arguments):
        find = load_detector(*arguments)
        return LoadedModel(lambda image: answers.append(find(image)) or answers[-1], "exif")

    monkeypatch.setattr(serving, "load_detector", load)
    assert cli.main(["detect", run, "--score-threshold", "0.1", photos[0]]) == 0
    [found] = answers
    assert len(found.boxes)
    assert min(found.scores) > 0.1
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == [photos[0]] * len(found.boxes)
    assert tuple(line[1] for line in lines) == found.labels
    assert set(found.labels) <= set(LABELS)
    scores = [float(line[2]) for line in lines]
    np.testing.assert_allclose(scores, found.scores, atol=6e-4)
    edges = [[float(edge) for edge in line[3:]] for line in lines]
    np.testing.assert_allclose(edges, found.boxes, atol=0.51)


@pytest.fixture(scope="module")
def svm_models(tmp_path_factory):
    """A run folder and an export of a detector whose scores are margins, and these scores."""
    folder = tmp_path_factory.mktemp("svm")
    keras.utils.set_random_seed(1)
    network = zoo.zf5_spp(classes=3, width=0.0625, levels=(2, 1))
    head = heads.build_softmax_head(network, len(LABELS))
    kernel = np.random.default_rng(0).normal(size=(head.get_layer("fc7").units, len(LABELS)))
    made = detection.Detector.from_network(
        network,
        heads.build_linear_head(head, (kernel / 60, np.zeros(3)), None),
        labels=LABELS,
        scales=(120,),
        input_size=64,
        rpn=detection.RegionProposalNetwork(4, anchor_sizes=(32, 64), max_proposals=20),
        score_threshold=-1.5,
    )
    (folder / "run").mkdir()
    made.save(folder / "run" / run_folder.DETECTOR)
    export.export_model(made, folder / "models" / "pets")
    answer = made.detect(decoded(FILES["1.png"]))
    margins = answer["scores"].numpy()[: int(answer["count"])]
    return {"run": folder / "run", "SavedModel": folder / "models" / "pets"}, margins


@pytest.mark.parametrize("kind", ["run", "SavedModel"])
def test_detections_of_svms_above_a_margin_of_zero_are_printed(svm_models, photos, capsys, kind):
    folders, margins = svm_models
    # Some are below the threshold of probabilities, others below that of margins.
    assert 0 < (margins > 0.5).sum() < (margins > 0).sum() < len(margins)
    assert cli.main(["detect", str(folders[kind]), photos[1]]) == 0
    printed = [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()]
    np.testing.assert_allclose(np.array(printed, float), margins[margins > 0], atol=2e-3)


def test_the_model_is_loaded_once_and_each_object_has_a_line(loads, photos, capsys):
    assert cli.main(["detect", "run", *photos[:3]]) == 0
    assert loads == [(Path("run"), None)]
    assert capsys.readouterr().out.splitlines() == [
        f"{photo}\tred car\t0.877\t10\t31\t81\t70" for photo in photos[:3]
    ]


def test_the_others_are_answered_and_the_command_ends_with_2(loads, photos, capsys):
    given = [photos[3], photos[0], photos[0] + ".gone"]
    assert cli.main(["detect", "run", *given]) == 2
    printed = capsys.readouterr()
    assert [line.split("\t")[0] for line in printed.out.splitlines()] == [photos[0]]
    assert "bad.jpg is no JPEG, PNG, GIF, BMP or WebP image" in printed.err
    assert "0.jpg.gone cannot be read: No such file or directory" in printed.err


def test_json_has_a_line_for_each_photograph(loads, photos, capsys):
    assert cli.main(["detect", "run", "--json", photos[0], photos[3]]) == 2
    good, bad = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert good == {
        "image": photos[0],
        "boxes": [[10.4, 30.6, 81.0, 70.0]],
        "scores": [0.8766],
        "labels": ["red car"],
        "classes": [2],
        "error": None,
    }
    assert (bad["image"], bad["boxes"]) == (photos[3], [])
    assert bad["error"] == "is no JPEG, PNG, GIF, BMP or WebP image"


@pytest.mark.parametrize(("name", "off"), [("found.png", 0), ("found.JPG", 30)])
def test_one_photograph_is_drawn_into_a_file(loads, photos, tmp_path, name, off):
    to = tmp_path / "new" / name
    assert cli.main(["detect", "run", photos[1], "--output", str(to)]) == 0
    drawn = decoded(to.read_bytes())
    original = decoded(FILES["1.png"])
    assert drawn.shape == original.shape
    assert np.abs(drawn[31:70, 10] - np.array(drawing.class_color(2), float)).max() <= off
    np.testing.assert_allclose(drawn[80:].astype(float), original[80:], atol=off)


def test_a_photograph_is_drawn_upright_or_as_its_detector_takes_it(loads, tmp_path):
    picture = photograph(100, 151)
    (tmp_path / "lying.png").write_bytes(exif_files.file(picture, "PNG", 6))
    command = ["detect", str(tmp_path / "run"), str(tmp_path / "lying.png"), "--output"]
    for orientation, size in (("exif", (151, 100)), ("file", (100, 151))):
        recipe = recipes.DetectorRecipe(run="x", data="y", orientation=orientation)
        RunFolder(tmp_path / "run").write_recipe(recipe, ())
        assert cli.main([*command, str(tmp_path / "drawn.png")]) == 0
        with Image.open(tmp_path / "drawn.png") as drawn:
            assert drawn.size == size


@pytest.mark.parametrize("ending", ["", "/"])
def test_several_photographs_are_drawn_into_a_folder(loads, photos, tmp_path, ending, capsys):
    to = f"{tmp_path / 'found'}{ending}"
    assert cli.main(["detect", "run", *photos, "--output", to]) == 2
    names = sorted(path.name for path in (tmp_path / "found").iterdir())
    assert names == ["0.jpg", "1.png", "2.jpg"]
    assert decoded((tmp_path / "found" / "2.jpg").read_bytes()).shape == (90, 90, 3)
    assert "bad.jpg is no JPEG" in capsys.readouterr().err


def test_one_photograph_goes_into_a_folder_that_is_there(loads, photos, tmp_path):
    (tmp_path / "found.jpg").mkdir()
    to = str(tmp_path / "found.jpg")
    assert cli.main(["detect", "run", photos[0], "--output", to]) == 0
    assert [path.name for path in (tmp_path / "found.jpg").iterdir()] == ["0.jpg"]


REFUSED = {
    "a file for two": (["0.jpg", "1.png", "--output", "x.png"], "must be a folder for several"),
    "another ending": (["0.jpg", "--output", "x.webp"], "must end in .jpg, .jpeg or .png, or be a"),
    "a file in place of a folder": (["0.jpg", "--output", "notes"], "it is a file. Received"),
    "two of a name": (["0.jpg", "more/0.jpg", "--output", "out"], "two would become out/0.jpg"),
    "the photograph itself": (["0.jpg", "--output", "0.jpg"], "0.jpg would be lost"),
    "its own folder": (["0.jpg", "--output", "."], "0.jpg would be lost. Received: --output ."),
    "no number": (["0.jpg", "--score-threshold", "nan"], "--score-threshold must be a number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_are_checked_before_the_model_is_loaded(
    case, loads, photos, tmp_path, monkeypatch, capsys
):
    (tmp_path / "photos" / "run").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    (tmp_path / "photos" / "notes").write_text("")
    arguments, message = REFUSED[case]
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["detect", "run", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert loads == []
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_no_detector_ends_the_command(photos, capsys):
    assert cli.main(["detect", str(Path(photos[0]).parent), photos[0]]) == 2
    assert "spp-keras: `model` must be the run folder of a detector" in capsys.readouterr().err


def test_missing_software_is_said_and_ends_the_command(loads, photos, capsys, monkeypatch):
    def load_detector(*_):
        raise ImportError("Selective search needs OpenCV")

    monkeypatch.setattr(serving, "load_detector", load_detector)
    assert cli.main(["detect", "run", photos[0]]) == 2
    assert capsys.readouterr().err == "spp-keras: Selective search needs OpenCV\n"
