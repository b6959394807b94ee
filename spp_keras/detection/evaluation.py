"""What detectors find in the images of a split, for scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import _progress
from spp_keras.detection import boxes
from spp_keras.detection.detector import Detector
from spp_keras.detection.feature_cache import FeatureMapCache


def detect_images(
    detectors: Detector | Sequence[Detector],
    maps: FeatureMapCache | Sequence[FeatureMapCache],
    progress: bool = True,
) -> list[boxes.Detections]:
    """Detections in every example.

    Of several detectors the windows are scored by each, put together, and those
    that overlap suppressed at once: the paper's combination of models.

    Args:
        detectors: One, or several.
        maps: The maps of each, of the same examples.
        progress: Whether to show a bar. Defaults to `True`.

    Returns:
        `Detections` for each example, the best first.
    """
    detectors = [detectors] if isinstance(detectors, Detector) else list(detectors)
    maps = [maps] if isinstance(maps, FeatureMapCache) else list(maps)
    candidates = [_candidates(detector, one) for detector, one in zip(detectors, maps, strict=True)]
    best = tf.function(
        detectors[0].best,
        [
            tf.TensorSpec((None, 4)),
            tf.TensorSpec((None,)),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((2,), tf.int32),
        ],
        autograph=False,
    )
    found = []
    for number in _progress.create_bar(range(len(maps[0])), "Detecting", disable=not progress):
        parts = [of_one(number) for of_one in candidates]
        together = [tf.concat(part, axis=0) for part in zip(*parts, strict=True)]
        size = np.array(maps[0].examples[number].size, "int32")
        answer = {name: value.numpy() for name, value in best(*together, size).items()}
        count = answer["count"]
        found.append(
            boxes.Detections(*(answer[name][:count] for name in ("boxes", "scores", "classes")))
        )
    return found


def _candidates(detector: Detector, maps: FeatureMapCache) -> Any:
    call = tf.function(
        detector.candidates,
        [
            maps.specification(),
            tf.TensorSpec((None, 4)),
            tf.TensorSpec((2,), tf.int32),
        ],
        autograph=False,
    )

    def of_one(number: int) -> Any:
        example = maps.examples[number]
        return call(maps[number], example.windows, np.array(example.size, "int32"))

    return of_one
