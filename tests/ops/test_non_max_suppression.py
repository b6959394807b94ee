import numpy as np
import oracles
import pytest
import tensorflow as tf

from spp_keras import ops
from spp_keras.detection.detections import Detections


def random_boxes(count, seed):
    corners = np.random.default_rng(seed).integers(0, 12, (count, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1) + 1], axis=1).astype("float32")


@pytest.mark.parametrize("count", [0, 1, 40])
@pytest.mark.parametrize("iou_threshold", [0.0, 0.3, 0.7])
def test_nms_keeps_what_a_loop_keeps(count, iou_threshold):
    boxes = random_boxes(count, count)
    scores = np.random.default_rng(1).permutation(count).astype("float32") - 5
    expected = oracles.suppression(Detections(boxes, scores, np.zeros(count)), iou_threshold)
    indices, kept = ops.nms(tf.constant(boxes), tf.constant(scores), 50, iou_threshold)
    assert indices.numpy().tolist() == expected + [count] * (50 - len(expected))
    assert int(kept) == len(expected)


def test_nms_stops_at_max_detections():
    boxes = np.array([[0, 0, 1, 1], [2, 0, 3, 1], [4, 0, 5, 1]], "float32")
    indices, kept = ops.nms(tf.constant(boxes), tf.constant([0.1, 0.3, 0.2]), 2, 0.5)
    assert indices.numpy().tolist() == [1, 2]
    assert int(kept) == 2


def test_nms_removes_boxes_without_area():
    boxes = np.array([[0, 0, 0, 5], [2, 0, 3, 1]], "float32")
    indices, kept = ops.nms(tf.constant(boxes), tf.constant([0.9, 0.3]), 2, 0.5)
    assert indices.numpy().tolist() == [1, 2]
    assert int(kept) == 1
