"""What the page says of a detector, against the detector itself."""

import keras
import numpy as np
import pytest
from oracles import window_of_box, window_pyramid
from photographs import bilinear, decoded, encoded, photograph
from small_detectors import LABELS, make_detector_run

from spp_keras import serving
from spp_keras.app import detector_view, session
from spp_keras.detection import selective_search

PHOTOGRAPH = encoded(photograph(100, 151))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "detector"
    keras.utils.set_random_seed(20140618)
    return folder, make_detector_run(folder)


@pytest.fixture(scope="module")
def page(made):
    return session.load_session(made[0])


def test_the_detections_are_those_of_the_command(made, page):
    answer = page.predict(PHOTOGRAPH)
    found = serving.load_detector(made[0], score_threshold=0.0)(PHOTOGRAPH)
    said = answer["detections"]
    assert found.labels
    assert tuple(one["label"] for one in said) == found.labels
    assert [one["class"] for one in said] == found.classes.tolist()
    np.testing.assert_allclose([one["box"] for one in said], found.boxes, atol=0.1)
    np.testing.assert_allclose([one["score"] for one in said], found.scores, atol=1e-3)
    assert page.describe_model() == {
        "name": "zf5_spp",
        "num_classes": 3,
        "is_detector": True,
        "score_threshold": made[1].score_threshold,
        "orientation": "exif",
    }


def test_a_box_has_the_scores_of_bins_over_its_cells(made, page):
    answer = page.predict(PHOTOGRAPH)
    edges = {"left": 31, "top": 12, "right": 120, "bottom": 90}
    said = page.predict_box(answer["id"], edges)["scores"]
    # The detector scales the shorter side to 120.
    pixels = bilinear(decoded(PHOTOGRAPH), (120, 181))[np.newaxis]
    feature_map = np.asarray(made[1].trunk(pixels.astype("float32")))[0]
    box = np.array([31, 12, 120, 90]) * np.array([181 / 151, 1.2, 181 / 151, 1.2])
    cells = window_of_box(box, 16, 14, *feature_map.shape[:2])
    vector = window_pyramid(feature_map, cells, (2, 1), "max")
    expected, _ = made[1].head(vector[np.newaxis])
    found = {one["label"]: one["score"] for one in said}
    # The scaled pixels are rounded in one of the two.
    np.testing.assert_allclose([found[label] for label in LABELS], expected[0], atol=0.02)


def test_a_detector_without_proposer_searches(tmp_path, monkeypatch):
    made, searched = make_detector_run(tmp_path, rpn=False), []
    boxes = np.array([[0, 0, 60, 60], [40, 30, 140, 95]], "float32")
    monkeypatch.setattr(
        selective_search, "selective_search", lambda image: searched.append(image.shape) or boxes
    )
    model = detector_view.DetectorView(tmp_path)
    said = model.predict(PHOTOGRAPH).values["detections"]
    expected = made.detect(decoded(PHOTOGRAPH), boxes)
    count = int(expected["count"])
    assert searched == [(100, 151, 3)]
    assert len(said) == count > 0
    np.testing.assert_allclose(
        [one["score"] for one in said], expected["scores"][:count], atol=1e-4
    )
