"""Average precision by the two rules of PASCAL VOC, from a precision-recall curve."""

import numpy as np

from spp_keras import _checks

RULES = ("area", "11-point")


def area_under_curve(recall: np.ndarray, precision: np.ndarray) -> float:
    """The area under the curve, each precision raised to the highest at that recall or above.

    VOC's rule from 2010 on.

    Args:
        recall: `(n,)`, rising, the fraction of positives among the first 1, ..., n.
        precision: `(n,)`, the fraction of the first 1, ..., n that are positive.

    Example:

    >>> area_under_curve(np.array([0.5, 0.5, 1.0]), np.array([1.0, 1 / 2, 2 / 3]))
    0.8333333333333333
    """
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * highest))


def eleven_point_average(recall: np.ndarray, precision: np.ndarray) -> float:
    """The mean of the highest precision at a recall of 0, 0.1, ..., 1 or above.

    VOC's rule of 2007, and that of the tables of the SPP-net paper.

    Args:
        recall: As for `area_under_curve`. Quotients of ints, so that they equal k / 10
            where they should.
        precision: As for `area_under_curve`.

    Example:

    >>> round(eleven_point_average(np.array([0.5, 0.5, 1.0]), np.array([1.0, 1 / 2, 2 / 3])), 6)
    0.848485
    """
    return float(np.mean([precision[recall >= k / 10].max(initial=0.0) for k in range(11)]))


def check_rule(rule: str) -> str:
    """The name of a rule; raises a `ValueError` for any other."""
    return _checks.one_of(rule, RULES, "rule")
