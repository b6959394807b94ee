import keras
import numpy as np
import oracles
import pytest
from trained_detectors import make_detector, make_network

from spp_keras.detection import Detections, evaluation, heads
from spp_keras.detection.feature_cache import FeatureMapCache


@pytest.fixture(scope="module")
def other(validation_images, tmp_path_factory):
    """A detector of another network at another scale, with random weights, and its cache."""
    keras.utils.set_random_seed(7)
    detector, head = make_detector(make_network(width=0.02), scales=(90,))
    rng = np.random.default_rng(7)
    layers = [
        layer._replace(kernel=rng.normal(0, 3 / len(layer.kernel) ** 0.5, layer.kernel.shape))
        if layer.name == "probabilities"
        else layer
        for layer in heads.get_dense_layers(heads.finalize_head(head))
    ]
    detector = detector.replace(head=heads.build_head(layers))
    return detector, FeatureMapCache(detector, validation_images, tmp_path_factory.mktemp("other"))


@pytest.mark.integration
def test_candidates_of_two_detectors_are_suppressed_together(trained, validation_cache, other):
    detectors, caches = [trained.detector, other[0]], [validation_cache, other[1]]
    # At this threshold nothing but duplicates is suppressed: all candidates of each, alone.
    every = [
        evaluation.detect_images(
            detector.replace(iou_threshold=0.9999, max_detections=1000), cache, progress=False
        )
        for detector, cache in zip(detectors, caches, strict=True)
    ]
    detections = evaluation.detect_images(detectors, caches, progress=False)
    counts = [0, 0]
    for index, image in enumerate(detections):
        first, second = every[0][index], every[1][index]
        union = Detections(
            *(np.concatenate(parts) for parts in zip(first[:3], second[:3], strict=True))
        )
        kept = oracles.suppression(union, 0.3)[:100]
        for part, expected in zip(image[:3], union[:3], strict=True):
            np.testing.assert_array_equal(part, expected[kept])
        counts[0] += sum(i < len(first.scores) for i in kept)
        counts[1] += sum(i >= len(first.scores) for i in kept)
    assert min(counts) > 5
