"""The results of `serving.py` as Markdown."""

import statistics
from collections.abc import Sequence
from typing import Any

import machines
import numpy as np

from spp_keras.report import intervals

SETTINGS = {
    "request": ["width 1", "width 0.25"],
    "device": ["224x224, fixed", "224x224, resized", "375x500, fixed", "375x500, resized"],
}
CLIENTS = (1, 8, 32)


def markdown(results: dict[str, Any]) -> str:
    """Everything that was measured, as a table for each section."""
    machine, rows = results["machine"], results["rows"]
    found = {(row["section"], row["name"], row["setting"]): row for row in rows if "setting" in row}
    (memory,) = (row["megabytes"] for row in rows if row["section"] == "memory")
    (few, before), (many, after) = memory.items()
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        "Medians (quartiles). Systems took turns in one run.",
        "",
        *_requests(found),
        "",
        *_crowd_table(found),
        "",
        f"Resident memory of the server after {few} requests of mixed sizes {before:,.0f} MB, "
        f"after {many} {after:,.0f} MB: {after / before - 1:+.1%}.",
        "",
        *_devices(found),
        "",
        *_agreements([row for row in rows if row["section"] == "agreement"]),
    ]
    return "\n".join(lines) + "\n"


def _requests(found: dict[tuple[str, str, str], Any]) -> list[str]:
    settings = SETTINGS["request"]
    lines = [
        "**A request of eight photographs of about 375x500, `zf5_spp`: milliseconds**",
        "",
        f"| | {' | '.join(settings)} | |",
        "|---" * (len(settings) + 2) + "|",
    ]
    names = dict.fromkeys(name for section, name, _ in found if section == "request")
    for name in names:
        cells = [_spread(found["request", name, setting]) for setting in settings]
        lines.append(
            f"| {name} | {' | '.join(cells)} | {found['request', name, settings[0]]['note']} |"
        )
    cells = []
    for setting in settings:
        ready, bare, mixed = (_median(found["request", name, setting]) for name in list(names)[:3])
        cells.append(f"{mixed / (ready + bare) - 1:+.0%}")
    lines.append(
        f"| **`bytes` beyond the first two together** | {' | '.join(cells)} "
        "| what mixed sizes, checks and labels cost |"
    )
    return lines


def _crowd_table(found: dict[tuple[str, str, str], Any]) -> list[str]:
    settings = [f"{clients} clients" for clients in CLIENTS]
    lines = [
        "**The tests' server, `zf5_spp` of width 0.25, a photograph of 200 to 500 pixels a side to "
        "a request: requests/s, p50 and p99 in milliseconds**",
        "",
        "Joined: up to 16 requests that come within 2 ms become one.",
        "",
        f"| | {' | '.join(settings)} |",
        "|---" * (len(settings) + 1) + "|",
    ]
    for name in dict.fromkeys(name for section, name, _ in found if section == "crowd"):
        cells = []
        for setting in settings:
            row = found["crowd", name, setting]
            half, most = np.percentile(row["milliseconds"], (50, 99))
            cells.append(f"{statistics.median(row['rates']):.1f}/s, {half:,.0f}, {most:,.0f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _devices(found: dict[tuple[str, str, str], Any]) -> list[str]:
    settings = SETTINGS["device"]
    lines = [
        "**TFLite files of `zf5_spp`, full width, 1000 classes: milliseconds an image, and how "
        "many times as fast as float32**",
        "",
        "Weights are random, and int8 is fitted to photographs drawn like those that are timed: "
        "this tells times alone.",
        "",
        f"| | size | {' | '.join(settings)} |",
        "|---" * (len(settings) + 2) + "|",
    ]
    for name in dict.fromkeys(name for section, name, _ in found if section == "device"):
        cells = []
        for setting in settings:
            row, base = found["device", name, setting], found["device", "float32", setting]
            ratio = "" if row is base else f", x{_median(base) / _median(row):.2f}"
            cells.append(_spread(row) + ratio)
        size = found["device", name, settings[0]]["remark"]
        lines.append(f"| {name} | {size} | {' | '.join(cells)} |")
    return lines


def _agreements(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        f"**Exported from a training on `shapes` and asked about its {rows[0]['images']} "
        "validation images, as files**",
        "",
        machines.trained_for(rows[0]),
        "",
        "| | same class as the network | largest difference of a score | right |",
        "|---|---|---|---|",
        f"| the network | | | {rows[0]['right, network']:.1%} |",
    ]
    lines += [
        f"| {row['name']} | {row['same class']:.1%} | {row['largest difference']:.1g} "
        f"| {row['right']:.1%} |"
        for row in rows
    ]
    images, share = rows[0]["images"], rows[0]["right, network"]
    low, high = intervals.wilson(round(share * images), images)
    if all(low <= row["right"] <= high for row in rows):
        lines += [
            "",
            f"Other images would give the network {low:.1%} to {high:.1%} (Wilson's 95% interval): "
            "no difference in the last column is a gain or a loss that this shows.",
        ]
    return lines


def _median(row: dict[str, Any]) -> float:
    return statistics.median(row["milliseconds"])


def _spread(row: dict[str, Any]) -> str:
    low, middle, high = statistics.quantiles(row["milliseconds"], n=4, method="inclusive")
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"
