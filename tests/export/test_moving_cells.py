"""Files of models whose cells move with the size of the image, against the models."""

import keras
import moving_cells
import numpy as np
import oracles
import pytest
import small_detectors
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from small_detectors import check_equal, in_graph, picture, windows

from spp_keras import detection, export, zoo
from spp_keras.detection import heads
from spp_keras.export.tflite import classifier

pytestmark = pytest.mark.integration

SIZES = [(64, 90), (97, 61), (131, 71)]


@pytest.fixture(scope="module")
def detector():
    network = moving_cells.make_mobilenet(len(small_detectors.LABELS))
    head = heads.build_softmax_head(network, len(small_detectors.LABELS))
    for layer in head.layers:
        if layer.weights:
            layer.kernel.assign(layer.kernel * 30)
    rpn = detection.RegionProposalNetwork(4, anchor_sizes=(24, 48), max_proposals=20)
    return detection.Detector.from_network(
        network,
        heads.finalize_head(head),
        labels=small_detectors.LABELS,
        scales=(96, 129),
        input_size=64,
        rpn=rpn,
        max_detections=small_detectors.MAX_DETECTIONS,
        score_threshold=0.01,
    )


def test_pooled_vectors_are_those_of_loops(detector):
    for seed, size in enumerate(SIZES):
        image, (height, width) = picture(*size, seed), size
        boxes = windows(*size, 20, seed).clip(0, [width, height] * 2).astype("float32")
        boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
        feature_maps = detector.compute_feature_maps(tf.constant(image))
        vectors, rows = detector.pool_rois(feature_maps, tf.constant(boxes), tf.constant(size))
        for box, row in zip(boxes, rows.numpy(), strict=True):
            scaled = [detector.scale_image_size(size, scale).numpy() for scale in detector.scales]
            factors = [one / np.array(size) for one in scaled]
            area = np.prod(box[2:] - box[:2])
            scale = int(np.argmin([abs(area * np.prod(one) - 64**2) for one in factors]))
            feature_map = feature_maps[scale][0].numpy()
            window = oracles.window_of_box(
                box * np.tile(factors[scale][::-1], 2).astype("float32"),
                32,
                [moving_cells.first_center_of_mobilenet(n) for n in scaled[scale]],
                *feature_map.shape[:2],
            )
            expected = oracles.window_pyramid(feature_map, window, [(2, 2), (1, 1)], "max")
            np.testing.assert_allclose(vectors[row], expected, rtol=1e-5)


def test_a_detector_from_a_file_finds_the_same(detector, tmp_path):
    detector.save(tmp_path / "detector.keras")
    loaded = keras.models.load_model(tmp_path / "detector.keras")
    assert loaded.grid == detector.grid
    image = picture(*SIZES[1])
    check_equal(in_graph(loaded)(image), in_graph(detector)(image))


def test_an_exported_detector_finds_what_python_finds(detector, tmp_path):
    version = export.export_model(detector, tmp_path / "models" / "x")
    loaded = tf.saved_model.load(version)
    path = export.export_model(detector, tmp_path / "x.tflite")
    propose = Interpreter(str(path)).get_signature_runner()
    expect, expect_given = in_graph(detector), in_graph(detector, with_boxes=True)
    for seed, size in enumerate(SIZES[:2]):
        image, boxes = picture(*size, seed), windows(*size, 20, seed)
        images = tf.constant(image[None])
        expected = expect(image)
        assert expected["count"] > 2
        check_equal(first(loaded.signatures["serving_default"](images=images)), expected)
        check_equal(first(propose(images=image[None])), expected)
        expected = expect_given(image, boxes)
        assert expected["count"] > 2
        found = loaded.signatures["detect"](images=images, boxes=tf.constant(boxes[None]))
        check_equal(first(found), expected)


def first(detections):
    return {name: value[0] for name, value in detections.items()}


def test_a_classifier_for_boxes_has_the_scores_of_python(tmp_path):
    model = zoo.with_boxes(moving_cells.make_mobilenet(3))
    path = classifier.export_tflite(model, tmp_path / "x.tflite", labels=["a", "b", "c"])
    runner = Interpreter(str(path)).get_signature_runner()
    for seed, size in enumerate(SIZES):
        request = {
            "images": picture(*size, seed)[None],
            "boxes": np.array([[[0, 0, 60, 40], [9, 20, 70, 61]]], "float32"),
        }
        np.testing.assert_allclose(runner(**request)["scores"], model(request), atol=1e-4)
