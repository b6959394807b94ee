import numpy as np
import pytest
from scipy import stats

from spp_keras.comparison.paired_intervals import (
    fixed_test_interval,
    resampled_interval,
    student_quantile,
)

SEEDS = 5


def draw_values(spread, images=200):
    """Differences of two forms, images as rows of a seed."""
    rng = np.random.default_rng(0)
    shifts = rng.normal(0, spread, SEEDS)
    return [rng.choice([-1, 0, 1], images, p=[0.1 - s, 0.6, 0.3 + s]) for s in shifts]


@pytest.mark.parametrize("degrees", [1, 2, 4, 9, 100])
def test_quantiles_are_those_of_scipy(degrees):
    assert student_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-9)


def test_the_interval_is_that_of_nadeau_and_bengio():
    values = draw_values(spread=0.08)
    means = np.array([np.mean(of_seed) for of_seed in values])
    # As in their paper: the statistic of a mean that the interval just does not hold.
    scale = (1 / SEEDS + 200 / 600) * means.var(ddof=1)
    low, high = stats.t.interval(0.95, SEEDS - 1, loc=means.mean(), scale=np.sqrt(scale))
    assert resampled_interval(values, train_images=600) == pytest.approx((means.mean(), low, high))
    # A plain t-test would be far narrower.
    plain = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert high - low > 1.5 * (plain.high - plain.low)


def test_seeds_that_agree_by_chance_leave_what_drawing_images_leaves():
    of_seed = np.array([1] * 12 + [0] * 87 + [-1])
    rng = np.random.default_rng(0)
    interval = resampled_interval([rng.permutation(of_seed) for _ in range(SEEDS)], 300)
    variance = of_seed.var(ddof=1) / 100 * (1 - 100 / 400)
    half = stats.t.ppf(0.975, SEEDS - 1) * np.sqrt(variance * (1 / SEEDS + 100 / 300))
    assert interval == pytest.approx((0.11, 0.11 - half, 0.11 + half))


def test_results_that_are_the_same_differ_by_exactly_nothing():
    values = [np.zeros(20)] * SEEDS
    assert resampled_interval(values, train_images=60) == (0, 0, 0)
    assert fixed_test_interval(values) == (0, 0, 0)


def test_with_fixed_test_images_seeds_and_images_count():
    values = np.array(draw_values(spread=0.05), float)
    halves = []
    for axis in (0, 1):
        means = values.mean(axis=axis)
        low, high = stats.ttest_1samp(means, 0).confidence_interval(0.95)
        halves.append((high - low) / 2)
    half = np.hypot(*halves)
    mean = values.mean()
    assert fixed_test_interval(list(values)) == pytest.approx((mean, mean - half, mean + half))


@pytest.mark.integration
def test_intervals_hold_the_truth_as_often_as_they_say():
    """Two equally good classifiers on random splits: a difference is hardly ever found."""
    rng = np.random.default_rng(0)
    found = plain = 0
    for _ in range(300):
        # Whether each image is easy for one of them alone: the same in every split.
        images = rng.choice([-1, 0, 1], 100, p=[0.2, 0.6, 0.2])
        values = [images[rng.permutation(100)[:25]] for _ in range(SEEDS)]
        _, low, high = resampled_interval(values, train_images=75)
        found += low > 0 or high < 0
        plain += stats.ttest_1samp([v.mean() for v in values], 0).pvalue < 0.05
    assert found / 300 < 0.08
    assert plain > 2 * found
