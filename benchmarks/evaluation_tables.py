"""The results of `evaluation.py` as Markdown."""

import re
import statistics
from collections.abc import Sequence
from typing import Any

import machines
import numpy as np

NETWORKS = ("zf5_spp", "overfeat7_spp")
SIZE = (375, 500)
OURS = "from the maps"
BATCHES = {"cut from the pixels, a batch a scale": 18, "cut from the pixels, one by one": 1}
TIMED = ("96-view+full", "10-view-map")
COMPARED = ("10-view-map", "96-view")


def markdown(results: dict[str, Any]) -> str:
    """Everything that was measured, as a table for each section."""
    machine, rows = results["machine"], results["rows"]
    # Results of 0.1 name the option `--side`.
    run, view_size = (_read_option(machine["command"], name) for name in ("run", "view-size|side"))
    timed, compared = (
        [row for row in rows if row["section"] == section] for section in ("times", "accuracy")
    )
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        f"**The views of a JPEG of {SIZE[0]}x{SIZE[1]}, full width: seconds**",
        "",
        "Medians (quartiles), and how many times ours that is. All took turns in one run. Dense "
        "layers see every view in all of them.",
        "",
        f"| | million pixels convolved | {' | '.join(f'`{name}`' for name in NETWORKS)} |",
        "|---|---|" + "---|" * len(NETWORKS),
        *_format_times(timed),
        "",
        f"**Answers for {compared[0]['images']} validation images of `shapes`, "
        f"the network of `{run}`, views of {view_size}x{view_size}**",
        "",
        f"{machines.trained_for(machine)} Distance is total variation: half the sum of what the "
        "scores differ by.",
        "",
        "| | top-1, maps | top-1, pixels | one alone right | top-5, maps | top-5, pixels | "
        "same answer | distance | of single views |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_format_accuracy(row) for row in compared),
        "",
        "The paper has the ten views from the maps within 0.1 points of those from pixels, top-5 "
        "on ImageNet, with views of 224x224 (Section 3.1.5).",
    ]
    return "\n".join(lines) + "\n"


def _read_option(command: str, name: str) -> str:
    """The value of an option in the command of a measurement."""
    match = re.search(rf"--(?:{name}) (\S+)", command)
    if match is None:
        raise ValueError(f"--{name} must be in the command. Received: {command!r}.")
    return match[1]


def _format_times(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    by_key = {(row["protocol"], row["name"], row["network"]): row for row in rows}
    for protocol in TIMED:
        for name in (OURS, *BATCHES):
            pairs = [
                (by_key[protocol, name, network], by_key[protocol, OURS, network])
                for network in NETWORKS
            ]
            row, ours = pairs[0]
            ratio = "" if row is ours else f", x{row['pixels'] / ours['pixels']:.2f}"
            label = f"{row['views']} views {name}"
            label = f"**{label}**" if row is ours else label
            cells = [f"{row['pixels'] / 1e6:.2f}{ratio}", *(_format_cell(*pair) for pair in pairs)]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def _format_cell(row: dict[str, Any], ours: dict[str, Any]) -> str:
    low, median, high = np.quantile(row["seconds"], (0.25, 0.5, 0.75))
    text = f"{median:.2f} ({low:.2f}-{high:.2f})"
    return text if row is ours else f"{text}, x{median / statistics.median(ours['seconds']):.2f}"


def _format_accuracy(row: dict[str, Any]) -> str:
    top1, top5 = ([100 * row[key][name] for name in (OURS, "pixels")] for key in ("top1", "top5"))
    cells = [
        f"{row['views']:.0f} views",
        *(f"{percent:.1f}%" for percent in top1),
        str(row["one alone right"]),
        *(f"{percent:.1f}%" for percent in top5),
        f"{100 * row['same answer']:.1f}%",
        f"{row['distance']:.3f}",
        f"{row['distance of a view']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"
