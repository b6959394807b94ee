"""Backbones of keras-hub: subclassed functional models, of layers that have to be opened."""

import any_size_cases as cases
import hub_families
import numpy as np
import pytest

from spp_keras import any_size
from spp_keras.models.graph_run import find_entrance

pytestmark = pytest.mark.integration

FAMILIES = hub_families.make_hub_families()
REFUSED = {
    "MobileNetV5Backbone, fusion": "'msfa' of class MobileNetV5MultiScaleFusionAdapter has",
    "DeepLabV3Backbone": "'concatenate' concatenates a map with what is no map.*'spatial_pyramid_p",
    "BASNetBackbone": "'up_sampling2d.*' interpolates between cells",
    "MiTBackbone": "has no rule",
    "SwinTransformerBackbone": "'reshape' reshapes a map",
    "ViTBackbone": "has no rule",
}


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - set(REFUSED)))
def test_backbones_at_sizes_that_they_take(name):
    model = hub_families.make_pyramid(FAMILIES[name]())
    converted = any_size(model)
    entrance = find_entrance(converted)
    heights, widths = (
        [side for side in range(60, 200) if cases.fits(entrance, axis, side)] for axis in (0, 1)
    )
    sizes = [(heights[0], widths[9]), (heights[7], widths[0]), (heights[3],) * 2]
    cases.randomize(model, side=heights[0])
    images = cases.make_images([*sizes, (heights[10], widths[5])], pixels=cases.takes_pixels(model))

    assert max(cases.compare(model, converted, images, entrance.canvas_rules)) < 1e-5
    assert min(entrance.canvas_rules.footprint(224, 224)) <= 320

    dense = images[0][np.newaxis]
    for found, expected in zip(
        *(cases._flatten(x(dense)) for x in (converted, model)), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", REFUSED)
def test_other_backbones_are_refused_by_the_name_of_a_layer(name):
    with pytest.raises(ValueError, match=REFUSED[name]):
        any_size(FAMILIES[name]())
