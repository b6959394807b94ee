"""The results of `any_size.py` as Markdown: a function of what is in its JSON file."""

import re
from typing import Any

import machines

TOLERANCE = 1e-5
_PREFIX = "`model` must have layers that have a rule or can be opened. "
_TITLES = {
    "applications": "Networks of `keras.applications`",
    "keras-hub": "Backbones of keras-hub, with small settings, every level of their pyramids",
    "keras-cv": "Backbones of keras-cv, with small settings, every level of their pyramids",
}


def markdown(results: dict[str, Any]) -> str:
    """A table for each package, and what and where it was measured."""
    machine, rows = results["machine"], results["rows"]
    accepted = [row for row in rows if "refused" not in row]
    worst = max((max(row["differences"]) for row in accepted), default=0.0)
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        f"{len(accepted)} of {len(rows)} networks are accepted; {worst:.0e} is the largest "
        "difference of all.",
        "",
        "Differences are from the original network on each image alone, the largest as a share of "
        "its largest value: in a padded batch, on canvases with several images, and in a batch "
        "padded with zeros without `any_size`. The gap is what has to be free between two images "
        "of 224 pixels on a canvas, and the stride what tops and lefts are multiples of.",
    ]
    for section, title in _TITLES.items():
        chosen = [row for row in rows if row["section"] == section]
        if chosen:
            lines += [
                "",
                f"**{title}**",
                "",
                "| | million parameters | layers | padded | canvases | without `any_size` "
                "| least size | stride | gap |",
                "|---|---|---|---|---|---|---|---|---|",
                *map(describe_row, chosen),
            ]
            refused = [row for row in chosen if "refused" in row]
            if refused:
                lines += ["", "Refused are:", "", *map(_describe_refusal, refused)]
    return "\n".join(lines) + "\n"


def describe_row(row: dict[str, Any]) -> str:
    """A line of a table."""
    start = f"| {row['name']} | {row['parameters'] / 1e6:.2g} | {row['layers']}"
    if "refused" in row:
        return f"{start} | refused | | | | | |"
    padded, packed = row["differences"]
    return (
        f"{start} | {padded:.0e} | {packed:.0e} | {_share(row['zero padding'])} "
        f"| {row['least size']} | {row['stride']} | {row['gap']} |"
    )


def _describe_refusal(row: dict[str, Any]) -> str:
    # What to do about it is not for a table.
    reason = re.split(
        r" (?:Register a rule|Leave it out|Give it|Values of images) ", row["refused"]
    )[0]
    return f"- {row['name']}: {reason.removeprefix(_PREFIX)}"


def _share(value: float) -> str:
    return f"{value:.0%}" if value < 10 else f"{value:.0f} times"
