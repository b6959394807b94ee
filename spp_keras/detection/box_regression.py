"""Regression of boxes on pooled windows: where the object lies that a window roughly covers."""

from collections.abc import Sequence

import numpy as np

from spp_keras import _progress
from spp_keras.detection import box_coding, boxes, window_features
from spp_keras.detection.feature_cache import FeatureMapCache

# The released code's: vectors have this length on average, and the penalty fits it.
_NORM, _PENALTY = 20.0, 4000.0
_OVERLAP = 0.5
# Windows of a class that are learned from. Ours: at full width a thousand take 51 MB.
_MOST = 5000


def train_box_regression(
    maps: FeatureMapCache, *, seed: int = 0, progress: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression from pooled vectors to corrections, for each class.

    The release whitens what it regresses to and undoes that afterwards: without a
    penalty on the constant term, as here, that changes nothing.

    Args:
        maps: Maps of the examples.
        seed: Of the windows that are taken where there are more than 5,000 of a
            class. Defaults to 0.
        progress: Whether to show a bar. Defaults to `True`.

    Returns:
        Kernel `(length, 4 * classes)` and bias `(4 * classes,)`; a class without
        objects is left as it is.
    """
    from sklearn.linear_model import Ridge

    vectors = window_features.make_feature_function(maps)
    chosen = _chosen(maps, seed)
    inputs: dict[int, list] = {label: [] for label in range(len(maps.examples.classes))}
    outputs: dict[int, list] = {label: [] for label in inputs}
    for number in _progress.create_bar(
        window_features.list_unmirrored(maps), "Regression", disable=not progress
    ):
        which, objects = chosen[number]
        if not len(which):
            continue
        example = maps.examples[number]
        found = vectors(number, which)
        deltas = box_coding.encode_boxes(example.windows[which], example.objects[objects]).numpy()
        for label in np.unique(example.labels[objects]):
            mine = example.labels[objects] == label
            inputs[label].append(found[mine])
            outputs[label].append(deltas[mine])
    norms = [np.linalg.norm(part, axis=1) for parts in inputs.values() for part in parts]
    scale = _NORM / max(float(np.concatenate(norms).mean()), 1e-12) if norms else 1.0
    length = maps.detector.length
    kernel = np.zeros((length, len(inputs), 4), "float32")
    bias = np.zeros((len(inputs), 4), "float32")
    for label, parts in inputs.items():
        if parts:
            ridge = Ridge(_PENALTY).fit(
                np.concatenate(parts) * scale, np.concatenate(outputs[label])
            )
            kernel[:, label], bias[label] = ridge.coef_.T * scale, ridge.intercept_
    return kernel.reshape(length, -1), bias.reshape(-1)


def _chosen(maps: FeatureMapCache, seed: int) -> dict[int, tuple[np.ndarray, ...]]:
    """For each image windows that cover an object well, and which object."""
    places: dict[int, list[tuple[int, int, int]]] = {}
    for number in window_features.list_unmirrored(maps):
        example = maps.examples[number]
        if not len(example.objects):
            continue
        overlaps = boxes.box_iou(example.windows, example.objects)
        best = overlaps.argmax(axis=1)
        for window in np.flatnonzero(overlaps.max(axis=1) >= _OVERLAP).tolist():
            label = int(example.labels[best[window]])
            places.setdefault(label, []).append((number, window, int(best[window])))
    rng = np.random.default_rng(seed)
    chosen: dict[int, list[tuple[int, int]]] = {
        n: [] for n in window_features.list_unmirrored(maps)
    }
    for some in places.values():
        kept: Sequence[int] = range(len(some))
        if len(some) > _MOST:
            kept = sorted(rng.choice(len(some), _MOST, replace=False).tolist())
        for place in kept:
            number, window, object_ = some[place]
            chosen[number].append((window, object_))
    return {
        number: tuple(np.array(pairs, int).reshape(-1, 2).T) for number, pairs in chosen.items()
    }
