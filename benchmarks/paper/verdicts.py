"""Means and standard errors over seeds, and what they say of a claim; all tables use `judge`."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from scipy import stats

SHOWN, NOT_SHOWN, OTHER_WAY = "shown", "not shown", "shown the other way"
CANNOT = "cannot be judged here"
WORDS = (SHOWN, NOT_SHOWN, OTHER_WAY, CANNOT)

# Of the interval of a mean difference, which decides.
_CONFIDENCE = 0.95


class Verdict(NamedTuple):
    """What differences of pairs say of a claim.

    Args:
        word: One of `WORDS`.
        mean: Mean difference in points, above 0 where it agrees with the claim; `None` where
            it cannot be judged, as are the next two.
        low: Lower end of its 95% interval.
        high: Upper end.
        seeds: How many pairs.
        why: Why it cannot be judged.
    """

    word: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    why: str = ""


class Claim(NamedTuple):
    """A sentence and what became of it.

    Args:
        text: The sentence, without its full stop.
        verdict: The verdict.
        level: 1 where it is a part of the claim above it.
        note: What else there is to say of its figures, such as those of each pair.
    """

    text: str
    verdict: Verdict
    level: int = 0
    note: str = ""


def judge(gains: Sequence[float], *, within: float | None = None) -> Verdict:
    """Whether a claim is shown, by the 95% interval of the mean gain, Student's t over the seeds.

    Shown where the interval lies above 0, shown the other way where it lies below, else not
    shown. With fewer than two seeds there is no interval.

    Args:
        gains: Of each seed, in points, above 0 where it agrees with the claim.
        within: Where the claim is that there is no difference: how many points still count
            as none. Shown where the interval lies between this and its negative, shown the
            other way where it lies beyond either. Defaults to `None`.

    Example:

    >>> judge([1.0, 1.2, 0.8]).word, judge([0.1, -0.1, 0.0], within=0.5).word
    ('shown', 'shown')
    """
    if len(gains) < 2:
        return cannot_judge("there are fewer than two seeds")
    low, high = interval(gains)
    if within is None:
        shown, other_way = low > 0, high < 0
    else:
        shown, other_way = -within < low and high < within, low > within or high < -within
    word = SHOWN if shown else OTHER_WAY if other_way else NOT_SHOWN
    return Verdict(word, statistics.mean(gains), low, high, len(gains))


def cannot_judge(why: str) -> Verdict:
    """That an experiment cannot tell, and why."""
    return Verdict(CANNOT, why=why)


def headline(verdict: Verdict) -> str:
    """The word, with the reason where a claim cannot be judged.

    Example:

    >>> headline(cannot_judge("the pairs are not independent"))
    'cannot be judged here: the pairs are not independent'
    """
    return f"{verdict.word}: {verdict.why}" if verdict.why else verdict.word


def figures(verdict: Verdict) -> str:
    """Mean, interval and number of seeds; nothing where a claim cannot be judged.

    Example:

    >>> figures(judge([1.0, 1.2, 0.8]))
    '+1.0 points, 95% interval +0.5 to +1.5 (3 seeds)'
    """
    if verdict.mean is None or verdict.low is None or verdict.high is None:
        return ""
    ends = verdict.low, verdict.high
    # An end that rounds to 0 would not tell on which side of it it lies.
    digits = next((n for n in (1, 2) if all(round(end, n) for end in ends)), 3)
    low, high = (signed(end, digits) for end in ends)
    return f"{signed(verdict.mean)} points, 95% interval {low} to {high} ({verdict.seeds} seeds)"


def signed(points: float, digits: int = 1) -> str:
    """Points with their sign.

    Example:

    >>> signed(2.04), signed(-0.04)
    ('+2.0', '+0.0')
    """
    return f"{round(points, digits) + 0.0:+.{digits}f}"


def line(claim: Claim) -> str:
    """A claim as a line of a list in Markdown.

    Example:

    >>> line(Claim("more is better", judge([1.0, 1.2, 0.8])))
    '- **shown**: more is better: +1.0 points, 95% interval +0.5 to +1.5 (3 seeds).'
    """
    said = [part for part in (claim.text, figures(claim.verdict), claim.note) if part]
    return f"{'  ' * claim.level}- **{headline(claim.verdict)}**: {': '.join(said)}."


def values(rows: Sequence[dict[str, Any]], key: str, **which: Any) -> list[float]:
    """What rows have under a key, those that agree with all the others given.

    Example:

    >>> values([{"seed": 0, "error": 40.0}, {"seed": 1, "error": 42.0}], "error", seed=1)
    [42.0]
    """
    return [
        row[key] for row in rows if all(row.get(name) == value for name, value in which.items())
    ]


def count_seeds(rows: Sequence[dict[str, Any]]) -> int:
    """Of how many seeds there are rows.

    Example:

    >>> count_seeds([{"seed": 0}, {"seed": 0}, {"seed": 1}])
    2
    """
    return len({row["seed"] for row in rows if "seed" in row})


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

    >>> mean([40.0, 44.0])
    (42.0, 2.0)
    """
    return statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5


def interval(gains: Sequence[float]) -> tuple[float, float]:
    """Where the mean lies with 95% confidence, by Student's t."""
    middle, error = mean(gains)
    half = float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(gains) - 1)) * error
    return middle - half, middle + half


def together(every: Sequence[Sequence[float]]) -> list[float]:
    """Gains of several networks as one, seed by seed.

    Example:

    >>> together([[1.0, 2.0], [3.0, 6.0]])
    [2.0, 4.0]
    """
    return [statistics.mean(of_seed) for of_seed in zip(*every, strict=True)]
