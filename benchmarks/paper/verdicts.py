"""Means and standard errors over seeds, and what they say of the paper's claims."""

import statistics
from collections.abc import Sequence
from typing import Any

from scipy import stats

# Of the interval of a mean difference, which decides.
_CONFIDENCE = 0.95


def values(rows: Sequence[dict[str, Any]], key: str, **which: Any) -> list[float]:
    """What rows have under a key, those that agree with all the others given.

    Example:

    >>> values([{"seed": 0, "error": 40.0}, {"seed": 1, "error": 42.0}], "error", seed=1)
    [42.0]
    """
    return [
        row[key] for row in rows if all(row.get(name) == value for name, value in which.items())
    ]


def gains(higher: Sequence[float], lower: Sequence[float]) -> list[float]:
    """By how much each is above its twin of the same seed.

    Example:

    >>> gains([42.0, 44.0], [40.0, 45.0])
    [2.0, -1.0]
    """
    return [one - other for one, other in zip(higher, lower, strict=True)]


def cell(values: Sequence[float], digits: int = 1) -> str:
    """Mean and standard error.

    Example:

    >>> cell([40.0, 42.0, 44.0])
    '42.0 ± 1.2'
    """
    return " ± ".join(f"{number:.{digits}f}" for number in mean(values))


def mean(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error.

    Example:

    >>> mean([40.0, 42.0, 44.0])
    (42.0, 1.1547005383792515)
    """
    return statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5


def interval(gains: Sequence[float]) -> tuple[float, float]:
    """Where the mean lies with 95% confidence, by Student's t."""
    middle, error = mean(gains)
    half = stats.t.ppf((1 + _CONFIDENCE) / 2, len(gains) - 1) * error
    return middle - half, middle + half


def together(every: Sequence[Sequence[float]]) -> list[float]:
    """Gains of several networks as one, seed by seed.

    Example:

    >>> together([[1.0, 2.0], [3.0, 6.0]])
    [2.0, 4.0]
    """
    return [statistics.mean(of_seed) for of_seed in zip(*every, strict=True)]


def verdict(claim: str, gains: Sequence[float]) -> str:
    """A line of a list: the claim, whether it is shown here, and by what figures.

    Shown where the 95% interval of the mean gain, by Student's t over the seeds, lies
    above 0; contradicted where it lies below; else not shown.

    Args:
        claim: A sentence without its full stop.
        gains: Of each seed, in points, above 0 where it agrees with the claim.
    """
    low, high = interval(gains)
    word = "shown" if low > 0 else "contradicted" if high < 0 else "not shown"
    figures = f"{statistics.mean(gains):+.1f} points, 95% interval {low:+.1f} to {high:+.1f}"
    return f"- **{word}**: {claim}: {figures} ({len(gains)} seeds)."
