"""The results of `training.py` as Markdown."""

import statistics
from collections.abc import Sequence
from typing import Any

import machines

SETTINGS = {
    "input": ["shapes"],
    "step": ["width 0.25, 3000 images", "width 1, 50000 images"],
    "devices": ["width 0.25"],
}
_TITLES = {
    "input": "Input: images per second",
    "step": "Training `zf5_spp`: million pixels of the images per second",
    "devices": "Training `zf5_spp` by `fit` on two cores, images per second",
}
# Samples, for quartiles to mean something.
_ENOUGH = 5
# What the others are measured against.
_BASES = {"input": "bare JPEG decoding", "step": "one fixed size", "devices": "one device"}


def markdown(results: dict[str, Any]) -> str:
    """Everything that was measured, as a table for each section."""
    machine, rows = results["machine"], results["rows"]
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        "Medians (quartiles), and the share of the first row. Where there are fewer than "
        f"{_ENOUGH} samples, what is in brackets are the lowest and the highest, and the share is "
        "from the least to the most that these allow. Systems took turns in one run. Batches of "
        "the second table are of random pixels. Where it counts two traces, one is that in which "
        "the optimizer makes its variables; `spp-keras train` makes them before.",
    ]
    for section, title in _TITLES.items():
        settings = SETTINGS[section]
        found = {(row["name"], row["setting"]): row for row in rows if row["section"] == section}
        lines += [
            "",
            f"**{title}**",
            "",
            f"| | {' | '.join(settings)} | |",
            "|---" * (len(settings) + 2) + "|",
        ]
        names = dict.fromkeys(name for name, _ in found)
        for name in sorted(names, key=lambda name: name != _BASES[section]):
            cells = [_cell(found[name, s], found[_BASES[section], s], section) for s in settings]
            row = found[name, settings[-1]]
            notes = "; ".join(note for note in (row["note"], row["remark"]) if note)
            lines.append(f"| {name} | {' | '.join(cells)} | {notes} |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any], base: dict[str, Any], section: str) -> str:
    unit = 1e6 if section == "step" else 1
    low, middle, high = _spread(row["rates"])
    low_base, middle_base, high_base = _spread(base["rates"])
    text = " ({}-{})".format(*(_digits(value / unit) for value in (low, high)))
    text = _digits(middle / unit) + text
    if row is base:
        return text
    if min(len(row["rates"]), len(base["rates"])) < _ENOUGH:
        return f"{text}, x{low / high_base:.2f} to x{high / low_base:.2f}"
    return f"{text}, x{middle / middle_base:.2f}"


def _spread(rates: Sequence[float]) -> tuple[float, float, float]:
    """The middle of samples between their quartiles, or of few between the ends."""
    if len(rates) < _ENOUGH:
        return min(rates), statistics.median(rates), max(rates)
    low, middle, high = statistics.quantiles(rates, n=4, method="inclusive")
    return low, middle, high


def _digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
