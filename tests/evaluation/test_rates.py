import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spp_keras.evaluation import rates


@given(st.integers(1, 8), st.integers(2, 9), st.integers(0, 2**31), st.data())
def test_top_k_counts_what_sorting_would(count, classes, seed, data):
    k, drawn = data.draw(st.integers(1, classes)), np.random.default_rng(seed)
    # Few values, so that many are equal.
    scores, labels = drawn.integers(0, 3, (count, classes)), drawn.integers(0, classes, count)
    order = np.argsort(-scores, axis=1, kind="stable")
    right = [label in row[:k] for label, row in zip(labels, order, strict=True)]
    assert rates.top(scores, labels, k) == pytest.approx(np.mean(right))


def test_more_classes_than_there_are_cannot_count():
    with pytest.raises(ValueError, match=r"`k` must be at most the number of classes, 3\. .* k=5"):
        rates.top(np.zeros((1, 3)), np.zeros(1, int), 5)


def test_average_precision_is_the_mean_precision_at_what_is_right():
    labels = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
    scores = np.array([[0.9, 0.2, 0.1], [0.8, 0.9, 0.1], [0.7, 0.8, 0.1], [0.1, 0.1, 0.9]])
    # Right at places 1 and 3; at 1 and 3; and a class that nothing has.
    assert rates.mean_average_precision(scores, labels) == pytest.approx((1 + 2 / 3) / 2)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(ImportError, match="needs scikit-learn"):
        rates.mean_average_precision(np.ones((1, 1)), np.ones((1, 1)))
