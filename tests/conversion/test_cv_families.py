"""Backbones of keras-cv, built from settings, under `any_size` and `spp_classifier`."""

import any_size_cases as cases
import hub_families
import numpy as np
import pytest
from photographs import photograph

import spp_keras
from spp_keras.models.graph_run import find_entrance

pytest.importorskip("keras_cv", reason="of the extra `augment`")

pytestmark = pytest.mark.integration

FAMILIES = hub_families.make_cv_families()
NAMES = ("ResNetV2Backbone", "MobileNetV3Backbone", "DenseNetBackbone")


@pytest.mark.parametrize("name", NAMES)
def test_a_mixed_batch_equals_images_alone(name):
    model = hub_families.make_pyramid(FAMILIES[name]())
    converted = spp_keras.any_size(model)
    entrance = find_entrance(converted)
    heights, widths = (
        [side for side in range(60, 330) if cases.fits(entrance, axis, side)] for axis in (0, 1)
    )
    sizes = [(heights[0], widths[2]), (heights[2], widths[0]), (heights[1],) * 2]
    cases.randomize(model, side=heights[0])
    images = cases.make_images(sizes, pixels=cases.takes_pixels(model))
    assert max(cases.compare(model, converted, images, entrance.canvas_rules)) < 1e-5


def test_a_backbone_with_a_lambda_is_refused_by_the_name_of_the_layer():
    with pytest.raises(ValueError, match=r"'lambda.*' of class Lambda has no rule"):
        spp_keras.any_size(FAMILIES["CSPDarkNetBackbone"]())


@pytest.mark.parametrize("name", ["ResNetV2Backbone", "DenseNetBackbone"])
def test_a_classifier_on_it_takes_mixed_sizes(name):
    model = spp_keras.spp_classifier(FAMILIES[name](), classes=5, levels=(2, 1), units=(8,))
    model.layers[-1].kernel.assign(np.random.default_rng(0).normal(0, 3, (8, 5)))
    images = [photograph(height, width) for height, width in ((97, 64), (70, 131), (88, 88))]
    found = spp_keras.predict_images(model, images)
    alone = [np.asarray(model(image[np.newaxis].astype("float32")))[0] for image in images]
    assert np.ptp(alone, axis=0).max() > 1e-3
    np.testing.assert_allclose(found, alone, atol=1e-5)
