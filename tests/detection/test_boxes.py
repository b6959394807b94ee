import hypothesis
import numpy as np
import oracles
import pytest
from hypothesis import strategies as st

from spp_keras.data.sources import Objects
from spp_keras.detection import box_coding, boxes


def some_boxes(count, seed):
    corners = np.random.default_rng(seed).integers(0, 12, (count, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype("float32")


@hypothesis.given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 1000))
def test_iou_of_every_pair(n, m, seed):
    a, b = some_boxes(n, seed), some_boxes(m, seed + 1)
    expected = [[oracles.iou(x, y) for y in b] for x in a]
    np.testing.assert_allclose(boxes.box_iou(a, b), np.reshape(expected, (n, m)), atol=1e-12)


def test_boxes_of_a_record_are_in_pixels():
    objects = Objects(np.array([[0.1, 0.2, 0.5, 1.0]]), np.array([3]), np.array([False]))
    np.testing.assert_allclose(boxes.object_boxes(objects, (50, 200)), [[40, 5, 200, 25]])


def test_corrections_make_the_object_of_the_window():
    windows = np.array([[10, 20, 50, 100], [0, 0, 8, 8]], "float32")
    objects = np.array([[12, 10, 72, 90], [1, 2, 9, 30]], "float32")
    deltas = box_coding.encode_boxes(windows, objects)
    # By hand: centers (30, 60) and (42, 50), sides (40, 80) and (60, 80).
    np.testing.assert_allclose(deltas[0], [12 / 40, -10 / 80, np.log(60 / 40), 0], atol=1e-6)
    np.testing.assert_allclose(box_coding.decode_boxes(windows, deltas), objects, atol=1e-4)


def test_no_correction_makes_a_box_infinite():
    box = box_coding.decode_boxes(
        np.array([[0, 0, 16, 16]], "float32"), np.full((1, 4), 1e3, "float32")
    )
    assert np.isfinite(box).all()


@pytest.mark.parametrize(("size", "expected"), [((10, 20), [0, 3, 20, 10])])
def test_boxes_are_cut_off_at_the_border(size, expected):
    box = box_coding.clip_boxes(np.array([[-5, 3, 25, 30]], "float32"), np.array(size))
    np.testing.assert_array_equal(box[0], expected)
