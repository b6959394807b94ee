import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spp_keras import metrics


@given(st.integers(1, 8), st.integers(2, 9), st.integers(0, 2**31), st.data())
def test_top_k_counts_what_sorting_would(count, classes, seed, data):
    k, drawn = data.draw(st.integers(1, classes)), np.random.default_rng(seed)
    # Few values, so that many are equal.
    scores, labels = drawn.integers(0, 3, (count, classes)), drawn.integers(0, classes, count)
    order = np.argsort(-scores, axis=1, kind="stable")
    right = [label in row[:k] for label, row in zip(labels, order, strict=True)]
    assert metrics.top_k_accuracy(scores, labels, k) == pytest.approx(np.mean(right))


def test_more_classes_than_there_are_cannot_count():
    with pytest.raises(ValueError, match=r"`k` must be at most the number of classes, 3\. .* k=5"):
        metrics.top_k_accuracy(np.zeros((1, 3)), np.zeros(1, int), 5)


def test_average_precision_is_the_mean_precision_at_what_is_right():
    labels = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
    scores = np.array([[0.9, 0.2, 0.1], [0.8, 0.9, 0.1], [0.7, 0.8, 0.1], [0.1, 0.1, 0.9]])
    # Right at places 1 and 3; at 1 and 3; and a class that nothing has.
    assert metrics.mean_average_precision(scores, labels) == pytest.approx((1 + 2 / 3) / 2)


@given(st.integers(1, 12), st.integers(0, 2**31))
def test_eleven_points_are_the_best_precisions_at_recalls(count, seed):
    drawn = np.random.default_rng(seed)
    labels, scores = drawn.integers(0, 2, (count, 1)), drawn.permutation(count)[:, None] / count
    labels[drawn.integers(count)] = 1
    ranked = labels[np.argsort(-scores[:, 0]), 0].tolist()
    total, best = sum(ranked), [0.0] * 11
    for cut in range(1, count + 1):
        hits = sum(ranked[:cut])
        for point in range(11):
            if 10 * hits >= point * total:
                best[point] = max(best[point], hits / cut)
    found = metrics.mean_average_precision(scores, labels, rule="11-point")
    assert found == pytest.approx(np.mean(best))


@pytest.mark.parametrize("rule", ["area", "11-point"])
def test_an_image_that_does_not_count_is_as_if_it_were_not_there(rule):
    drawn = np.random.default_rng(1)
    scores, labels = drawn.normal(size=(30, 2)), drawn.integers(0, 2, (30, 2))
    counts = drawn.random((30, 2)) < 0.7
    alone = [
        metrics.mean_average_precision(
            scores[counts[:, i]][:, [i]], labels[counts[:, i]][:, [i]], rule=rule
        )
        for i in range(2)
    ]
    found = metrics.mean_average_precision(scores, labels, counts=counts, rule=rule)
    assert found == pytest.approx(np.mean(alone))
    assert found != pytest.approx(metrics.mean_average_precision(scores, labels, rule=rule))


def test_another_rule_is_refused():
    with pytest.raises(ValueError, match="`rule` must be one of 'area', '11-point'"):
        metrics.mean_average_precision(np.ones((1, 1)), np.ones((1, 1)), rule="voc")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(ImportError, match="needs the package `sklearn`"):
        metrics.mean_average_precision(np.ones((1, 1)), np.ones((1, 1)))
