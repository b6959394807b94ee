import exif_files
import numpy as np
import pytest
import tensorflow as tf
from photographs import photograph

from spp_keras.data import orientations

PICTURE = photograph(30, 42)


@pytest.mark.parametrize("orientation", exif_files.ORIENTATIONS)
def test_pixels_windows_sizes_and_boxes_are_turned_alike(orientation):
    lying = np.asarray(exif_files.lying(PICTURE, orientation))
    result = orientations.turn_pixels(tf.constant(lying), orientation)
    np.testing.assert_array_equal(result, PICTURE)
    size = orientations.turn_size(list(lying.shape[:2]), orientation)
    assert tuple(size.numpy()) == (30, 42)

    top, left, height, width = 3, 5, 7, 19
    window = orientations.window_in_file([top, left, height, width], [30, 42], orientation)
    y, x, h, w = window.numpy()
    part = orientations.turn_pixels(tf.constant(lying[y : y + h, x : x + w]), orientation)
    np.testing.assert_array_equal(part, PICTURE[top : top + height, left : left + width])

    box = np.array([[y, x, y + h, x + w]]) / np.tile(lying.shape[:2], 2)
    expected = np.array([[top, left, top + height, left + width]]) / [30, 42, 30, 42]
    np.testing.assert_allclose(orientations.turn_boxes(box, orientation), expected)


def test_turn_boxes_of_no_boxes():
    assert orientations.turn_boxes(np.zeros((0, 4), "float32"), 6).shape == (0, 4)
