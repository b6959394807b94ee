import hypothesis
import keras
import numpy as np
import oracles
from hypothesis import strategies as st

from spp_keras import ops


def random_boxes(count, seed):
    corners = np.random.default_rng(seed).integers(0, 12, (count, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype("float32")


def as_numpy(x):
    return keras.ops.convert_to_numpy(x)


@hypothesis.given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 1000))
def test_box_iou_of_every_pair(n, m, seed):
    boxes1, boxes2 = random_boxes(n, seed), random_boxes(m, seed + 1)
    expected = [[oracles.iou(x, y) for y in boxes2] for x in boxes1]
    iou = ops.box_iou(boxes1, boxes2)
    assert iou.dtype == np.float64
    np.testing.assert_allclose(iou, np.reshape(expected, (n, m)), atol=1e-12)


def test_decode_boxes_inverts_encode_boxes():
    anchors = np.array([[10, 20, 50, 100], [0, 0, 8, 8]], "float32")
    boxes = np.array([[12, 10, 72, 90], [1, 2, 9, 30]], "float32")
    deltas = as_numpy(ops.encode_boxes(anchors, boxes))
    # By hand: centers (30, 60) and (42, 50), sides (40, 80) and (60, 80).
    np.testing.assert_allclose(deltas[0], [12 / 40, -10 / 80, np.log(60 / 40), 0], atol=1e-6)
    np.testing.assert_allclose(as_numpy(ops.decode_boxes(anchors, deltas)), boxes, atol=1e-4)


def test_decode_boxes_gives_finite_boxes():
    deltas = np.full((1, 4), 1e3, "float32")
    box = as_numpy(ops.decode_boxes(np.array([[0, 0, 16, 16]], "float32"), deltas))
    assert np.isfinite(box).all()


def test_clip_boxes_cuts_at_the_border_of_the_image():
    box = as_numpy(ops.clip_boxes(np.array([[-5, 3, 25, 30]], "float32"), np.array([10, 20])))
    np.testing.assert_array_equal(box[0], [0, 3, 20, 10])
