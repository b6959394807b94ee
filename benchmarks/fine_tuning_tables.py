"""The results of `fine_tuning.py` as Markdown: a function of what is in its JSON file."""

from collections.abc import Sequence
from typing import Any

import machines

_NAMES = {
    "whole": "whole, each at its own aspect ratio",
    "crop": "square crops, random to train and of the center to validate",
    "warp": "warped to a square",
}


def markdown(results: dict[str, Any]) -> str:
    """A table of accuracies and times, and what and where it was measured."""
    machine, rows = results["machine"], results["rows"]
    first, seeds = rows[0], len({row["seed"] for row in rows})
    train, validation = first["images"]
    levels = ", ".join(str(level) for level in first["levels"])
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        f"EfficientNet-Lite0 with ImageNet weights and a pyramid of the levels {levels}, "
        f"{first['classes']} classes, {train} images to train on, {validation} to validate on, "
        f"{seeds} seeds of images and training. Accuracies on the validation images, by which "
        "the epochs are chosen, too: the mean, and the least and the largest of the seeds. "
        "Seconds include loading images and tracing.",
        "",
        "| images | frozen features | seconds | then fine-tuned | seconds more |",
        "|---|---|---|---|---|",
    ]
    for name, title in _NAMES.items():
        chosen = [row for row in rows if row["name"] == name]
        if chosen:
            cells = []
            for phase in (0, 1):
                cells.append(_spread([100 * row["accuracies"][phase] for row in chosen], " %"))
                cells.append(_spread([row["seconds"][phase] for row in chosen]))
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float], unit: str = "") -> str:
    digits = 1 if unit else 0
    mean = sum(values) / len(values)
    return f"{mean:.{digits}f}{unit} ({min(values):.{digits}f} to {max(values):.{digits}f})"
