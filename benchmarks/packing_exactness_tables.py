"""The results of `packing_exactness.py` as Markdown: a function of what is in its JSON file."""

import statistics
from collections import Counter
from typing import Any

import machines

# Largest differences over largest values that are admitted.
ANSWERS, GRADIENTS = 1e-5, 1e-4
# How many times as far from float32 a packed batch may be as images alone, in mixed_bfloat16.
HALF = 1.5
MEASURED = ("answers", "gradients")


def markdown(results: dict[str, Any]) -> str:
    """A table of all networks, and what and where it was measured."""
    machine, rows = results["machine"], results["rows"]
    batches = sum(len(row["kinds"]) for row in rows)
    kinds = Counter(kind for row in rows for kind in row["kinds"])
    failing = [row["name"] for row in rows if not holds(row)]
    verdict = f"{' and '.join(failing)} differ by more" if failing else "All networks hold them"
    half = max(_half_ratio(row, name) for row in rows for name in MEASURED)
    return "\n".join(
        [
            machines.sentence(machine),
            *machines.caution(machine),
            "",
            f"{batches:,} random ragged batches with {sum(map(sum, _images(rows))):,} images, packed "
            "on canvases in the graph, against each image alone: "
            f"{', '.join(f'{number:,} {kind}' for kind, number in kinds.most_common())}. The "
            "largest difference over the largest value, of answers in inference and of the "
            "gradient of every weight, summed over the images alone. Weights are random. Answers "
            f"may differ by {ANSWERS:.0e}, gradients by {GRADIENTS:.0e}. {verdict}.",
            "",
            "| | batches | images | answers: median | worst | gradients: median | worst "
            "| `mixed_bfloat16`: answers, packed / alone | gradients |",
            "|---|---|---|---|---|---|---|---|---|",
            *map(describe_row, rows),
            "",
            "In `mixed_bfloat16`, the root mean square of the distance from the images alone in "
            "float32, as a share of their values: of packed batches and of the images alone. "
            f"Packed batches are at most {half:.2f} times as far away.",
        ]
    ) + "\n"


def describe_row(row: dict[str, Any]) -> str:
    """A line of the table."""
    cells = [row["name"], f"{len(row['kinds']):,}", f"{sum(row['images']):,}"]
    for name in MEASURED:
        cells += [f"{statistics.median(row[name]):.0e}", f"{max(row[name]):.0e}"]
    for name in MEASURED:
        half = row["half"][name]
        cells.append(f"{half['packed']:.2%} / {half['alone']:.2%}")
    return f"| {' | '.join(cells)} |"


def holds(row: dict[str, Any]) -> bool:
    """Whether a network differs by no more than it may."""
    return (
        max(row["answers"]) <= ANSWERS
        and max(row["gradients"]) <= GRADIENTS
        and all(_half_ratio(row, name) <= HALF for name in MEASURED)
    )


def _half_ratio(row: dict[str, Any], name: str) -> float:
    return row["half"][name]["packed"] / row["half"][name]["alone"]


def _images(rows: list[dict[str, Any]]) -> list[list[int]]:
    return [row["images"] for row in rows]
