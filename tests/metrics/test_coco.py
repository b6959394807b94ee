import math
import sys

import numpy as np
import pytest
from small_detections import (
    CATS,
    CLASSES,
    DETECTIONS,
    coco,
    make_detections,
    make_objects,
)

from spp_keras.metrics import evaluate_coco, evaluate_voc


def apart(seed, images=12):
    """Objects too far apart for a detection of two; there both rules match alike."""
    rng = np.random.default_rng(seed)
    detections, objects = [], []
    for _ in range(images):
        cells = [(256 * x, 256 * y) for x in range(4) for y in range(4) if rng.random() < 0.6]
        sides = rng.integers(10, 120, (len(cells), 2))
        classes = rng.integers(0, 3, len(cells))
        rows, guesses = [], []
        for (x, y), (wide, high), kind in zip(cells, sides, classes, strict=True):
            difficult = ["difficult"] if rng.random() < 0.15 else []
            rows.append((x, y, x + wide, y + high, kind, *difficult))
            for _ in range(1 if difficult else rng.integers(0, 3)):
                shift = rng.integers(0, 30)
                score = rng.integers(1, 20) / 20
                guesses.append((x + shift, y, x + wide + shift, y + high, kind, score))
        detections.append(make_detections(*guesses))
        objects.append(make_objects(*rows, side=1024))
    return detections, objects


@pytest.mark.parametrize("seed", range(4))
def test_the_area_is_the_ap_of_coco_at_one_iou_threshold(seed):
    detections, objects = apart(seed)
    classes, sizes = (*CLASSES, "never"), [(1024, 1024)] * len(detections)
    ours = evaluate_voc(detections, objects, sizes, classes)
    theirs = evaluate_coco(detections, objects, sizes, classes)
    assert 0.1 < ours.mean < 0.9
    # The mean of 101 points of a curve that falls from at most 1 is that near to its area.
    assert theirs["AP50"] == pytest.approx(ours.mean, abs=1 / 100)
    assert theirs["AP"] < theirs["AP50"]
    tight = evaluate_voc(detections, objects, sizes, classes, iou_threshold=0.75)
    assert theirs["AP75"] == pytest.approx(tight.mean, abs=1 / 100)


def test_coco_by_hand(capsys):
    # Overlaps of 0.71875: enough for 0.50 to 0.70, half of the ten.
    objects = [
        make_objects((0, 0, 64, 64, 0), side=128),
        make_objects((0, 0, 128, 128, 1), side=128),
    ]
    detections = [make_detections((0, 0, 64, 46, 0, 0.9)), make_detections((0, 0, 128, 92, 1, 0.9))]
    result = coco(detections, objects, side=128)
    assert result == pytest.approx(
        {
            "AP": 0.5,
            "AP50": 1,
            "AP75": 0,
            "APsmall": math.nan,
            "APmedium": 0.5,
            "APlarge": 0.5,
            "AR": 0.5,
        },
        nan_ok=True,
    )
    assert all(type(value) is float for value in result.values())
    assert capsys.readouterr() == ("", "")


def test_coco_ignores_a_difficult_object_and_one_detection_of_it():
    box = (10, 10, 40, 40)
    objects = [make_objects((*box, 0, "difficult")), make_objects((*box, 0))]
    right, again = make_detections((*box, 0, 0.5)), make_detections((*box, 0, 0.9))
    for duplicate in (make_detections(), again):
        assert coco([duplicate, right], objects)["AP"] == pytest.approx(1)
    # As a crowd would, it does not excuse what lies within.
    inside = make_detections((10, 10, 20, 20, 0, 0.9))
    assert coco([inside, right], objects)["AP"] == pytest.approx(0.5)


def test_cocos_recall_is_that_of_a_hundred_detections():
    rows = [(4 * x, 4 * y, 4 * x + 4, 4 * y + 4, 0) for x in range(16) for y in range(8)]
    detections = [make_detections(*((*row, 0.5) for row in rows))]
    assert coco(detections, [make_objects(*rows)])["AR"] == pytest.approx(100 / 128)


def test_coco_of_no_detections_is_zero():
    result = coco([make_detections(), make_detections()], CATS)
    assert (result["AP"], result["AR"]) == (0, 0)


def test_coco_without_pycocotools_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(ImportError, match=r"-m pip install .*pycocotools"):
        coco(DETECTIONS, CATS)
