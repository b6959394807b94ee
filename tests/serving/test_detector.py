import re

import exif_files
import keras
import numpy as np
import pytest
import tensorflow as tf
from image_files import REFUSAL, UNUSABLE
from photographs import decoded, encoded, photograph
from PIL import Image
from small_detectors import LABELS, make_detector_run

from spp_keras import detection, export, model_repository, run_folder, serving
from spp_keras.detection import selective_search

THRESHOLD = 0.5
FILES = [
    encoded(photograph(100, 151)),
    encoded(photograph(130, 73), "JPEG", quality=90),
    encoded(photograph(90, 90), "BMP"),
]


def windows_of(image):
    """A grid of them in place of a search."""
    height, width = image.shape[:2]
    lefts, tops = np.meshgrid(np.arange(0, width - 30, 20), np.arange(0, height - 30, 20))
    first = np.stack([lefts.ravel(), tops.ravel()], axis=1)
    return np.concatenate([first, first + 30], axis=1).astype("float32")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Detectors with and without a proposer: `(folder, detector)` of each."""
    home = tmp_path_factory.mktemp("runs")
    keras.utils.set_random_seed(20140618)
    return {
        rpn: (home / str(rpn), make_detector_run(home / str(rpn), rpn=rpn)) for rpn in (True, False)
    }


@pytest.fixture(scope="module")
def finds(made):
    return {rpn: serving.load_detector(made[rpn][0], THRESHOLD) for rpn in made}


@pytest.fixture
def searched(monkeypatch):
    """What selective search was asked about."""
    images = []

    def search(image):
        images.append(image)
        return windows_of(image)

    monkeypatch.setattr(selective_search, "selective_search", search)
    return images


@pytest.mark.parametrize("file", FILES, ids=["PNG", "JPEG", "BMP"])
@pytest.mark.parametrize("rpn", [True, False], ids=["rpn", "search"])
def test_it_finds_what_the_detector_finds(made, finds, searched, rpn, file):
    image = decoded(file)
    given = () if rpn else (windows_of(image),)
    expected = made[rpn][1].detect(image, *given)
    count = int(expected["count"])
    expected = {key: expected[key][:count].numpy() for key in ("boxes", "scores", "classes")}
    kept = expected["scores"] > THRESHOLD
    found = finds[rpn](file)
    assert found.error is None
    assert len(found.boxes)
    # Some are left out, or the threshold would not be tested.
    assert file is not FILES[0] or len(found.boxes) < count
    np.testing.assert_allclose(found.boxes, expected["boxes"][kept], atol=0.1)
    np.testing.assert_allclose(found.scores, expected["scores"][kept], atol=1e-3)
    assert found.classes.tolist() == expected["classes"][kept].tolist()
    assert found.labels == tuple(LABELS[number] for number in found.classes)
    assert list(found.scores) == sorted(found.scores, reverse=True)
    assert [image.shape for image in searched] == [] if rpn else [image.shape]


def test_boxes_are_in_pixels_of_a_photograph_that_is_seen_smaller(tmp_path, searched):
    detector = make_detector_run(tmp_path, rpn=False, iou_threshold=0.99, score_threshold=-1)
    deltas = detector.head.get_layer("deltas")
    deltas.kernel.assign(deltas.kernel * 0)
    detector.save(tmp_path / run_folder.DETECTOR)
    # Longer than 1024. Sides are rounded, so that the two factors differ.
    found = serving.load_detector(tmp_path, -1)(encoded(photograph(132, 1100)))
    assert [image.shape for image in searched] == [(123, 1024, 3)]
    windows = windows_of(searched[0]) * np.array([1100 / 1024, 132 / 123] * 2)
    assert len(found.boxes) > 1
    for box in found.boxes:
        assert np.abs(windows - box).max(axis=1).min() < 1e-3


@pytest.mark.parametrize(
    ("rpn", "on_error"),
    [
        pytest.param(True, "report", id="rpn"),
        pytest.param(False, "fail", id="search", marks=pytest.mark.integration),
    ],
)
def test_a_saved_model_finds_what_its_run_finds(made, finds, searched, tmp_path, rpn, on_error):
    saved = export.export_model(made[rpn][1], tmp_path / "pets", on_error=on_error)
    find = serving.load_detector(saved.parent if rpn else saved, THRESHOLD)
    for content in (FILES[0], b"Not found", encoded(photograph(10, 60)), FILES[1]):
        expected, found = finds[rpn](content), find(content)
        assert (found.labels, found.error) == (expected.labels, expected.error)
        np.testing.assert_array_equal(found.classes, expected.classes)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.1)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)


@pytest.mark.integration
@pytest.mark.parametrize("form", exif_files.FORMS)
@pytest.mark.parametrize("rpn", [True, False], ids=["rpn", "search"])
def test_the_eight_orientations_of_a_photograph_have_one_answer(finds, searched, rpn, form):
    picture = photograph(130, 73)
    expected = finds[rpn](encoded(picture))
    assert len(expected.boxes)
    for number in exif_files.ORIENTATIONS:
        found = finds[rpn](exif_files.file(picture, form, number))
        if form == "JPEG":
            # JPEG may bring a score to the other side of the threshold.
            assert abs(len(found.boxes) - len(expected.boxes)) <= 3
        else:
            assert found.labels == expected.labels
            np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
    assert {image.shape for image in searched} <= {picture.shape}


@pytest.mark.integration
@pytest.mark.parametrize("orientation", ["exif", "file"])
def test_windows_for_a_saved_model_are_searched_for_the_way_up_that_it_takes(
    made, searched, tmp_path, orientation
):
    saved = export.export_model(made[False][1], tmp_path / "pets", orientation=orientation)
    find, picture = serving.load_detector(saved, THRESHOLD), photograph(100, 151)
    assert find.orientation == orientation
    lying = picture if orientation == "exif" else np.asarray(exif_files.lying(picture, 6))
    found, expected = find(exif_files.file(picture, "PNG", 6)), find(encoded(lying))
    assert {image.shape for image in searched} == {lying.shape}
    assert len(found.boxes)
    assert found.labels == expected.labels
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.1)
    # Models of 0.1.0 know nothing of EXIF.
    (saved / "assets" / "orientation.txt").unlink()
    assert model_repository.read_orientation(saved) == "file"


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_is_no_usable_image_is_said_to_be_none(finds, kind):
    found = finds[True](UNUSABLE[kind][0])
    assert found.error
    assert (len(found.boxes), len(found.scores), found.labels) == (0, 0, ())


def test_an_image_may_be_given_as_a_path_a_picture_or_pixels(finds, tmp_path):
    find, path = finds[True], tmp_path / "photo.png"
    path.write_bytes(FILES[0])
    given = [str(path), path, Image.open(path), decoded(FILES[0])]
    expected = find(FILES[0])
    for image in given:
        found = find(image)
        assert (found.labels, found.error) == (expected.labels, None)
        np.testing.assert_array_equal(found.boxes, expected.boxes)
        np.testing.assert_array_equal(found.scores, expected.scores)
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        find(str(tmp_path / "gone.png"))


def test_the_reason_is_the_one_that_predict_gives_and_the_next_is_answered(finds):
    small = encoded(photograph(10, 60))
    assert finds[True](small).error == "has 10x60 pixels, fewer than 16 on a side"
    assert finds[True](b"Not found").error == REFUSAL
    assert len(finds[True](FILES[0]).boxes)


def test_an_image_without_windows_has_nothing_on_it(finds, monkeypatch):
    monkeypatch.setattr(
        selective_search, "selective_search", lambda image: np.zeros((0, 4), "float32")
    )
    found = finds[False](FILES[0])
    assert (len(found.boxes), found.error) == (0, None)


def test_without_opencv_a_detector_that_needs_it_fails_before_any_photograph(made, monkeypatch):
    def missing():
        raise ImportError("Selective search needs OpenCV")

    monkeypatch.setattr(selective_search, "import_opencv", missing)
    serving.load_detector(made[True][0])
    with pytest.raises(ImportError, match="Selective search needs OpenCV"):
        serving.load_detector(made[False][0])


def test_what_is_no_detector_is_said_to_be_none(tmp_path):
    begins = (
        r"^`model` must be the run folder of a detector, .*\(or the folder of its versions\)\. "
    )
    with pytest.raises(ValueError, match=begins + r"There is nothing\. Received: model='gone'"):
        serving.load_detector("gone")
    with pytest.raises(ValueError, match=begins + r"It holds no detector\.keras\. Received"):
        serving.load_detector(tmp_path)
    (tmp_path / run_folder.RECIPE).write_text("")
    with pytest.raises(ValueError, match="for the run of a classifier, use `load_predictor`"):
        serving.load_detector(tmp_path)


def test_a_model_that_is_no_detector_is_refused(tmp_path):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Dense(1)(inputs)).save(tmp_path / run_folder.DETECTOR)
    with pytest.raises(ValueError, match=re.escape("must have a `spp_keras.detection.Detector`")):
        serving.load_detector(tmp_path)


def test_a_saved_model_that_finds_nothing_is_refused(tmp_path):
    module = tf.Module()
    module.answer = tf.function(
        lambda image_bytes: {"scores": tf.zeros((1, 2))},
        input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")],
    )
    tf.saved_model.save(module, str(tmp_path), {"bytes": module.answer})
    with pytest.raises(ValueError, match=r"that returns `boxes`.* This one has bytes\."):
        serving.load_detector(tmp_path)


def test_the_proposer_of_the_folder_is_the_one_that_was_saved(made):
    loaded = keras.models.load_model(made[True][0] / run_folder.DETECTOR)
    assert isinstance(loaded.rpn, detection.RegionProposalNetwork)
    assert loaded.labels == LABELS
