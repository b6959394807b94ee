"""The results of `pretrained_exports.py` as Markdown: a function of what is in its JSON file."""

from typing import Any

import machines

# From this probability on the Keras model is taken to be sure of its class.
SURE = 0.5
_TITLES = {
    "own sizes": "Photographs of their own aspect ratios, the short side 256",
    "224x224": "Their central squares, 224x224",
}


def markdown(results: dict[str, Any]) -> str:
    """A table for each kind of sizes, and what and where it was measured."""
    machine, rows = results["machine"], results["rows"]
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        "Milliseconds are medians (quartiles) of one image; systems took turns. The SavedModel "
        "gets PNG files and decodes them, the others get pixels. The rest is how the exports agree "
        "with the Keras model, of all images and of those to whose class it gives "
        f"{SURE:.0%} or more, and by how much a probability differs at most. int8 is calibrated on "
        "other photographs.",
    ]
    for setting, title in _TITLES.items():
        chosen = [row for row in rows if row["setting"] == setting]
        if not chosen:
            continue
        lines += [
            "",
            f"**{title}**",
            "",
            f"| | MB | ms | same class of {chosen[0]['images']} | of {chosen[0]['sure']} sure "
            "| largest difference |",
            "|---|---|---|---|---|---|",
            *map(describe_row, chosen),
        ]
    return "\n".join(lines) + "\n"


def describe_row(row: dict[str, Any]) -> str:
    """A line of a table."""
    low, median, high = row["milliseconds"]
    agreement = "| | |"
    if row["name"] != "Keras model":
        agreement = (
            f"| {row['same class']} | {row['same class, sure']} | {row['largest difference']:.1g}"
        )
    return (
        f"| {row['name']} | {row['megabytes']:.1f} | {median:.0f} ({low:.0f}-{high:.0f}) "
        f"{agreement} |"
    )
