"""Linear SVMs on features, which measure how well these transfer to other classes."""

from typing import Any, NamedTuple

import numpy as np

from spp_keras import _checks, _extras, _progress

# The seed of scikit-learn and of the draws.
_SEED = 0


class SVMOptions(NamedTuple):
    """Options of the SVMs on features.

    Args:
        per_class: Where images have one class: training images of a class and, of its other
            images, at most how many test images. Defaults to the paper's 30 and 50.
        draws: How often training and test images are drawn. Defaults to 10.
        cost: C of the SVMs, scikit-learn's `LinearSVC` with the hinge loss. Unlike those of
            LIBSVM, which the paper names, they regularize the bias, too. Defaults to the
            paper's 1.

    Example:

    >>> SVMOptions(cost=10.0).per_class
    (30, 50)
    """

    per_class: tuple[int, int] = (30, 50)
    draws: int = 10
    cost: float = 1.0


def check_options(options: SVMOptions) -> None:
    """Raises unless the options are valid."""
    _checks.at_least(options.draws, 1, "draws")
    _checks.positive(options.cost, "cost")
    if len(options.per_class) != 2:
        raise ValueError(
            "`per_class` must be two numbers, of training images and of test images. "
            f"Received: per_class={options.per_class!r}."
        )
    for count in options.per_class:
        _checks.at_least(count, 1, "per_class")


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Scales vectors to a length of 1; vectors of zeros stay.

    Example:

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def score_by_svm(
    vectors: np.ndarray,
    labels: np.ndarray,
    test_vectors: np.ndarray,
    *,
    counts: np.ndarray | None = None,
    cost: float = 1.0,
    description: str = "SVMs",
) -> np.ndarray:
    """Scores of images by an SVM for each class, where an image has any number of classes.

    Args:
        vectors: `(images, length)`, the training set.
        labels: `(images, classes)` of zeros and ones.
        test_vectors: `(test images, length)`.
        counts: `(images, classes)` bool, whether an image is in the training set of a class.
            Defaults to `None`, all.
        cost: C of the SVMs. Defaults to 1.
        description: Text of the progress bar. Defaults to `"SVMs"`.

    Returns:
        `(test images, classes)`; zeros for a class that all training images have, or none.

    Example:

    >>> vectors, labels = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1, 0], [0, 1]])
    >>> score_by_svm(vectors, labels, vectors).round(2).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    svm = import_svm()
    # As scikit-learn needs them, converted once and not for each class.
    vectors, test_vectors = (
        np.ascontiguousarray(array, "float64") for array in (vectors, test_vectors)
    )
    counts = np.ones(labels.shape, bool) if counts is None else counts
    num_classes = labels.shape[1]
    scores = np.zeros((len(test_vectors), num_classes))
    for label in _progress.create_bar(range(num_classes), description, unit="classes"):
        mask = counts[:, label]
        if len(np.unique(labels[mask, label])) == 2:
            class_vectors = vectors if mask.all() else vectors[mask]
            fitted = svm(**_make_arguments(cost)).fit(class_vectors, labels[mask, label])
            scores[:, label] = fitted.decision_function(test_vectors)
    return scores


def measure_accuracies(
    vectors: np.ndarray,
    labels: np.ndarray,
    options: SVMOptions = SVMOptions(),  # noqa: B008  immutable
    description: str = "SVMs",
) -> list[float]:
    """Mean accuracy over the classes for each of several random splits.

    Args:
        vectors: `(images, length)`.
        labels: `(images,)`, the class index of each image.
        options: The options; the SVMs are one against the rest for each class.
        description: Text of the progress bar. Defaults to `"SVMs"`.
    """
    svm, accuracies = import_svm(), []
    for index in _progress.create_bar(range(options.draws), description, unit="draws"):
        train, test = draw_split(labels, index, options.per_class)
        fitted = svm(**_make_arguments(options.cost)).fit(vectors[train], labels[train])
        correct = fitted.predict(vectors[test]) == labels[test]
        classes = np.unique(labels[test])
        accuracies.append(
            float(np.mean([correct[labels[test] == label].mean() for label in classes]))
        )
    return accuracies


def draw_split(
    labels: np.ndarray, index: int, per_class: tuple[int, int] = (30, 50)
) -> tuple[np.ndarray, np.ndarray]:
    """Draws training and test images, the same for the same labels and index.

    Args:
        labels: `(images,)`, the class index of each image.
        index: Index of the draw.
        per_class: Training images of a class and, of its other images, at most how many test
            images. Defaults to the paper's 30 and 50.

    Returns:
        Indices of both, in ascending order.

    Example:

    >>> train, test = draw_split(np.repeat([0, 1], [4, 9]), 0, per_class=(3, 5))
    >>> len(train), len(test)
    (6, 6)
    """
    generator, (train_count, test_count) = np.random.default_rng((_SEED, index)), per_class
    train, test = [], []
    for label in np.unique(labels):
        order = generator.permutation(np.flatnonzero(labels == label))
        train.append(order[:train_count])
        test.append(order[train_count : train_count + test_count])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def import_svm() -> Any:
    """Imports `LinearSVC`; the error names what to install."""
    svm = _extras.import_package("sklearn.svm", "detection", "Classification by SVMs")
    return svm.LinearSVC


def _make_arguments(cost: float) -> dict[str, Any]:
    # The loss of LIBSVM, which the paper names. LIBSVM does not regularize the bias;
    # LinearSVC, which is fast on long vectors, does.
    return {"C": cost, "loss": "hinge", "random_state": _SEED, "max_iter": 100_000}
