"""Random networks from the layers that have rules, held against images alone.

In float64, so that no small fault hides behind rounding. Keras itself computes layer and group
normalizations to seven digits.
"""

import any_size_cases as cases
import keras
import pytest
import random_networks
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from spp_keras import any_size
from spp_keras.models.graph_run import find_entrance

TOLERANCE = 3e-6
SIDES = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), min_size=4, max_size=4)
SETTINGS = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
}


@pytest.fixture(autouse=True, scope="module")
def double_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


@settings(max_examples=12, **SETTINGS)
@given(random_networks.networks(), SIDES)
def test_answers_are_those_of_images_alone(network, sides):
    check(cases.compare, network, sides)


@pytest.mark.integration
@settings(max_examples=50, **SETTINGS)
@given(random_networks.networks(most=9), SIDES)
def test_answers_of_many_networks_are_those_of_images_alone(network, sides):
    check(cases.compare, network, sides)


@pytest.mark.integration
@settings(max_examples=25, **SETTINGS)
@given(random_networks.networks(), SIDES)
def test_gradients_are_sums_of_those_of_images_alone(network, sides):
    assume(not network.skips_cells())
    check(cases.compare_gradients, network, sides)


def check(compare, plan, sides):
    network = plan.build()
    converted = any_size(network)
    entrance = find_entrance(converted)
    heights, widths = (find_sides(entrance, axis) for axis in (0, 1))
    assume(min(len(heights), len(widths)) > 2)
    sizes = [(heights[a % len(heights)], widths[b % len(widths)]) for a, b in sides]
    cases.randomize(network, side=(heights[-1], widths[-1]))
    images = cases.make_images(sizes, random_networks.CHANNELS)
    images = [image.astype("float64") for image in images]
    note(f"{sizes}, {entrance.canvas_rules}")

    assert max(compare(network, converted, images, entrance.canvas_rules)) < TOLERANCE


def find_sides(entrance, axis):
    """Heights or widths of images for which all layers that merge maps get equal ones."""
    sides = range(entrance.min_size, entrance.min_size + 60)
    return [side for side in sides if cases.fits(entrance, axis, side)][:26]
