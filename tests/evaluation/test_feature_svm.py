"""Protocols of support vector machines against scikit-learn, called literally."""

import sys

import numpy as np
import pytest
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from spp_keras.evaluation import feature_svm


@pytest.fixture
def clusters():
    """Vectors around a center for each of 4 classes, and their labels."""
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(4), [9, 14, 11, 20])
    centers = rng.normal(size=(4, 12))
    vectors = centers[labels] + 0.8 * rng.normal(size=(len(labels), 12))
    return feature_svm.normalize(vectors).astype("float32"), labels


def machine(cost=1.0):
    return LinearSVC(C=cost, loss="hinge", random_state=0, max_iter=100_000)


def test_normalize():
    vectors = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    vectors[2] = 0
    result = feature_svm.normalize(vectors)
    np.testing.assert_allclose(result, normalize(vectors), rtol=1e-6)
    assert result.dtype == "float32"


def test_score_by_svm_trains_on_the_counting_images(clusters):
    vectors, numbers = clusters
    labels = np.eye(4, dtype="uint8")[numbers]
    labels[::3, 1] = 1
    # Nothing, and all, to learn from.
    labels[:, 2], labels[:, 3] = 0, 1
    counts = np.random.default_rng(0).random(labels.shape) < 0.8
    result = feature_svm.score_by_svm(
        vectors[::2], labels[::2], vectors, counts=counts[::2], cost=0.5
    )
    for i in range(2):
        mask = counts[::2, i]
        fitted = machine(0.5).fit(vectors[::2][mask], labels[::2, i][mask])
        np.testing.assert_allclose(result[:, i], fitted.decision_function(vectors), rtol=1e-4)
    assert not result[:, 2:].any()


def test_measure_accuracies_averages_over_classes(clusters):
    vectors, labels = clusters
    expected = []
    for index in range(3):
        learn, test = feature_svm.draw_split(labels, index, (4, 7))
        predicted = machine().fit(vectors[learn], labels[learn]).predict(vectors[test])
        of_class = []
        for label in range(4):
            pairs = [(a, b) for a, b in zip(predicted, labels[test], strict=True) if b == label]
            of_class.append(sum(a == b for a, b in pairs) / len(pairs))
        expected.append(sum(of_class) / 4)
    result = feature_svm.measure_accuracies(
        vectors, labels, feature_svm.SVMOptions(draws=3, per_class=(4, 7))
    )
    assert result == pytest.approx(expected)
    assert 0.3 < np.mean(result) < 1


def test_measure_accuracies_of_separable_and_random_vectors():
    rng, labels = np.random.default_rng(3), np.repeat(np.arange(5), 40)
    noise = feature_svm.normalize(rng.normal(size=(200, 30)))
    apart = feature_svm.normalize(noise + 3 * np.eye(30)[labels])
    options = feature_svm.SVMOptions(draws=4, per_class=(10, 30))
    assert feature_svm.measure_accuracies(apart, labels, options) == [1.0] * 4
    assert np.mean(feature_svm.measure_accuracies(noise, labels, options)) == pytest.approx(
        0.2, abs=0.06
    )


def test_draw_split():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(3), [31, 80, 120]))
    draws = [feature_svm.draw_split(labels, index) for index in range(10)]
    for learn, test in draws:
        assert np.bincount(labels[learn]).tolist() == [30, 30, 30]
        assert np.bincount(labels[test]).tolist() == [1, 50, 50]
        assert len({*learn.tolist(), *test.tolist()}) == len(learn) + len(test)
    assert len({tuple(learn.tolist()) for learn, _ in draws}) == 10
    again = feature_svm.draw_split(labels, 7)
    assert all(np.array_equal(a, b) for a, b in zip(again, draws[7], strict=True))
    # Of each class any image is as likely to be learned from.
    learned = np.zeros(len(labels))
    for index in range(400):
        learned[feature_svm.draw_split(labels, index)[0]] += 1 / 400
    assert learned[labels == 2] == pytest.approx(0.25, abs=0.1)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(ImportError, match="Classification by SVMs needs the package `sklearn`"):
        feature_svm.measure_accuracies(np.ones((1, 1)), np.ones(1))
