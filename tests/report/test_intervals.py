import math

import numpy as np
import pytest
from scipy import stats

from spp_keras.report import intervals


@pytest.mark.parametrize(("right", "images"), [(0, 10), (412, 600), (10, 10), (1, 1), (33, 50_000)])
def test_wilsons_interval_is_the_literal_formula(right, images):
    z, p, n = stats.norm.ppf(0.975), right / images, images
    ends = [
        (p + z**2 / (2 * n) + sign * z * math.sqrt((p * (1 - p) + z**2 / (4 * n)) / n))
        / (1 + z**2 / n)
        for sign in (-1, 1)
    ]
    assert intervals.wilson(right, images) == pytest.approx(ends, abs=1e-12)
    by_scipy = stats.binomtest(right, images).proportion_ci(method="wilson")
    assert intervals.wilson(right, images) == pytest.approx(tuple(by_scipy), abs=1e-12)


def test_a_bootstrap_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = intervals.bootstrap(lambda numbers: values[numbers].mean(), 400, draws=2000)
    reach = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.03)
    again = intervals.bootstrap(lambda numbers: values[numbers].mean(), 400, draws=2000)
    assert again == (low, high)


def test_a_standard_error_is_that_of_scipy():
    values = [0.61, 0.68, 0.66]
    assert intervals.standard_error(values) == pytest.approx(stats.sem(values))
