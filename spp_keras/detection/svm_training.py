"""Training of a linear SVM for each class, with hard negative mining."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _extras, _progress, ops
from spp_keras.detection import roi_features
from spp_keras.detection.roi_features import RoIFeatures

# RoIs below this IoU are negatives, as in the paper, which also leaves out negatives that overlap
# another one by more than 0.7: not done yet.
_NEGATIVE_IOU = 0.3
# The rest is of the released code: features have this norm on average, and a negative is added or
# dropped by its score. The release counts RoIs on the same cells once, here each counts.
_MEAN_NORM, _IMAGES_FOR_NORM = 20.0, 200
_COST, _BIAS, _POSITIVE_WEIGHT = 1e-3, 10.0, 2.0
_HARD_SCORE, _EASY_SCORE = -1.0001, -1.2
_RETRAIN_AFTER = 2000
# Scores of a class without training objects: below every threshold.
_NEVER = -1e3


class SVMWeights(NamedTuple):
    """The SVMs of all classes as one dense layer.

    Args:
        kernel: `(length, classes)`.
        bias: `(classes,)`.
        untrained: Indices of classes without training objects, which are never detected.
    """

    kernel: np.ndarray
    bias: np.ndarray
    untrained: tuple[int, ...]


def train_svms(
    hidden: keras.Model, features: RoIFeatures, *, seed: int = 0, progress: bool = True
) -> SVMWeights:
    """Trains an SVM for each class on the hidden features of RoIs.

    Positives are the ground-truth boxes. Negatives are RoIs with an IoU below 0.3 with
    all ground truth of the class; in one pass over the images the hard ones are added,
    those that the SVM so far scores as the class. The paper also leaves out negatives
    that overlap another negative by more than 0.7; here all of them count.

    Args:
        hidden: Model from pooled vectors to hidden features.
        features: Features of the training images' RoIs.
        seed: Random seed. Defaults to 0.
        progress: Whether to show progress bars. Defaults to `True`.
    """
    images, indices = features.images, features.images.list_unflipped()
    hidden_features = _HiddenFeatures(hidden, features)
    scale = _MEAN_NORM / _measure_norm(hidden_features, indices, seed)
    positives: list[list[np.ndarray]] = [[] for _ in images.classes]
    for index in _progress.create_bar(indices, "Positives", disable=not progress):
        gt_classes = images[index].gt_classes
        # The first RoIs are the ground truth.
        vectors = hidden_features(index, np.arange(len(gt_classes))) * scale
        for class_index, vector in zip(gt_classes, vectors, strict=True):
            positives[class_index].append(vector)
    svms = {
        class_index: _ClassSVM(np.array(vectors), seed)
        for class_index, vectors in enumerate(positives)
        if vectors
    }
    for index in _progress.create_bar(indices, "Hard negatives", disable=not progress):
        image = images[index]
        vectors = hidden_features(index) * scale
        for class_index, svm in svms.items():
            gt_boxes = image.gt_boxes[image.gt_classes == class_index]
            matches = ops.match_boxes(ops.box_iou(image.rois, gt_boxes), _NEGATIVE_IOU)
            svm.add_negatives(vectors[matches.labels == ops.BACKGROUND])
    kernel = np.zeros((hidden.output_shape[-1], len(positives)), "float32")
    bias = np.full(len(positives), _NEVER, "float32")
    for class_index, svm in svms.items():
        svm.fit()
        kernel[:, class_index], bias[class_index] = svm.kernel * scale, svm.bias
    return SVMWeights(kernel, bias, tuple(sorted({*range(len(positives))} - {*svms})))


class _ClassSVM:
    """The SVM of one class, and its hard negatives."""

    def __init__(self, positives: np.ndarray, seed: int):
        self._positives, self._seed = positives, seed
        self.negatives = np.zeros((0, positives.shape[1]), "float32")
        self._num_new = 0
        # Before the first fit every negative is hard.
        self.kernel, self.bias = np.zeros(positives.shape[1], "float32"), 0.0

    def add_negatives(self, negatives: np.ndarray) -> None:
        """Keeps the hard ones, and fits again when they are many."""
        hard = negatives[negatives @ self.kernel + self.bias > _HARD_SCORE]
        self.negatives = np.concatenate([self.negatives, hard])
        self._num_new += len(hard)
        if self._num_new > _RETRAIN_AFTER:
            self.fit()
            scores = self.negatives @ self.kernel + self.bias
            self.negatives = self.negatives[scores >= _EASY_SCORE]

    def fit(self) -> None:
        """Fits the SVM to all positives and the negatives so far."""
        _extras.require("detection", "Training SVMs", "sklearn")
        from sklearn.svm import LinearSVC

        self._num_new = 0
        if not len(self.negatives):
            self.bias = 1.0
            return
        svm = LinearSVC(
            C=_COST,
            loss="hinge",
            class_weight={1: _POSITIVE_WEIGHT},
            intercept_scaling=_BIAS,
            random_state=self._seed,
            max_iter=100_000,
        )
        vectors = np.concatenate([self._positives, self.negatives])
        svm.fit(vectors, np.repeat([1, 0], [len(self._positives), len(self.negatives)]))
        self.kernel, self.bias = svm.coef_[0].astype("float32"), float(svm.intercept_[0])


class _HiddenFeatures:
    """The hidden features of RoIs."""

    def __init__(self, hidden: keras.Model, features: RoIFeatures):
        self._features = features
        self._hidden: Any = tf.function(
            lambda vectors: hidden(vectors, training=False),
            [tf.TensorSpec((None, features.vector_length))],
            autograph=False,
        )

    def __call__(self, index: int, roi_indices: np.ndarray | None = None) -> np.ndarray:
        vectors = self._hidden(self._features(index, roi_indices)).numpy()
        return roi_features.check_finite(vectors, self._features.images[index].id)


def _measure_norm(features: _HiddenFeatures, indices: list[int], seed: int) -> float:
    sample = np.random.default_rng(seed).permutation(indices)[:_IMAGES_FOR_NORM]
    norms = [np.linalg.norm(features(index), axis=1) for index in sample]
    return max(float(np.concatenate(norms).mean()), 1e-12)
