import math
import re

import numpy as np
import pytest

from spp_keras.report import curves


def places(chart):
    """Points of each curve, and height of each line across by its label."""
    drawn = [
        [tuple(map(float, point.split(","))) for point in points.split()]
        for points in re.findall(r'points="(.*?)"', chart)
    ]
    heights = re.findall(r'text-anchor="end">(.*?)<', chart)
    lines = re.findall(r'y1="(.*?)"', chart)
    return drawn, {float(value): float(y) for value, y in zip(heights, lines, strict=True)}


@pytest.mark.parametrize("logarithmic", [False, True])
def test_points_lie_where_the_labels_say(logarithmic):
    values = [0.9, 0.02, 0.31]
    points = list(zip((1, 2, 3), values, strict=True))
    drawn, heights = places(curves.chart("loss", [points, points[1:]], logarithmic))
    scale = math.log10 if logarithmic else float
    labels = sorted(heights)
    shown = np.interp(
        [y for _, y in drawn[0]],
        [heights[label] for label in reversed(labels)],
        [scale(label) for label in reversed(labels)],
    )
    np.testing.assert_allclose(shown, [scale(value) for value in values], atol=0.02)
    assert drawn[1] == drawn[0][1:]
    assert np.all(np.diff([x for x, _ in drawn[0]]) > 0)


@pytest.mark.parametrize(
    ("points", "logarithmic"),
    [([(1, 0.01)], True), ([(1, 0.5)], False), ([], False), ([(1, math.nan), (2, 3.0)], False)],
)
def test_one_epoch_and_what_is_no_number_do_no_harm(points, logarithmic):
    drawn, heights = places(curves.chart("loss", [points], logarithmic))
    assert len(drawn[0]) == sum(math.isfinite(y) for _, y in points)
    assert all(map(math.isfinite, heights.values()))


def test_a_constant_learning_rate_has_one_label():
    _, heights = places(curves.chart("rate", [[(1, 0.009999999776), (2, 0.009999999776)]], True))
    assert sorted(heights) == [0.01, 0.1]
