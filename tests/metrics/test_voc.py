import math

import numpy as np
import pytest
from small_detections import (
    CATS,
    CLASSES,
    DETECTIONS,
    RULES,
    SIZE,
    make_detections,
    make_objects,
    voc,
)

from spp_keras import ops
from spp_keras.detection import Detections


@pytest.mark.parametrize(
    ("rule", "expected"),
    # Right, ignored, the same object again, right, nothing there.
    [("area", 1 / 2 * 1 + 1 / 2 * 2 / 3), ("11-point", (6 * 1 + 5 * 2 / 3) / 11)],
)
def test_average_precision_by_hand(rule, expected):
    detections = voc(DETECTIONS, CATS, rule=rule)
    assert detections.average_precision["cat"] == pytest.approx(expected, abs=1e-12)
    assert detections.mean == detections.average_precision["cat"]
    assert (detections.num_objects, detections.recall["cat"]) == ({"cat": 2, "dog": 0}, 1.0)
    curve = detections.curves["cat"]
    np.testing.assert_allclose(curve.scores, [0.9, 0.7, 0.6, 0.5], rtol=1e-6)
    np.testing.assert_array_equal(curve.recall, [0.5, 0.5, 1, 1])
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 1 / 2])


def test_precision_is_raised_to_that_at_higher_recall():
    objects = [make_objects(*((20 * i, 0, 20 * i + 20, 20, 0) for i in range(3)))]
    # Right, wrong, wrong, right, right: 1, 1/2, 1/3, 2/4, 3/5.
    lefts = enumerate((0, 10, 10, 20, 40))
    detections = [
        make_detections(*((left, 0, left + 20, 20, 0, 0.9 - i / 10) for i, left in lefts))
    ]
    assert voc(detections, objects).mean == pytest.approx(1 / 3 + 2 / 3 * 3 / 5)
    assert voc(detections, objects, rule="11-point").mean == pytest.approx((4 + 7 * 3 / 5) / 11)


def test_a_recall_of_three_tenths_reaches_the_point_at_three_tenths():
    rows = [(6 * i, 0, 6 * i + 6, 6) for i in range(10)]
    detections = [make_detections(*((*row, 0, 0.5) for row in rows[:3]))]
    objects = [make_objects(*((*row, 0) for row in rows))]
    assert voc(detections, objects, rule="11-point").mean == pytest.approx(4 / 11)


def test_an_iou_at_the_threshold_is_enough():
    detections, objects = (
        [make_detections((0, 0, 32, 16, 0, 0.5))],
        [make_objects((0, 0, 32, 32, 0))],
    )
    assert voc(detections, objects).mean == 1
    assert voc(detections, objects, iou_threshold=0.51).mean == 0


def test_the_best_object_counts_even_if_it_is_taken_and_another_is_free():
    objects = [make_objects((0, 0, 20, 20, 0), (0, 0, 20, 24, 0))]
    detections = [make_detections((0, 0, 20, 24, 0, 0.9), (0, 0, 20, 23, 0, 0.8))]
    assert voc(detections, objects).recall["cat"] == 0.5


def test_of_objects_that_are_overlapped_alike_the_first_counts():
    box = (0, 0, 20, 20)
    for hard, recall in (([(*box, 0, "difficult"), (*box, 0)], 0), ([(*box, 0)] * 2, 0.5)):
        result = voc([make_detections((*box, 0, 0.9), (*box, 0, 0.8))], [make_objects(*hard)])
        assert result.recall["cat"] == recall


def test_an_object_of_another_class_or_image_does_not_match():
    objects = [make_objects((0, 0, 20, 20, 0)), make_objects((30, 30, 50, 50, 1))]
    detections = [make_detections((0, 0, 20, 20, 1, 0.9)), make_detections((0, 0, 20, 20, 0, 0.9))]
    assert voc(detections, objects).average_precision == {"cat": 0.0, "dog": 0.0}


def test_any_number_of_detections_of_a_difficult_object_are_ignored():
    detections = [
        DETECTIONS[0],
        DETECTIONS[1],
        make_detections(*[(0, 0, 30, 30 + i, 0, 0.99) for i in range(4)]),
    ]
    objects = [*CATS, make_objects((0, 0, 30, 30, 0, "difficult"))]
    assert voc(detections, objects).mean == voc(DETECTIONS, CATS).mean


@pytest.mark.parametrize("rule", RULES)
def test_a_class_without_objects_has_no_precision_and_is_not_in_the_mean(rule):
    objects = [*CATS, make_objects((0, 0, 9, 9, 2, "difficult"))]
    detections = [*DETECTIONS, make_detections((0, 0, 9, 9, 1, 0.9), (0, 0, 9, 9, 2, 0.9))]
    result = voc(detections, objects, CLASSES, rule=rule)
    assert result.absent_classes == ("dog", "cow")
    assert list(result.average_precision) == list(CLASSES)
    assert math.isnan(result.average_precision["dog"])
    assert math.isnan(result.average_precision["cow"])
    assert math.isnan(result.recall["dog"])
    assert result.mean == result.average_precision["cat"] > 0
    assert list(result.curves) == ["cat"]


def test_no_detections_are_zero():
    result = voc([make_detections(), make_detections()], CATS)
    assert (result.mean, result.recall["cat"], len(result.curves["cat"].scores)) == (0, 0, 0)


def random_case(seed, images=6):
    """Boxes of few sizes and scores of few values: many ties and many near misses."""
    rng = np.random.default_rng(seed)
    detections, objects = [], []
    for i in range(images):
        # One that counts, so that no class is absent.
        rows = [(0, 0, 8, 8, i % 3)]
        for _ in range(rng.integers(0, 6)):
            corner, size = rng.integers(0, 5, 2) * 4, rng.integers(2, 7, 2) * 4
            difficult = ["difficult"] if rng.random() < 0.3 else []
            rows.append((*corner, *(corner + size), rng.integers(0, 3), *difficult))
        chosen = [rows[j][:5] for j in rng.integers(0, len(rows), rng.integers(0, 9))]
        moved = [np.add(row, [*rng.integers(-1, 2, 4), 0]) for row in chosen]
        detections.append(make_detections(*((*row, rng.integers(1, 6) / 8) for row in moved)))
        objects.append(make_objects(*rows))
    return detections, objects


def average_by_loops(detections, objects, class_index, iou_threshold, rule):
    """The published rule in plain loops."""
    rows = []
    for i, image in enumerate(detections):
        for box, score, detected_class in zip(*image[:3], strict=True):
            if detected_class == class_index:
                rows.append((float(score), i, box.tolist()))
    # Insertion, so that equal scores stay in order.
    ranked = []
    for row in rows:
        position = len(ranked)
        while position and ranked[position - 1][0] < row[0]:
            position -= 1
        ranked.insert(position, row)
    matched, correct, wrong, curve = set(), 0, 0, []
    positives = sum(
        label == class_index and not difficult
        for image in objects
        for label, difficult in zip(image.labels, image.difficult, strict=True)
    )
    for _, i, (x0, y0, x1, y1) in ranked:
        highest, best = -1.0, None
        for j, (edges, label) in enumerate(zip(objects[i].boxes, objects[i].labels, strict=True)):
            if label != class_index:
                continue
            top, left, bottom, right = (float(edge) * SIZE for edge in edges)
            width, height = min(x1, right) - max(x0, left), min(y1, bottom) - max(y0, top)
            if width > 0 and height > 0:
                union = (x1 - x0) * (y1 - y0) + (right - left) * (bottom - top) - width * height
                if width * height / union > highest:
                    highest, best = width * height / union, j
        if highest < iou_threshold:
            wrong += 1
        elif objects[i].difficult[best]:
            continue
        elif (i, best) in matched:
            wrong += 1
        else:
            matched.add((i, best))
            correct += 1
        curve.append((correct / positives, correct / (correct + wrong)))
    if rule == "11-point":
        return sum(max([p for r, p in curve if r >= k / 10], default=0.0) for k in range(11)) / 11
    recalls = sorted({r for r, _ in curve})
    steps = zip([0.0, *recalls], recalls, strict=False)
    return sum((r - before) * max(p for q, p in curve if q >= r) for before, r in steps)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("iou_threshold", [0.25, 0.5, 0.75])
def test_random_detections_score_as_loops_do(rule, iou_threshold):
    values = set()
    for seed in range(60):
        detections, objects = random_case(seed)
        result = voc(detections, objects, CLASSES, rule=rule, iou_threshold=iou_threshold)
        for number, value in enumerate(result.average_precision.values()):
            expected = average_by_loops(detections, objects, number, iou_threshold, rule)
            assert value == pytest.approx(expected, abs=1e-12)
            values.add(round(value, 3))
    assert len(values) > 50


def test_only_the_order_of_the_scores_matters():
    detections, objects = random_case(1, images=20)
    ranks = iter(np.random.default_rng(0).permutation(1000))
    detections = [
        each._replace(scores=np.array([next(ranks) for _ in each.scores])) for each in detections
    ]
    expected = voc(detections, objects, CLASSES).average_precision
    bent = [each._replace(scores=np.exp(each.scores / 300.0) - 3) for each in detections]
    assert voc(bent, objects, CLASSES).average_precision == expected
    backwards = [Detections(*(part[::-1] for part in each[:3])) for each in detections[::-1]]
    assert voc(backwards, objects[::-1], CLASSES).average_precision == expected


@pytest.mark.parametrize("side", [20, 100, 400])
def test_the_pixel_of_the_devkit_changes_iou_as_documented(side):
    third = side / 3
    devkit = (side - third) / (side + third)
    ours = ops.box_iou(
        np.array([[1, 1, side, side]]), np.array([[1 + third, 1, side + third, side]])
    )
    assert devkit - ours[0, 0] == pytest.approx(0.4 / side, rel=0.15)
