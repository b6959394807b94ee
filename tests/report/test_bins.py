import numpy as np
import oracles
import pytest

from spp_keras.layers import SpatialPyramidPooling
from spp_keras.report import pyramid_bins

LEVELS = [[(6, 6), (3, 3), (2, 2), (1, 1)], [(4, 3), (1, 5)], [(9, 12)]]


@pytest.mark.parametrize("levels", LEVELS, ids=str)
def test_the_windows_are_the_bins_of_the_paper(levels):
    expected = [
        (top, left, bottom, right) for top, bottom, left, right in oracles.grid_bins(7, 10, levels)
    ]
    assert list(map(tuple, pyramid_bins.windows(levels, 7, 10).tolist())) == expected


@pytest.mark.parametrize("levels", LEVELS, ids=str)
def test_a_maximum_came_from_the_first_cell_of_its_bin_that_has_it(levels, maps):
    values, cells = pyramid_bins.maxima(maps, levels)
    for number, (top, bottom, left, right) in enumerate(oracles.grid_bins(7, 10, levels)):
        for channel in range(maps.shape[2]):
            best = None
            for row in range(top, bottom):
                for column in range(left, right):
                    value = maps[row, column, channel]
                    if best is None or value > best[0]:
                        best = (value, row, column)
            assert (values[number, channel], *cells[number, channel]) == best


@pytest.mark.parametrize("levels", LEVELS, ids=str)
def test_the_maxima_are_what_the_pyramid_gives(levels, maps):
    pooled = np.array(SpatialPyramidPooling(levels)(maps[np.newaxis]))[0]
    np.testing.assert_array_equal(pyramid_bins.maxima(maps, levels)[0].ravel(), pooled)
