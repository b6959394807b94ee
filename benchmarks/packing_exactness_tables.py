"""The results of `packing_exactness.py` as Markdown: a function of what is in its JSON file."""

import statistics
from collections import Counter
from typing import Any

import machines

# Largest differences over largest values that are admitted.
ANSWERS, GRADIENTS = 1e-5, 1e-4
# What differs by more in float32 must be equal to so much in float64: it was rounding.
DOUBLE = 1e-9
# How many times as far from float32 a packed batch may be as images alone, in mixed_bfloat16.
HALF = 1.5
MEASURED = ("answers", "gradients")


def markdown(results: dict[str, Any]) -> str:
    """A table of all networks, and what and where it was measured."""
    machine, rows = results["machine"], results["rows"]
    half = max(_half_ratio(row, name) for row in rows for name in MEASURED)
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        _describe_batches(rows),
        "",
        "| | batches | images | answers: median | worst | gradients: median | worst |",
        "|---|---|---|---|---|---|---|",
        *map(describe_row, rows),
        *_describe_double(rows),
        "",
        "In `mixed_bfloat16`, the root mean square of the distance from the images alone in "
        "float32, as a share of their values, of packed batches and of the images alone; and the "
        "distance of the two from each other. Packed batches are at most "
        f"{half:.2f} times as far from float32 as the images alone.",
        "",
        "| | batches | answers: packed | alone | apart | gradients: packed | alone | apart |",
        "|---|---|---|---|---|---|---|---|",
        *map(_describe_half, rows),
    ]
    return "\n".join(lines) + "\n"


def _describe_batches(rows: list[dict[str, Any]]) -> str:
    batches = sum(len(row["kinds"]) for row in rows)
    images = sum(sum(row["images"]) for row in rows)
    kinds = Counter(kind for row in rows for kind in row["kinds"])
    failing = [row["name"] for row in rows if not holds(row)]
    verdict = f"{' and '.join(failing)} differ by more" if failing else _list_within(rows)
    return (
        f"{batches:,} random ragged batches with {images:,} images, packed on canvases in the "
        "graph, against each image alone: "
        f"{', '.join(f'{number:,} {kind}' for kind, number in kinds.most_common())}. The largest "
        "difference over the largest value, of answers in inference and of the gradient of every "
        "weight, summed over the images alone. Weights are random. Answers may differ by "
        f"{ANSWERS:.0e}, gradients by {GRADIENTS:.0e}. {verdict}."
    )


def _list_within(rows: list[dict[str, Any]]) -> str:
    beyond = sum(len(row["double"]) for row in rows)
    if not beyond:
        return "All batches hold them"
    return f"All batches hold them but {beyond}, by rounding alone"


def describe_row(row: dict[str, Any]) -> str:
    """A line of the table."""
    cells = [row["name"], f"{len(row['kinds']):,}", f"{sum(row['images']):,}"]
    for name in MEASURED:
        cells += [f"{statistics.median(row[name]):.0e}", f"{max(row[name]):.0e}"]
    return f"| {' | '.join(cells)} |"


def _describe_half(row: dict[str, Any]) -> str:
    cells = [row["name"], f"{row['half']['batches']}"]
    for name in MEASURED:
        cells += [f"{row['half'][name][key]:.2%}" for key in ("packed", "alone", "apart")]
    return f"| {' | '.join(cells)} |"


def holds(row: dict[str, Any]) -> bool:
    """Whether a network differs by no more than it may, but for rounding in float32."""
    return (
        max(row["answers"]) <= ANSWERS
        and all(max(found["answers"], found["gradients"]) <= DOUBLE for found in row["double"])
        and all(_half_ratio(row, name) <= HALF for name in MEASURED)
    )


def _describe_double(rows: list[dict[str, Any]]) -> list[str]:
    """What float64 says of the batches that differ by more than they may in float32."""
    found = [(row, double) for row in rows for double in row["double"]]
    if not found:
        return []
    worst = max(max(double["answers"], double["gradients"]) for _, double in found)
    names = Counter(row["name"] for row, _ in found)
    alone = [double["gradients alone in float32"] for _, double in found]
    packed = [row["gradients"][double["batch"]] for row, double in found]
    return [
        "",
        f"In float32 the gradients of {len(found)} batches differ by more than {GRADIENTS:.0e} "
        f"({', '.join(f'{name} {number}' for name, number in names.items())}). In float64 these "
        f"differ by {worst:.0e} at most, so that nothing of another image is in them: it is "
        "rounding, which passes or stops the gradient of a ReLU whose sum is nearly zero. In "
        f"float32 they differ from the images alone by {statistics.median(packed):.0e} in the "
        f"median, and the images alone from themselves in float64 by "
        f"{statistics.median(alone):.0e}.",
    ]


def _half_ratio(row: dict[str, Any], name: str) -> float:
    return row["half"][name]["packed"] / row["half"][name]["alone"]
