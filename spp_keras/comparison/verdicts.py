"""What intervals say of a claim, in words."""

from collections.abc import Sequence

from spp_keras.comparison.paired_intervals import Interval

SHOWN, NOT_SHOWN, OTHER_WAY = "shown", "not shown", "shown the other way"
CANNOT = "cannot be judged here"
# With fewer, one image more or less decides.
MIN_TEST_IMAGES = 5


def judge(interval: Interval, images_per_class: float) -> str:
    """The verdict on the claim that a difference is above 0.

    Args:
        interval: Of the difference.
        images_per_class: Test images of a class, on average.

    Example:

    >>> judge(Interval(2.0, 1.0, 3.0), 20), judge(Interval(2.0, 1.0, 3.0), 4.5)
    ('shown', 'cannot be judged here')
    """
    if images_per_class < MIN_TEST_IMAGES:
        return CANNOT
    if interval.low > 0:
        return SHOWN
    return OTHER_WAY if interval.high < 0 else NOT_SHOWN


def describe_difference(verdict: str, interval: Interval, form: str, other: str) -> str:
    """A clause on a difference in accuracy.

    Args:
        verdict: The verdict, not `CANNOT`.
        interval: Of the difference, as a fraction.
        form: Adjective of the images that the claim says are better.
        other: Of those that they are compared with.

    Example:

    >>> describe_difference(SHOWN, Interval(0.041, 0.012, 0.07), "whole", "warped")
    'whole images are classified better than warped ones: +4.1 points [+1.2, +7.0]'
    """
    if verdict == OTHER_WAY:
        interval = Interval(-interval.mean, -interval.high, -interval.low)
        return describe_difference(SHOWN, interval, other, form)
    figures = format_points(interval)
    if verdict == SHOWN:
        return f"{form} images are classified better than {other} ones: {figures}"
    return f"no difference between {form} and {other} images could be shown: {figures}"


def summarize(
    data: str, verdicts: Sequence[str], intervals: Sequence[Interval], images_per_class: float
) -> str:
    """The sentence that answers how images should be resized.

    Args:
        data: The data.
        verdicts: On whole images against warped ones and against cropped ones.
        intervals: Of these differences.
        images_per_class: Test images of a class, on average.

    Example:

    >>> summarize("photos/", [CANNOT] * 2, [Interval(0, 0, 0)] * 2, 4.0).partition(": ")[2]
    'there are 4.0 test images of a class, and 5 are needed.'
    """
    if images_per_class < MIN_TEST_IMAGES:
        return (
            f"On {data}, it cannot be judged whether whole, cropped or warped images are "
            f"classified better: there are {images_per_class:.1f} test images of a class, and "
            f"{MIN_TEST_IMAGES} are needed."
        )
    clauses = [
        describe_difference(verdict, interval, "whole", other)
        for verdict, interval, other in zip(verdicts, intervals, ("warped", "cropped"), strict=True)
    ]
    return f"On {data}, {'; '.join(clauses)}."


def format_points(interval: Interval) -> str:
    """A difference in percentage points with its interval.

    Example:

    >>> format_points(Interval(0.041, 0.0003, 0.0817)), format_points(Interval(0.0, -0.0, 0.0))
    ('+4.1 points [+0.03, +8.17]', '0.0 points [0.0, 0.0]')
    """
    points = [100 * value for value in interval]
    # An end that rounds to 0 would not tell on which side of it it lies.
    ends = [end for end in points[1:] if end]
    digits = next((n for n in (1, 2) if all(round(end, n) for end in ends)), 3)
    low, high = (_sign(end, digits) for end in points[1:])
    return f"{_sign(points[0], 1)} points [{low}, {high}]"


def _sign(points: float, digits: int) -> str:
    rounded = round(points, digits) + 0.0
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"
