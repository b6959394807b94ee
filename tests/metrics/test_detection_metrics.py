import math
import sys

import numpy as np
import pytest

from spp_keras import ops
from spp_keras.data.sources import Objects
from spp_keras.detection import Detections
from spp_keras.metrics import evaluate_coco, evaluate_voc

# A power of two, so that fractions of it are exact.
SIZE = 64
RULES = ("area", "11-point")
CLASSES = ("cat", "dog", "cow")


def truth(*rows, side=SIZE):
    """Objects of rows of left, top, right, bottom, class and perhaps "difficult"."""
    edges = np.array([row[:4] for row in rows], "float32").reshape(-1, 4)
    labels = np.array([row[4] for row in rows], "int32")
    return Objects(
        edges[:, [1, 0, 3, 2]] / side, labels, np.array(["difficult" in r for r in rows])
    )


def guess(*rows):
    """Detections of rows of left, top, right, bottom, class and score."""
    table = np.array(rows, "float32").reshape(-1, 6)
    return Detections(table[:, :4], table[:, 5], table[:, 4].astype("int32"))


def voc(found, objects, classes=("cat", "dog"), **options):
    return evaluate_voc(found, objects, [(SIZE, SIZE)] * len(found), classes, **options)


def coco(found, objects, classes=("cat", "dog"), side=SIZE):
    return evaluate_coco(found, objects, [(side, side)] * len(found), classes)


# Two cats to be found and one difficult.
CATS = [truth((0, 0, 32, 32, 0), (32, 32, 64, 64, 0, "difficult")), truth((0, 0, 40, 40, 0))]
FOUND = [
    guess((0, 0, 32, 32, 0, 0.7), (0, 0, 32, 31, 0, 0.9), (32, 32, 64, 64, 0, 0.8)),
    guess((0, 0, 40, 40, 0, 0.6), (50, 50, 60, 60, 0, 0.5)),
]


@pytest.mark.parametrize(
    ("rule", "expected"),
    # Right, ignored, the same object again, right, nothing there.
    [("area", 1 / 2 * 1 + 1 / 2 * 2 / 3), ("11-point", (6 * 1 + 5 * 2 / 3) / 11)],
)
def test_average_precision_by_hand(rule, expected):
    found = voc(FOUND, CATS, rule=rule)
    assert found.average_precision["cat"] == pytest.approx(expected, abs=1e-12)
    assert found.mean == found.average_precision["cat"]
    assert (found.num_objects, found.recall["cat"]) == ({"cat": 2, "dog": 0}, 1.0)
    curve = found.curves["cat"]
    np.testing.assert_allclose(curve.scores, [0.9, 0.7, 0.6, 0.5], rtol=1e-6)
    np.testing.assert_array_equal(curve.recall, [0.5, 0.5, 1, 1])
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 1 / 2])


def test_precision_is_raised_to_that_at_higher_recall():
    objects = [truth(*((20 * i, 0, 20 * i + 20, 20, 0) for i in range(3)))]
    # Right, wrong, wrong, right, right: 1, 1/2, 1/3, 2/4, 3/5.
    lefts = enumerate((0, 10, 10, 20, 40))
    found = [guess(*((left, 0, left + 20, 20, 0, 0.9 - i / 10) for i, left in lefts))]
    assert voc(found, objects).mean == pytest.approx(1 / 3 + 2 / 3 * 3 / 5)
    assert voc(found, objects, rule="11-point").mean == pytest.approx((4 + 7 * 3 / 5) / 11)


def test_a_recall_of_three_tenths_reaches_the_point_at_three_tenths():
    rows = [(6 * i, 0, 6 * i + 6, 6) for i in range(10)]
    found = [guess(*((*row, 0, 0.5) for row in rows[:3]))]
    objects = [truth(*((*row, 0) for row in rows))]
    assert voc(found, objects, rule="11-point").mean == pytest.approx(4 / 11)


def test_an_overlap_that_is_just_enough_is_enough():
    found, objects = [guess((0, 0, 32, 16, 0, 0.5))], [truth((0, 0, 32, 32, 0))]
    assert voc(found, objects).mean == 1
    assert voc(found, objects, iou_threshold=0.51).mean == 0


def test_the_best_object_counts_even_if_it_is_taken_and_another_is_free():
    objects = [truth((0, 0, 20, 20, 0), (0, 0, 20, 24, 0))]
    found = [guess((0, 0, 20, 24, 0, 0.9), (0, 0, 20, 23, 0, 0.8))]
    assert voc(found, objects).recall["cat"] == 0.5


def test_of_objects_that_are_overlapped_alike_the_first_counts():
    box = (0, 0, 20, 20)
    for hard, recall in (([(*box, 0, "difficult"), (*box, 0)], 0), ([(*box, 0)] * 2, 0.5)):
        assert voc([guess((*box, 0, 0.9), (*box, 0, 0.8))], [truth(*hard)]).recall["cat"] == recall


def test_an_object_of_another_class_or_image_is_none():
    objects = [truth((0, 0, 20, 20, 0)), truth((30, 30, 50, 50, 1))]
    found = [guess((0, 0, 20, 20, 1, 0.9)), guess((0, 0, 20, 20, 0, 0.9))]
    assert voc(found, objects).average_precision == {"cat": 0.0, "dog": 0.0}


def test_any_number_of_detections_of_a_difficult_object_are_ignored():
    found = [FOUND[0], FOUND[1], guess(*[(0, 0, 30, 30 + i, 0, 0.99) for i in range(4)])]
    objects = [*CATS, truth((0, 0, 30, 30, 0, "difficult"))]
    assert voc(found, objects).mean == voc(FOUND, CATS).mean


@pytest.mark.parametrize("rule", RULES)
def test_a_class_without_objects_has_no_precision_and_is_not_in_the_mean(rule):
    objects = [*CATS, truth((0, 0, 9, 9, 2, "difficult"))]
    found = [*FOUND, guess((0, 0, 9, 9, 1, 0.9), (0, 0, 9, 9, 2, 0.9))]
    result = voc(found, objects, CLASSES, rule=rule)
    assert result.absent_classes == ("dog", "cow")
    assert list(result.average_precision) == list(CLASSES)
    assert math.isnan(result.average_precision["dog"])
    assert math.isnan(result.average_precision["cow"])
    assert math.isnan(result.recall["dog"])
    assert result.mean == result.average_precision["cat"] > 0
    assert list(result.curves) == ["cat"]


def test_finding_nothing_is_zero():
    result = voc([guess(), guess()], CATS)
    assert (result.mean, result.recall["cat"], len(result.curves["cat"].scores)) == (0, 0, 0)


def random_case(seed, images=6):
    """Boxes of few sizes and scores of few values: many ties and many near misses."""
    rng = np.random.default_rng(seed)
    found, objects = [], []
    for i in range(images):
        # One that counts, so that no class is absent.
        rows = [(0, 0, 8, 8, i % 3)]
        for _ in range(rng.integers(0, 6)):
            corner, size = rng.integers(0, 5, 2) * 4, rng.integers(2, 7, 2) * 4
            difficult = ["difficult"] if rng.random() < 0.3 else []
            rows.append((*corner, *(corner + size), rng.integers(0, 3), *difficult))
        chosen = [rows[j][:5] for j in rng.integers(0, len(rows), rng.integers(0, 9))]
        moved = [np.add(row, [*rng.integers(-1, 2, 4), 0]) for row in chosen]
        found.append(guess(*((*row, rng.integers(1, 6) / 8) for row in moved)))
        objects.append(truth(*rows))
    return found, objects


def literally(found, objects, number, iou_threshold, rule, extra=0):
    """The published rule in plain loops; with an `extra` of 1, in the devkit's pixels."""
    rows = []
    for i, each in enumerate(found):
        for box, score, kind in zip(*each[:3], strict=True):
            if kind == number:
                rows.append((float(score), i, box.tolist()))
    # Insertion, so that what is equal stays in order.
    ranked = []
    for row in rows:
        place = len(ranked)
        while place and ranked[place - 1][0] < row[0]:
            place -= 1
        ranked.insert(place, row)
    taken, right, wrong, curve = set(), 0, 0, []
    positives = sum(
        kind == number and not hard
        for each in objects
        for kind, hard in zip(each.labels, each.difficult, strict=True)
    )
    for _, i, (x0, y0, x1, y1) in ranked:
        most, which = -1.0, None
        for j, (share, kind) in enumerate(zip(objects[i].boxes, objects[i].labels, strict=True)):
            if kind != number:
                continue
            top, left, bottom, end = (float(edge) * SIZE for edge in share)
            wide = min(x1, end) - max(x0, left) + extra
            high = min(y1, bottom) - max(y0, top) + extra
            if wide > 0 and high > 0:
                whole = (x1 - x0 + extra) * (y1 - y0 + extra)
                whole += (end - left + extra) * (bottom - top + extra) - wide * high
                if wide * high / whole > most:
                    most, which = wide * high / whole, j
        if most < iou_threshold:
            wrong += 1
        elif objects[i].difficult[which]:
            continue
        elif (i, which) in taken:
            wrong += 1
        else:
            taken.add((i, which))
            right += 1
        curve.append((right / positives, right / (right + wrong)))
    if rule == "11-point":
        return sum(max([p for r, p in curve if r >= k / 10], default=0.0) for k in range(11)) / 11
    recalls = sorted({r for r, _ in curve})
    steps = zip([0.0, *recalls], recalls, strict=False)
    return sum((r - before) * max(p for q, p in curve if q >= r) for before, r in steps)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("iou_threshold", [0.25, 0.5, 0.75])
def test_random_detections_score_as_the_rule_says_word_for_word(rule, iou_threshold):
    seen = set()
    for seed in range(60):
        found, objects = random_case(seed)
        result = voc(found, objects, CLASSES, rule=rule, iou_threshold=iou_threshold)
        for number, value in enumerate(result.average_precision.values()):
            expected = literally(found, objects, number, iou_threshold, rule)
            assert value == pytest.approx(expected, abs=1e-12)
            seen.add(round(value, 3))
    assert len(seen) > 50


def test_only_the_order_of_the_scores_matters():
    found, objects = random_case(1, images=20)
    ranks = iter(np.random.default_rng(0).permutation(1000))
    found = [each._replace(scores=np.array([next(ranks) for _ in each.scores])) for each in found]
    expected = voc(found, objects, CLASSES).average_precision
    bent = [each._replace(scores=np.exp(each.scores / 300.0) - 3) for each in found]
    assert voc(bent, objects, CLASSES).average_precision == expected
    backwards = [Detections(*(part[::-1] for part in each[:3])) for each in found[::-1]]
    assert voc(backwards, objects[::-1], CLASSES).average_precision == expected


@pytest.mark.parametrize("side", [20, 100, 400])
def test_the_devkits_pixel_makes_as_much_as_is_said(side):
    third = side / 3
    devkit = (side - third) / (side + third)
    ours = ops.box_iou(
        np.array([[1, 1, side, side]]), np.array([[1 + third, 1, side + third, side]])
    )
    assert devkit - ours[0, 0] == pytest.approx(0.4 / side, rel=0.15)


def apart(seed, images=12):
    """Objects too far apart for a detection of two; there both rules match alike."""
    rng = np.random.default_rng(seed)
    found, objects = [], []
    for _ in range(images):
        cells = [(256 * x, 256 * y) for x in range(4) for y in range(4) if rng.random() < 0.6]
        sides = rng.integers(10, 120, (len(cells), 2))
        kinds = rng.integers(0, 3, len(cells))
        rows, guesses = [], []
        for (x, y), (wide, high), kind in zip(cells, sides, kinds, strict=True):
            difficult = ["difficult"] if rng.random() < 0.15 else []
            rows.append((x, y, x + wide, y + high, kind, *difficult))
            for _ in range(1 if difficult else rng.integers(0, 3)):
                shift = rng.integers(0, 30)
                score = rng.integers(1, 20) / 20
                guesses.append((x + shift, y, x + wide + shift, y + high, kind, score))
        found.append(guess(*guesses))
        objects.append(truth(*rows, side=1024))
    return found, objects


@pytest.mark.parametrize("seed", range(4))
def test_the_area_is_what_coco_finds_at_one_overlap(seed):
    found, objects = apart(seed)
    classes, sizes = (*CLASSES, "never"), [(1024, 1024)] * len(found)
    ours = evaluate_voc(found, objects, sizes, classes)
    theirs = evaluate_coco(found, objects, sizes, classes)
    assert 0.1 < ours.mean < 0.9
    # The mean of 101 points of a curve that falls from at most 1 is that near to its area.
    assert theirs["AP50"] == pytest.approx(ours.mean, abs=1 / 100)
    assert theirs["AP"] < theirs["AP50"]
    tight = evaluate_voc(found, objects, sizes, classes, iou_threshold=0.75)
    assert theirs["AP75"] == pytest.approx(tight.mean, abs=1 / 100)


def test_coco_by_hand(capsys):
    # Overlaps of 0.71875: enough for 0.50 to 0.70, half of the ten.
    objects = [truth((0, 0, 64, 64, 0), side=128), truth((0, 0, 128, 128, 1), side=128)]
    found = [guess((0, 0, 64, 46, 0, 0.9)), guess((0, 0, 128, 92, 1, 0.9))]
    result = coco(found, objects, side=128)
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


def test_coco_neither_wants_a_difficult_object_nor_counts_one_detection_of_it():
    box = (10, 10, 40, 40)
    objects = [truth((*box, 0, "difficult")), truth((*box, 0))]
    right, again = guess((*box, 0, 0.5)), guess((*box, 0, 0.9))
    for of_difficult in (guess(), again):
        assert coco([of_difficult, right], objects)["AP"] == pytest.approx(1)
    # As a crowd would, it does not excuse what lies within.
    inside = guess((10, 10, 20, 20, 0, 0.9))
    assert coco([inside, right], objects)["AP"] == pytest.approx(0.5)


def test_cocos_recall_is_that_of_a_hundred_detections():
    rows = [(4 * x, 4 * y, 4 * x + 4, 4 * y + 4, 0) for x in range(16) for y in range(8)]
    found = [guess(*((*row, 0.5) for row in rows))]
    assert coco(found, [truth(*rows)])["AR"] == pytest.approx(100 / 128)


def test_coco_of_nothing_found_is_zero():
    result = coco([guess(), guess()], CATS)
    assert (result["AP"], result["AR"]) == (0, 0)


def test_coco_without_pycocotools_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(ImportError, match=r"-m pip install .*pycocotools"):
        coco(FOUND, CATS)


NAN = float("nan")


@pytest.mark.parametrize("score", [voc, coco])
@pytest.mark.parametrize(
    ("found", "objects", "classes", "message"),
    [
        (
            [FOUND[0], guess((0, 0, 9, 9, 0, 0.5), (0, 0, 9, 9, 0, NAN))],
            CATS,
            ("cat",),
            r"`detections` must have finite.*Received: detections\[1\]\.scores\[1\]=nan",
        ),
        (
            [guess((0, 0, NAN, 9, 0, 0.5)), FOUND[1]],
            CATS,
            ("cat",),
            r"finite.*Received: detections\[0\]\.boxes\[0\]=\[0.0, 0.0, nan, 9.0\]",
        ),
        (
            [FOUND[0], FOUND[1]._replace(scores=np.zeros(3))],
            CATS,
            ("cat",),
            r"boxes \(n, 4\).*Received: detections\[1\] with boxes \(2, 4\), scores \(3,\)",
        ),
        (FOUND, CATS[:1], ("cat",), r"an entry for each image. Received: 2, 1 and 2 of them"),
        (
            [guess((0, 0, 9, 9, 2, 0.5))] * 2,
            CATS,
            ("cat", "dog"),
            r"`detections\[0\]\.classes`.* 0 to 1",
        ),
        (
            FOUND,
            [truth((0, 0, 9, 9, -1))] * 2,
            ("cat",),
            r"`ground_truth\[0\]\.labels`.*Received: -1",
        ),
        (FOUND, [truth()] * 2, ("cat",), r"an object that is not difficult.*none in 2 images"),
        (FOUND, CATS, ("cat", "cat"), r"`classes` must be names that all differ.*'cat', 'cat'"),
        (FOUND, CATS, "cat", r"`classes` must be names that all differ.*Received: classes='cat'"),
    ],
)
def test_what_cannot_be_scored_is_named(score, found, objects, classes, message):
    with pytest.raises(ValueError, match=message):
        score(found, objects, classes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"iou_threshold": 0},
            r"`iou_threshold` must be a number in \(0, 1\]. Received: iou_threshold=0",
        ),
        (
            {"iou_threshold": 50},
            r"`iou_threshold` must be a number in \(0, 1\]. Received: iou_threshold=50",
        ),
        ({"rule": "auc"}, r"`rule` must be one of 'area', '11-point'. Received: rule='auc'"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        voc(FOUND, CATS, **options)
