"""R-CNN and the variants of detectors that the benchmarks measure."""

import importlib
from pathlib import Path

import keras
import numpy as np
import pytest
import scenes
from trained_detectors import HEAD_OPTIONS, make_detector, make_network

from spp_keras.data import records
from spp_keras.detection import compression, head_training, heads
from spp_keras.detection.training_images import TrainingImages
from spp_keras.metrics import evaluate_voc
from spp_keras.zoo import model_parts

pytestmark = pytest.mark.integration

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch):
    """Imports a module of the benchmarks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Training and validation images of small scenes."""
    root, rng = tmp_path_factory.mktemp("voc"), np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 6)):
        scenes.write_voc(root, split, [scenes.scene(rng) for _ in range(count)])
    loaded = [records.load_records(root, split) for split in ("train", "val")]
    return [
        TrainingImages(
            split,
            scenes.draw_proposals(split, np.random.default_rng(seed)),
            training=seed == 1,
        )
        for seed, split in enumerate(loaded, start=1)
    ]


def test_r_cnn_finds_the_objects(benchmarks, images, tmp_path):
    rcnn = benchmarks("rcnn")
    keras.utils.set_random_seed(3)
    detector, head = make_detector(make_network())
    features = rcnn.RegionFeatures(rcnn.RCNN(detector), images[0], tmp_path)
    head_training.train_head(head, features, tmp_path / "last.npz", **HEAD_OPTIONS)
    baseline = rcnn.RCNN(detector.replace(head=heads.finalize_head(head)))
    features = rcnn.RegionFeatures(baseline, images[1], tmp_path)
    detections = rcnn.detect_images(baseline, features, progress=False)
    loaded = images[1].records
    result = evaluate_voc(detections, loaded.objects, loaded.sizes, loaded.classes)
    assert result.mean > 0.6


def test_detect_of_r_cnn_agrees_with_its_cached_vectors(benchmarks, images, tmp_path):
    rcnn = benchmarks("rcnn")
    detector, _ = make_detector(make_network(), score_threshold=0.0, max_detections=5)
    baseline = rcnn.RCNN(detector)
    features = rcnn.RegionFeatures(baseline, images[1], tmp_path)
    expected = rcnn.detect_images(baseline, features, progress=False)[0]
    outputs = baseline.detect(images[1].read_pixels(0).astype("float32"), images[1][0].rois)
    np.testing.assert_allclose(outputs["scores"], expected.scores, rtol=1e-2)


def test_vectors_of_warped_rois_are_those_of_the_network(benchmarks, images, tmp_path):
    rcnn = benchmarks("rcnn")
    network = make_network()
    parts = model_parts.split_model(network)
    detector, _ = make_detector(network, input_size=64)
    features = rcnn.RegionFeatures(rcnn.RCNN(detector), images[0], tmp_path)
    rois = images[0][0].rois
    vectors = features(0)
    assert len(vectors) == len(rois)
    pixels = images[0].read_pixels(0).astype("float32")
    for index in (0, 7):
        # By another way: enlarged by sixteen pixels of 224 on each side, then resized.
        pooled = parts.pooling(parts.trunk(warp_by_loops(pixels, rois[index], 64)[np.newaxis]))
        np.testing.assert_allclose(vectors[index], pooled[0], rtol=2e-2, atol=2e-3)


def warp_by_loops(pixels, box, size):
    """Bilinear samples at the centers of the warped RoI's pixels, gray outside."""
    left, top, right, bottom = box
    margins = [(16 / 192) * (right - left), (16 / 192) * (bottom - top)]
    xs = left - margins[0] + (np.arange(size) + 0.5) * (right - left + 2 * margins[0]) / size - 0.5
    ys = top - margins[1] + (np.arange(size) + 0.5) * (bottom - top + 2 * margins[1]) / size - 0.5
    height, width = pixels.shape[:2]
    warped = np.full((size, size, 3), 128, "float32")
    for row, y in enumerate(ys):
        for column, x in enumerate(xs):
            if 0 <= y <= height - 1 and 0 <= x <= width - 1:
                i, j = min(int(y), height - 2), min(int(x), width - 2)
                part = pixels[i : i + 2, j : j + 2]
                down, across = np.array([1 - y + i, y - i]), np.array([1 - x + j, x - j])
                warped[row, column] = np.einsum("i,j,ijc->c", down, across, part)
    return warped


def test_bfloat16_gives_nearly_the_same_scores(benchmarks, images):
    variants = benchmarks("detector_variants")
    keras.utils.set_random_seed(3)
    detector, _ = make_detector(make_network())
    short = variants.cast_to_bfloat16(detector)
    assert short.trunk.output.dtype == short.roi_spp.compute_dtype == "bfloat16"
    image, pixels = images[1][0], images[1].read_pixels(0).astype("float32")
    outputs = []
    for variant in (short, detector):
        feature_maps = variant.compute_feature_maps(pixels)
        vectors, rows = variant.pool_rois(feature_maps, image.rois, np.array(image.size, "int32"))
        scores, deltas = variant.predict_rois(vectors)
        assert scores.dtype == "float32"
        outputs.append((np.asarray(scores)[rows], np.asarray(deltas)[rows]))
    np.testing.assert_allclose(*(scores for scores, _ in outputs), atol=0.1)
    np.testing.assert_allclose(*(deltas for _, deltas in outputs), atol=0.05)
    thin = variants.cast_to_bfloat16(compression.truncate_dense(detector, (64,)))
    detections = thin((images[1].read_pixels(0)[np.newaxis], image.rois[np.newaxis]))
    assert detections["scores"].dtype == "float32"
    assert int(detections["count"][0]) > 0


def test_remove_box_regression_keeps_the_scores(benchmarks):
    variants = benchmarks("detector_variants")
    detector, _ = make_detector(make_network())
    vectors = np.random.default_rng(0).normal(size=(7, detector.vector_length)).astype("float32")
    scores, deltas = detector.replace(
        head=variants.remove_box_regression(detector.head)
    ).predict_rois(vectors)
    assert deltas is None
    np.testing.assert_allclose(scores, detector.predict_rois(vectors)[0])
