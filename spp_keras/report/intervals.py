"""How far a measured number may be from the true one."""

import math
from collections.abc import Callable, Sequence

import numpy as np

# Of a normal distribution 95% lie so many deviations from its middle, or nearer.
_DEVIATIONS = 1.959963984540054


def wilson(right: int, images: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share.

    It stays within 0 and 1 and holds for few images and for shares near the ends,
    where the share plus and minus two deviations does not.

    Args:
        right: How many images count.
        images: Of how many.

    Example:

    >>> low, high = wilson(0, 10)
    >>> round(low, 4), round(high, 4)
    (0.0, 0.2775)
    """
    share, squared = right / images, _DEVIATIONS**2
    middle = (share + squared / (2 * images)) / (1 + squared / images)
    inside = share * (1 - share) / images + squared / (4 * images**2)
    reach = _DEVIATIONS * math.sqrt(inside) / (1 + squared / images)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def bootstrap(
    measure: Callable[[np.ndarray], float], images: int, draws: int = 200, seed: int = 0
) -> tuple[float, float]:
    """95% interval of what is measured on images: between percentiles over draws of as many.

    Args:
        measure: From numbers of images, some of them several times, to the measure.
        images: How many there are.
        draws: How often they are generator. Defaults to 200.
        seed: Of the draws. Defaults to 0.
    """
    generator = np.random.default_rng(seed)
    measured = [measure(generator.integers(0, images, images)) for _ in range(draws)]
    low, high = np.percentile(measured, (2.5, 97.5))
    return float(low), float(high)


def standard_error(values: Sequence[float]) -> float:
    """Standard error of the mean of several runs.

    Example:

    >>> round(standard_error([0.6, 0.7, 0.8]), 4)
    0.0577
    """
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))
