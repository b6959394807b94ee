import numpy as np
import pytest
from made_up_records import make_records
from sklearn.utils.class_weight import compute_sample_weight

from spp_keras.data import class_weights

LABELS = np.repeat([0, 1, 3], (7, 2, 1))


def test_weights_are_those_of_scikit_learn():
    records = make_records(LABELS, classes=("a", "b", "none", "c"))
    weights = class_weights.weigh_images(records, "balanced")
    np.testing.assert_allclose(weights, compute_sample_weight("balanced", LABELS), rtol=1e-6)
    assert class_weights.weigh_images(records, None) is None


def test_other_words_and_images_of_several_classes_are_refused():
    with pytest.raises(ValueError, match="`class_weight` must be"):
        class_weights.weigh_images(make_records(LABELS), "even")
    with pytest.raises(ValueError, match="`class_weight` must be None for images that may have"):
        class_weights.weigh_images(make_records(np.eye(3)), "balanced")
