import dataclasses
import functools
import json
import re

import exif_files
import numpy as np
import pytest
from image_files import REFUSAL, UNUSABLE
from photographs import decoded, encoded, photograph
from PIL import Image
from small_runs import LABELS, RECIPE, make_run

from spp_keras import cli, data, export, run_folder, serving

VIEW = data.Whole(longest_side=90)
FILES = [
    encoded(photograph(40, 61)),
    encoded(photograph(90, 33), "JPEG", quality=90),
    encoded(photograph(61, 61), "BMP"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "pets"
    return folder, make_run(folder)


@pytest.fixture(scope="module")
def left(run, tmp_path_factory):
    """One network in everything that a model is left in."""
    folder, network = run
    home = tmp_path_factory.mktemp("models")
    versions = home / "served" / "pets"
    saved = export.export_model(network, versions, labels=LABELS, size_policy=VIEW)
    reporting = export.export_model(
        network, versions, labels=LABELS, size_policy=VIEW, on_error="report"
    )
    lite = export.export_model(network, home / "pets.tflite", labels=LABELS, size_policy=VIEW)
    return {
        "run": folder,
        "version": saved,
        "model of versions": versions,
        "version that reports": reporting,
        "TFLite": lite,
    }


@pytest.fixture(scope="module")
def load(left):
    """Loads a model by what it is left in, once."""
    return functools.cache(lambda kind, **options: serving.load_predictor(left[kind], **options))


KINDS = ["run", "version", "model of versions", "version that reports", "TFLite"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_says_what_the_network_says(run, load, kind):
    ask = load(kind)
    for file in FILES:
        answer = ask(file)
        scores = np.asarray(run[1](decoded(file)[np.newaxis].astype("float32")))[0]
        order = np.argsort(-scores)
        assert answer.labels == tuple(LABELS[i] for i in order)
        np.testing.assert_allclose(answer.scores, scores[order], rtol=1e-4, atol=1e-6)
        assert answer.error is None


TRANSPARENT = np.dstack([photograph(61, 80), photograph(61, 80, 1)[..., :1]])


@pytest.mark.parametrize("kind", KINDS)
def test_each_converts_what_tensorflow_does_not_decode(load, kind):
    ask, expected = load(kind), load(kind)(photograph(61, 80))
    assert ask(encoded(photograph(61, 80), "TIFF")) == expected
    assert ask(encoded(photograph(61, 80), "AVIF", quality=100)).labels == expected.labels
    assert ask(b"II*\0").error.startswith("is a TIFF image that cannot be converted: ")


@pytest.mark.parametrize("kind", KINDS)
def test_each_draws_transparent_images_on_white(load, kind):
    ask, file = load(kind), encoded(TRANSPARENT)
    expected = ask(decoded(file))
    for given in (file, encoded(TRANSPARENT, "TIFF"), Image.fromarray(TRANSPARENT)):
        answer = ask(given)
        assert answer.labels == expected.labels
        # Within a level of each pixel.
        np.testing.assert_allclose(answer.scores, expected.scores, atol=0.02)


def test_the_background_of_a_run_goes_wherever_it_is_exported(tmp_path):
    network = make_run(tmp_path / "run", dataclasses.replace(RECIPE, background="navy"))
    run = run_folder.RunFolder(tmp_path / "run")
    export.export_model(run, tmp_path / "served" / "pets")
    export.export_model(run, tmp_path / "pets.tflite")
    file = encoded(TRANSPARENT)
    pixels = decoded(file, "navy")
    for left in ("run", "served/pets", "pets.tflite"):
        ask = serving.load_predictor(tmp_path / left)
        assert ask.background == "navy"
        np.testing.assert_allclose(ask(file).scores, ask(pixels).scores, atol=0.02)
        assert ask(file) != ask(decoded(file))
    assert network.name == "zf5_spp"


@pytest.mark.integration
@pytest.mark.parametrize("kind", KINDS)
def test_each_says_the_same_of_what_is_no_usable_image_and_goes_on(load, kind):
    ask, same = load(kind, top_k=1), load("run", top_k=1)
    for content, _ in [*UNUSABLE.values(), (encoded(photograph(28, 60)), "")]:
        answer = ask(content)
        assert answer == same(content)
        assert answer.error
    assert len(ask(FILES[0]).labels) == 1


GIVEN = {
    "path": lambda path: str(path),
    "Path": lambda path: path,
    "PIL image": Image.open,
    "array": lambda path: np.asarray(Image.open(path)),
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("kind", ["run", "version", "TFLite"])
def test_an_image_may_be_given_as_a_path_a_picture_or_pixels(load, kind, given, tmp_path):
    # Larger than the view, so that it is scaled down.
    file = encoded(photograph(120, 70))
    (tmp_path / "photo.png").write_bytes(file)
    ask = load(kind)
    assert ask(GIVEN[given](tmp_path / "photo.png")) == ask(file)


def test_a_path_that_leads_nowhere_is_said_and_is_not_taken_for_an_image(load, tmp_path):
    ask = load("run")
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        ask(str(tmp_path / "gone.jpg"))
    (tmp_path / "text.jpg").write_text("Not found")
    assert ask(tmp_path / "text.jpg") == ask(b"Not found")


def test_a_large_photograph_is_scaled_down_alike(load):
    file = encoded(photograph(200, 150), "JPEG", quality=90)
    first, *others = (load(kind)(file) for kind in KINDS)
    for other in others:
        assert other.labels == first.labels
        np.testing.assert_allclose(other.scores, first.scores, rtol=1e-4, atol=1e-6)


@pytest.mark.integration
@pytest.mark.parametrize("form", exif_files.FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_eight_orientations_of_a_photograph_have_one_answer(load, kind, form):
    ask, picture = load(kind), photograph(80, 48)
    first, *others = (
        ask(exif_files.file(picture, form, number)) for number in exif_files.ORIENTATIONS
    )
    upright = ask(encoded(picture))
    assert first.labels == upright.labels
    np.testing.assert_allclose(first.scores, upright.scores, atol=0.02 if form == "JPEG" else 1e-6)
    for other in others:
        assert other.labels == first.labels
        np.testing.assert_allclose(
            other.scores, first.scores, atol=0.02 if form == "JPEG" else 1e-6
        )


@pytest.mark.integration
def test_a_run_and_what_is_made_of_it_take_files_as_they_were_taken_in_training(tmp_path):
    recipe = dataclasses.replace(RECIPE, orientation="file")
    network = make_run(tmp_path / "run", recipe)
    options = {"labels": LABELS, "size_policy": VIEW, "orientation": "file"}
    left = [tmp_path / "run", export.export_model(network, tmp_path / "pets.tflite", **options)]
    picture = photograph(40, 61)
    lying = np.asarray(exif_files.lying(picture, 6))
    for each in left:
        ask = serving.load_predictor(each)
        found, expected = ask(exif_files.file(picture, "PNG", 6)), ask(encoded(lying))
        assert found.labels == expected.labels
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
        assert not np.allclose(found.scores, ask(encoded(picture)).scores, atol=1e-3)


def test_what_is_no_model_is_said_to_be_none(tmp_path):
    with pytest.raises(ValueError, match=r"`model` must be a run folder, .* It holds none of them"):
        serving.load_predictor(tmp_path)
    with pytest.raises(ValueError, match=r"There is nothing\. Received: model='gone'"):
        serving.load_predictor("gone")


@pytest.mark.parametrize("name", ["pets.labels.txt", "pets.preprocessing.json"])
def test_a_tflite_file_needs_what_lies_beside_it(left, tmp_path, name):
    for path in left["TFLite"].parent.glob("pets.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=f"`model` must have {re.escape(name)} beside it"):
        serving.load_predictor(tmp_path / "pets.tflite")


def test_a_tflite_file_of_0_1_is_named(left, tmp_path):
    for suffix in (".tflite", ".labels.txt"):
        (tmp_path / f"pets{suffix}").write_bytes(left["TFLite"].with_suffix(suffix).read_bytes())
    (tmp_path / "pets.view.json").write_text("{}")
    with pytest.raises(ValueError, match=r"is of spp_keras 0\.1; export the model again"):
        serving.load_predictor(tmp_path / "pets.tflite")


def test_the_run_of_a_detector_is_refused(tmp_path):
    (tmp_path / run_folder.DETECTOR).write_bytes(b"")
    with pytest.raises(ValueError, match="for a detector, use `load_detector`"):
        serving.load_predictor(tmp_path)


@pytest.fixture
def photos(tmp_path):
    for number, file in enumerate([*FILES, b"Not found"]):
        (tmp_path / f"{number}.jpg").write_bytes(file)
    return [str(tmp_path / f"{number}.jpg") for number in range(4)]


def test_the_command_prints_a_line_for_each_photograph(run, photos, capsys):
    assert cli.main(["predict", str(run[0]), "--top", "2", *photos[:3]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == photos[:3]
    label, score = lines[0].split("\t")[1].rsplit(" ", 1)
    assert label in LABELS
    assert 0 <= float(score) <= 1
    assert {line.count("\t") for line in lines} == {2}


def test_the_command_answers_for_the_others_and_ends_with_2(left, photos, capsys):
    given = [photos[3], photos[0], photos[0] + ".gone"]
    assert cli.main(["predict", str(left["model of versions"]), *given]) == 2
    printed = capsys.readouterr()
    assert [line.split("\t")[0] for line in printed.out.splitlines()] == [photos[0]]
    assert "3.jpg is no JPEG, PNG, GIF, BMP or WebP image" in printed.err
    assert "0.jpg.gone cannot be read: No such file or directory" in printed.err


def test_the_command_prints_json_for_programs(left, photos, capsys):
    given = [photos[0], photos[3]]
    assert cli.main(["predict", str(left["TFLite"]), "--json", *given]) == 2
    good, bad = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (good["image"], good["error"], len(good["labels"])) == (photos[0], None, 3)
    assert (bad["image"], bad["error"]) == (photos[3], REFUSAL)


def test_a_model_that_is_none_ends_the_command_before_photographs_are_read(capsys):
    assert cli.main(["predict", "gone", "photo.jpg"]) == 2
    assert "RUN must be an existing folder" in capsys.readouterr().err
