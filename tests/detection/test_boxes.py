import numpy as np

from spp_keras.data.sources import Objects
from spp_keras.detection import boxes


def test_boxes_of_a_record_are_in_pixels():
    objects = Objects(np.array([[0.1, 0.2, 0.5, 1.0]]), np.array([3]), np.array([False]))
    np.testing.assert_allclose(boxes.object_boxes(objects, (50, 200)), [[40, 5, 200, 25]])
