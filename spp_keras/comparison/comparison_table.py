"""Results of a comparison as text."""

from collections.abc import Mapping
from typing import Any

from spp_keras.comparison import verdicts
from spp_keras.comparison.paired_intervals import Interval
from spp_keras.evaluation import result_format


def format_comparison(results: Mapping[str, Any]) -> str:
    """Formats results of `spp_keras.compare_size_policies` as Markdown.

    Example:

    >>> whole = {"form": "whole", "accuracy": 0.91, "interval": [0.88, 0.94], "views": 1}
    >>> difference = {"forms": ["whole", "warp"], "difference": 0.04, "interval": [0.01, 0.07]}
    >>> results = {
    ...     "rows": [{**whole, "cpu_seconds": 61.2}],
    ...     "differences": [{**difference, "verdict": "shown"}],
    ...     "sentence": "On photos/, ...",
    ...     "note": "In each form ...",
    ... }
    >>> print(format_comparison(results))
    | images | accuracy | 95% interval | views in test | CPU seconds |
    |---|---|---|---|---|
    | whole | 91.0% | 88.0 to 94.0 | 1 | 61 |
    <BLANKLINE>
    | difference | with 95% interval | verdict |
    |---|---|---|
    | whole - warp | +4.0 points [+1.0, +7.0] | shown |
    <BLANKLINE>
    On photos/, ...
    <BLANKLINE>
    In each form ...
    """
    forms = [
        [
            row["form"],
            f"{100 * row['accuracy']:.1f}%",
            " to ".join(f"{100 * end:.1f}" for end in row["interval"]),
            str(row["views"]),
            f"{row['cpu_seconds']:.0f}",
        ]
        for row in results["rows"]
    ]
    differences = [
        [
            " - ".join(row["forms"]),
            verdicts.format_points(Interval(row["difference"], *row["interval"])),
            row["verdict"],
        ]
        for row in results["differences"]
    ]
    header = ["images", "accuracy", "95% interval", "views in test", "CPU seconds"]
    parts = [
        result_format.format_markdown([header, *forms]),
        result_format.format_markdown(
            [["difference", "with 95% interval", "verdict"], *differences]
        ),
        results["sentence"],
        results["note"],
    ]
    return "\n\n".join(parts)
