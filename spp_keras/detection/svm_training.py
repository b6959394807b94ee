"""A linear support vector machine for each class, with hard negatives."""

from typing import Any, NamedTuple

import keras
import numpy as np

from spp_keras import _progress
from spp_keras.detection import boxes, window_features
from spp_keras.detection.feature_cache import FeatureMapCache

# The paper gives the overlap below which a window is a negative, 0.3, and leaves out negatives
# that overlap another one by more than 0.7: that is not done yet. The numbers below are those of
# the released code: features have this length on average; a negative is hard, or no longer worth
# keeping, by its score. The release keeps windows on the same cells once, here each counts.
_NORM = 20.0
_COST, _BIAS, _POSITIVE_WEIGHT = 1e-3, 10.0, 2.0
_HARD, _EASY = -1.0001, -1.2
_RETRAIN = 2000
_NEGATIVE = 0.3
_MEASURED = 200
# Scores of a class that nothing was learned of: below every threshold.
_NOTHING = -1e3


class SVMWeights(NamedTuple):
    """All machines as one dense layer.

    Args:
        kernel: `(length, classes)`.
        bias: `(classes,)`.
        untrained: Numbers of the classes without an object to learn from; their
            machines find nothing.
    """

    kernel: np.ndarray
    bias: np.ndarray
    untrained: tuple[int, ...]


def train_svms(
    hidden: keras.Model, maps: FeatureMapCache, *, seed: int = 0, progress: bool = True
) -> SVMWeights:
    """Trains a machine for each class on what a head makes of pooled windows.

    Positives are the objects themselves; negatives are windows that overlap no
    object of the class by 0.3 or more, of which one pass over the images adds
    those that the machine, as it is by then, takes for its class. The paper also
    leaves out negatives that overlap another negative by more than 0.7; here all
    of them count.

    Args:
        hidden: Model from pooled vectors to features.
        maps: Maps of the examples.
        seed: For whatever is drawn. Defaults to 0.
        progress: Whether to show bars. Defaults to `True`.
    """
    features, numbers = (
        window_features.make_feature_function(maps, hidden),
        window_features.list_unmirrored(maps),
    )
    scale = _NORM / _mean_norm(features, numbers, seed)
    positives: list[list[np.ndarray]] = [[] for _ in maps.examples.classes]
    for number in _progress.create_bar(numbers, "Objects", disable=not progress):
        labels = maps.examples[number].labels
        for label, vector in zip(
            labels, features(number, np.arange(len(labels))) * scale, strict=True
        ):
            positives[label].append(vector)
    machines = {
        label: _ClassSVM(np.array(some), seed) for label, some in enumerate(positives) if some
    }
    for number in _progress.create_bar(numbers, "Hard negatives", disable=not progress):
        example = maps.examples[number]
        found = features(number) * scale
        for label, machine in machines.items():
            overlaps = boxes.box_iou(example.windows, example.objects[example.labels == label])
            machine.meet(found[overlaps.max(axis=1, initial=0) < _NEGATIVE])
    kernel = np.zeros((hidden.output_shape[-1], len(positives)), "float32")
    bias = np.full(len(positives), _NOTHING, "float32")
    for label, machine in machines.items():
        machine.fit()
        kernel[:, label], bias[label] = machine.kernel * scale, machine.bias
    return SVMWeights(kernel, bias, tuple(sorted({*range(len(positives))} - {*machines})))


class _ClassSVM:
    """One machine, and the negatives that it has trouble with."""

    def __init__(self, positives: np.ndarray, seed: int):
        self._positives, self._seed = positives, seed
        self._negatives = np.zeros((0, positives.shape[1]), "float32")
        self._new = 0
        # Before the first training every negative is hard.
        self.kernel, self.bias = np.zeros(positives.shape[1], "float32"), 0.0

    def meet(self, negatives: np.ndarray) -> None:
        """Keeps those that are hard, and learns from them when they are many."""
        hard = negatives[negatives @ self.kernel + self.bias > _HARD]
        self._negatives = np.concatenate([self._negatives, hard])
        self._new += len(hard)
        if self._new > _RETRAIN:
            self.fit()
            scores = self._negatives @ self.kernel + self.bias
            self._negatives = self._negatives[scores >= _EASY]

    def fit(self) -> None:
        """Learns from what it has."""
        from sklearn.svm import LinearSVC

        self._new = 0
        if not len(self._negatives):
            self.bias = 1.0
            return
        machine = LinearSVC(
            C=_COST,
            loss="hinge",
            class_weight={1: _POSITIVE_WEIGHT},
            intercept_scaling=_BIAS,
            random_state=self._seed,
            max_iter=100_000,
        )
        vectors = np.concatenate([self._positives, self._negatives])
        machine.fit(vectors, np.repeat([1, 0], [len(self._positives), len(self._negatives)]))
        self.kernel, self.bias = machine.coef_[0].astype("float32"), float(machine.intercept_[0])


def _mean_norm(features: Any, numbers: list[int], seed: int) -> float:
    chosen = np.random.default_rng(seed).permutation(numbers)[:_MEASURED]
    norms = [np.linalg.norm(features(number), axis=1) for number in chosen]
    return max(float(np.concatenate(norms).mean()), 1e-12)
