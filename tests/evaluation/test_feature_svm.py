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
    drawn = np.random.default_rng(2)
    labels = np.repeat(np.arange(4), [9, 14, 11, 20])
    centers = drawn.normal(size=(4, 12))
    vectors = centers[labels] + 0.8 * drawn.normal(size=(len(labels), 12))
    return feature_svm.normalize(vectors).astype("float32"), labels


def machine(cost=1.0):
    return LinearSVC(C=cost, loss="hinge", random_state=0, max_iter=100_000)


def test_vectors_are_brought_to_a_length_of_one():
    vectors = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    vectors[2] = 0
    found = feature_svm.normalize(vectors)
    np.testing.assert_allclose(found, normalize(vectors), rtol=1e-6)
    assert found.dtype == "float32"


def test_a_class_is_learned_from_the_images_that_count_for_it(clusters):
    vectors, numbers = clusters
    labels = np.eye(4, dtype="uint8")[numbers]
    labels[::3, 1] = 1
    # Nothing, and all, to learn from.
    labels[:, 2], labels[:, 3] = 0, 1
    counts = np.random.default_rng(0).random(labels.shape) < 0.8
    found = feature_svm.score_by_svm(
        vectors[::2], labels[::2], vectors, counts=counts[::2], cost=0.5
    )
    for i in range(2):
        mine = counts[::2, i]
        fitted = machine(0.5).fit(vectors[::2][mine], labels[::2, i][mine])
        np.testing.assert_allclose(found[:, i], fitted.decision_function(vectors), rtol=1e-4)
    assert not found[:, 2:].any()


def test_accuracy_is_the_mean_over_the_classes_of_each_draw(clusters):
    vectors, labels = clusters
    expected = []
    for number in range(3):
        learn, test = feature_svm.draw_split(labels, number, (4, 7))
        said = machine().fit(vectors[learn], labels[learn]).predict(vectors[test])
        of_class = []
        for each in range(4):
            pairs = [(a, b) for a, b in zip(said, labels[test], strict=True) if b == each]
            of_class.append(sum(a == b for a, b in pairs) / len(pairs))
        expected.append(sum(of_class) / 4)
    found = feature_svm.measure_accuracies(
        vectors, labels, feature_svm.SVMOptions(draws=3, per_class=(4, 7))
    )
    assert found == pytest.approx(expected)
    assert 0.3 < np.mean(found) < 1


def test_what_can_be_told_apart_is_and_noise_is_not():
    drawn, labels = np.random.default_rng(3), np.repeat(np.arange(5), 40)
    noise = feature_svm.normalize(drawn.normal(size=(200, 30)))
    apart = feature_svm.normalize(noise + 3 * np.eye(30)[labels])
    options = feature_svm.SVMOptions(draws=4, per_class=(10, 30))
    assert feature_svm.measure_accuracies(apart, labels, options) == [1.0] * 4
    assert np.mean(feature_svm.measure_accuracies(noise, labels, options)) == pytest.approx(
        0.2, abs=0.06
    )


def test_draws_are_as_large_as_asked_for_and_the_same_every_time():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(3), [31, 80, 120]))
    draws = [feature_svm.draw_split(labels, number) for number in range(10)]
    for learn, test in draws:
        assert np.bincount(labels[learn]).tolist() == [30, 30, 30]
        assert np.bincount(labels[test]).tolist() == [1, 50, 50]
        assert len({*learn.tolist(), *test.tolist()}) == len(learn) + len(test)
    assert len({tuple(learn.tolist()) for learn, _ in draws}) == 10
    again = feature_svm.draw_split(labels, 7)
    assert all(np.array_equal(a, b) for a, b in zip(again, draws[7], strict=True))
    # Of each class any image is as likely to be learned from.
    learned = np.zeros(len(labels))
    for number in range(400):
        learned[feature_svm.draw_split(labels, number)[0]] += 1 / 400
    assert learned[labels == 2] == pytest.approx(0.25, abs=0.1)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(ImportError, match="Support vector machines need scikit-learn"):
        feature_svm.measure_accuracies(np.ones((1, 1)), np.ones(1))
