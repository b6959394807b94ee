"""Ridge regression of box deltas from pooled vectors, as in R-CNN."""

from collections.abc import Sequence

import keras
import numpy as np

from spp_keras import _extras, _progress, ops
from spp_keras.detection.roi_features import RoIFeatures
from spp_keras.detection.training_images import TrainingImages

# The released code's: vectors have this norm on average, and the penalty fits it.
_MEAN_NORM, _PENALTY = 20.0, 4000.0
_FOREGROUND_IOU = 0.5
# Ours: at full width a thousand vectors take 51 MB.
_MAX_ROIS_PER_CLASS = 5000


def train_box_regression(
    features: RoIFeatures, *, seed: int = 0, progress: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Fits a ridge regression from pooled vectors to box deltas for each class.

    The release whitens the deltas and undoes that afterwards: without a penalty on the
    constant term, as here, that changes nothing.

    Args:
        features: Features of the training images' RoIs.
        seed: Seed of the sample where a class has more than 5,000 RoIs. Defaults to 0.
        progress: Whether to show a progress bar. Defaults to `True`.

    Returns:
        Kernel `(length, 4 * classes)` and bias `(4 * classes,)`, zeros for a class without
        objects.
    """
    _extras.require("detection", "Ridge regression", "sklearn")
    from sklearn.linear_model import Ridge

    images = features.images
    pairs = _sample_pairs(images, seed)
    inputs: dict[int, list] = {class_index: [] for class_index in range(len(images.classes))}
    outputs: dict[int, list] = {class_index: [] for class_index in inputs}
    for index in _progress.create_bar(pairs, "Box regression", disable=not progress):
        roi_indices, gt_indices = pairs[index]
        if not len(roi_indices):
            continue
        image = images[index]
        vectors = features(index, roi_indices)
        deltas = keras.ops.convert_to_numpy(
            ops.encode_boxes(image.rois[roi_indices], image.gt_boxes[gt_indices])
        )
        classes = image.gt_classes[gt_indices]
        for class_index in np.unique(classes):
            inputs[class_index].append(vectors[classes == class_index])
            outputs[class_index].append(deltas[classes == class_index])
    norms = [np.linalg.norm(part, axis=1) for parts in inputs.values() for part in parts]
    scale = _MEAN_NORM / max(float(np.concatenate(norms).mean()), 1e-12) if norms else 1.0
    length = features.vector_length
    kernel = np.zeros((length, len(inputs), 4), "float32")
    bias = np.zeros((len(inputs), 4), "float32")
    for class_index, parts in inputs.items():
        if parts:
            ridge = Ridge(_PENALTY).fit(
                np.concatenate(parts) * scale, np.concatenate(outputs[class_index])
            )
            kernel[:, class_index], bias[class_index] = ridge.coef_.T * scale, ridge.intercept_
    return kernel.reshape(length, -1), bias.reshape(-1)


def _sample_pairs(images: TrainingImages, seed: int) -> dict[int, np.ndarray]:
    """For each image `(2, n)`: indices of foreground RoIs, and of the ground truth of each."""
    by_class: dict[int, list[tuple[int, int, int]]] = {}
    for index in images.list_unflipped():
        image = images[index]
        matches = ops.match_boxes(ops.box_iou(image.rois, image.gt_boxes), _FOREGROUND_IOU)
        for roi_index in np.flatnonzero(matches.labels == ops.FOREGROUND).tolist():
            gt_index = int(matches.indices[roi_index])
            class_index = int(image.gt_classes[gt_index])
            by_class.setdefault(class_index, []).append((index, roi_index, gt_index))
    rng = np.random.default_rng(seed)
    pairs: dict[int, list[tuple[int, int]]] = {index: [] for index in images.list_unflipped()}
    for triples in by_class.values():
        sample: Sequence[int] = range(len(triples))
        if len(triples) > _MAX_ROIS_PER_CLASS:
            sample = sorted(rng.choice(len(triples), _MAX_ROIS_PER_CLASS, replace=False).tolist())
        for position in sample:
            index, roi_index, gt_index = triples[position]
            pairs[index].append((roi_index, gt_index))
    return {index: np.array(rows, int).reshape(-1, 2).T for index, rows in pairs.items()}
