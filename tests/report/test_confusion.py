import re

import numpy as np
from sklearn import metrics

from spp_keras.report import confusion


def drawn(classes, images=500):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, images).astype("int32")
    answers = np.where(rng.random(images) < 0.6, labels, rng.integers(0, classes, images))
    return labels, answers


def test_the_counts_are_those_of_scikit_learn():
    labels, answers = drawn(12)
    expected = metrics.confusion_matrix(labels, answers, labels=range(14))
    np.testing.assert_array_equal(confusion.counts(labels, answers, 14), expected)


def test_the_matrix_has_every_count_in_its_place():
    matrix = confusion.counts(*drawn(4), 4)
    names = ["a", "b", "<c>", "d"]
    shown = confusion.section(matrix, names)
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", shown)
    assert [name for name, _ in rows] == ["a", "b", "&lt;c&gt;", "d"]
    counts = [[int(n) for n in re.findall(r">(\d+)</td>", cells)] for _, cells in rows]
    assert counts == matrix.tolist()
    recall = [int(re.search(r">(\d+)%</td>", cells)[1]) for _, cells in rows]
    np.testing.assert_allclose(recall, 100 * np.diag(matrix) / matrix.sum(axis=1), atol=0.5)


def test_of_many_classes_the_pairs_are_listed_that_are_confused_most():
    matrix = np.diag(np.full(40, 9))
    matrix[3, 5], matrix[5, 3], matrix[7, 30] = 4, 2, 6
    shown = confusion.section(matrix, [f"class {i}" for i in range(40)])
    rows = [
        re.sub("<.*?>", "|", row).strip("|").split("||")
        for row in re.findall(r"<tr>(<td>.*?)</tr>", shown)
    ]
    assert rows == [
        ["class 7", "class 30", "6", "15", "40.0%"],
        ["class 3", "class 5", "4", "13", "30.8%"],
        ["class 5", "class 3", "2", "11", "18.2%"],
    ]
