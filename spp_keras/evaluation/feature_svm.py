"""Linear support vector machines on features: how far these carry to other classes."""

from typing import Any

import numpy as np

from spp_keras import _extras, _progress

# So that a machine is the same every time; of the rest nothing is drawn.
_SEED = 0


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Vectors brought to a length of 1; those of zeros stay.

    Example:

    >>> normalized(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def score_by_svm(
    vectors: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    *,
    counts: np.ndarray | None = None,
    cost: float = 1.0,
    what: str = "Machines",
) -> np.ndarray:
    """Scores of images by a machine for each class, where an image has any number of classes.

    Args:
        vectors: `(images, length)`, to learn from.
        labels: `(images, classes)` of zeros and ones.
        test: `(others, length)`, to score.
        counts: `(images, classes)` bool, which images a class is learned from. Defaults
            to `None`, all.
        cost: C of the machines. Defaults to 1.
        what: What the bar on standard error says.

    Returns:
        `(others, classes)`; zeros for a class that all images to learn from have, or none.

    Example:

    >>> vectors, labels = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1, 0], [0, 1]])
    >>> score_by_svm(vectors, labels, vectors).round(2).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    machine = import_svm()
    # As the library wants them, once and not for each class.
    vectors, test = (np.ascontiguousarray(each, "float64") for each in (vectors, test))
    counts = np.ones(labels.shape, bool) if counts is None else counts
    found = np.zeros((len(test), labels.shape[1]))
    for number in _progress.create_bar(range(labels.shape[1]), what, unit="classes"):
        mine = counts[:, number]
        if len(np.unique(labels[mine, number])) == 2:
            some = vectors if mine.all() else vectors[mine]
            fitted = machine(**_settings(cost)).fit(some, labels[mine, number])
            found[:, number] = fitted.decision_function(test)
    return found


def measure_accuracies(
    vectors: np.ndarray,
    labels: np.ndarray,
    *,
    draws: int = 10,
    per_class: tuple[int, int] = (30, 50),
    cost: float = 1.0,
    what: str = "Machines",
) -> list[float]:
    """Mean over the classes of the share of images that are right, for each of some draws.

    Args:
        vectors: `(images, length)`.
        labels: `(images,)` numbers of classes.
        draws: How often images to learn from and to test on are drawn. Defaults to 10.
        per_class: See `draw_split`.
        cost: C of the machines, one against the rest for each class. Defaults to 1.
        what: What the bar on standard error says.
    """
    machine, found = import_svm(), []
    for number in _progress.create_bar(range(draws), what, unit="draws"):
        learn, test = draw_split(labels, number, per_class)
        fitted = machine(**_settings(cost)).fit(vectors[learn], labels[learn])
        right = fitted.predict(vectors[test]) == labels[test]
        classes = np.unique(labels[test])
        found.append(float(np.mean([right[labels[test] == each].mean() for each in classes])))
    return found


def draw_split(
    labels: np.ndarray, number: int, per_class: tuple[int, int] = (30, 50)
) -> tuple[np.ndarray, np.ndarray]:
    """Images to learn from and to test on, the same for the same labels and number.

    Args:
        labels: `(images,)` numbers of classes.
        number: Number of the draw.
        per_class: Images of a class to learn from, and of the others how many to test on
            at most. Defaults to the paper's 30 and 50.

    Returns:
        Numbers of the images of both, in the order of the images.

    Example:

    >>> learn, test = draw_split(np.repeat([0, 1], [4, 9]), 0, per_class=(3, 5))
    >>> len(learn), len(test)
    (6, 6)
    """
    generator, (to_learn, to_test) = np.random.default_rng((_SEED, number)), per_class
    learn, test = [], []
    for each in np.unique(labels):
        mine = generator.permutation(np.flatnonzero(labels == each))
        learn.append(mine[:to_learn])
        test.append(mine[to_learn : to_learn + to_test])
    return np.sort(np.concatenate(learn)), np.sort(np.concatenate(test))


def import_svm() -> Any:
    """The machines; says what to install where they are not there."""
    try:
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise ImportError(
            "Support vector machines need scikit-learn. Install it with: "
            f"{_extras.install_line('detection')}"
        ) from error
    return LinearSVC


def _settings(cost: float) -> dict[str, Any]:
    # The loss of LIBSVM, which the paper names. LIBSVM leaves the bias out of what is kept small;
    # LinearSVC, which is quick on long vectors, has it in.
    return {"C": cost, "loss": "hinge", "random_state": _SEED, "max_iter": 100_000}
