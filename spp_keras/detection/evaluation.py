"""Detections in all images of a split, for `spp_keras.metrics`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import _progress
from spp_keras.detection.detections import Detections
from spp_keras.detection.detector import Detector
from spp_keras.detection.feature_cache import FeatureMapCache


def detect_images(
    detectors: Detector | Sequence[Detector],
    caches: FeatureMapCache | Sequence[FeatureMapCache],
    progress: bool = True,
) -> list[Detections]:
    """Detects objects in every image.

    The candidates of several detectors are merged before non-maximum suppression: the
    paper's combination of models.

    Args:
        detectors: A detector, or several.
        caches: The feature maps of each, of the same images.
        progress: Whether to show a progress bar. Defaults to `True`.

    Returns:
        The `Detections` in each image, the best first.
    """
    detectors = [detectors] if isinstance(detectors, Detector) else list(detectors)
    caches = [caches] if isinstance(caches, FeatureMapCache) else list(caches)
    candidate_functions = [
        make_candidate_function(detector, cache)
        for detector, cache in zip(detectors, caches, strict=True)
    ]
    select_detections = make_selection_function(detectors[0])
    images, results = caches[0].images, []
    for index in _progress.create_bar(range(len(images)), "Detecting", disable=not progress):
        candidates = [function(index) for function in candidate_functions]
        merged = [tf.concat(parts, axis=0) for parts in zip(*candidates, strict=True)]
        results.append(select_detections(*merged, images[index].size))
    return results


def make_candidate_function(detector: Detector, cache: FeatureMapCache) -> Callable[[int], Any]:
    """A function from an image's index to boxes, scores and classes of all its candidates."""
    predict_candidates = tf.function(
        detector.predict_candidates,
        [cache.tensor_specs(), tf.TensorSpec((None, 4)), tf.TensorSpec((2,), tf.int32)],
        autograph=False,
    )

    def predict_image(index: int) -> Any:
        image = cache.images[index]
        return predict_candidates(cache[index], image.rois, np.array(image.size, "int32"))

    return predict_image


def make_selection_function(detector: Detector) -> Callable[..., Detections]:
    """A function from boxes, scores and classes of candidates, and the image's size."""
    select_detections = tf.function(
        detector.select_detections,
        [
            tf.TensorSpec((None, 4)),
            tf.TensorSpec((None,)),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((2,), tf.int32),
        ],
        autograph=False,
    )

    def select(boxes: Any, scores: Any, classes: Any, image_size: tuple[int, int]) -> Detections:
        outputs = select_detections(boxes, scores, classes, np.array(image_size, "int32"))
        count = int(outputs["count"])
        return Detections(
            *(outputs[name].numpy()[:count] for name in ("boxes", "scores", "classes"))
        )

    return select
