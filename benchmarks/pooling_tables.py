"""The results of `pooling.py` as Markdown: a function of what is in its JSON file."""

from collections.abc import Sequence
from typing import Any

import machines
import pooling_comparisons as comparisons

Row = dict[str, Any]

_TITLES = {
    "whole": "Whole maps, 256 channels, levels (6, 3, 2, 1)",
    "gradient": "Whole maps, forward and backward",
    "mixed": "Sixteen maps of different sizes, around 37x50",
    "mixed gradient": "Sixteen maps of different sizes, forward and backward",
    "windows": "2000 windows of a 43x57 map, 256 channels, levels (6, 3, 2, 1)",
    "windows gradient": "2000 windows of a 43x57 map, forward and backward",
    "network": "Networks: `zf5_spp`, million pixels of the images per second",
}


def markdown(results: dict[str, Any]) -> str:
    """All tables, what they say, and what and where they were measured."""
    machine, rows = results["machine"], results["rows"]
    lines = [
        machines.sentence(machine),
        "",
        "Median milliseconds of a call (quartiles), and how many times ours that is. Systems took "
        "turns in one run. First each answer was compared with plain loops: it is exact where all "
        "values are, equal where they are but for rounding. Peak memory is what calls add to the "
        "process, their answer included.",
        "",
        "A peer has two rows. *As written first*, each of the four levels is pooled from the map. "
        "*Given our algebra*, only 6x6 is; 3x3 and 2x2 are the maxima of 6x6, and 1x1 that of "
        f"2x2, as in ours. {comparisons.RULE}",
    ]
    for section, title in _TITLES.items():
        chosen = [row for row in rows if row["section"] == section]
        if chosen:
            lines += ["", f"**{title}**", "", *_table(section, chosen)]
            sentences = comparisons.sentences(section, chosen)
            lines += ["", sentences] if sentences else []
    for row in rows:
        if row["section"] == "apart":
            lines += ["", f"{row['name']} cannot run 2000 windows, {row['note']}. {_apart(row)}"]
    return "\n".join(lines) + "\n"


def _table(section: str, rows: Sequence[Row]) -> list[str]:
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    by_name: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_name.setdefault(row["name"], {})[row["setting"]] = row
    base = by_name[next(iter(by_name))]
    names = sorted(by_name, key=lambda name: _place(by_name[name][settings[0]]))
    memory = any(row["megabytes"] is not None for row in rows)
    head = ["", *settings, *(["peak memory"] if memory else []), "answer", ""]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name in names:
        of_name = by_name[name]
        cells = [f"**{name}**" if of_name is base else name]
        cells += [_cell(of_name[setting], base[setting]) for setting in settings]
        if memory:
            sizes = [row["megabytes"] for row in of_name.values() if row["megabytes"] is not None]
            cells.append(f"{sizes[0]:.0f} MB" if sizes else "")
        cells += [_answer(list(of_name.values())), of_name[settings[0]]["note"]]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _place(row: Row) -> tuple[bool, bool, float]:
    """Ours first, floors last, the others from fast to slow; networks as they are."""
    time = row.get("median ms", 0) if row["section"] != "network" else 0
    return row["name"].startswith("floor"), row["name"] != comparisons.OURS, time


def _cell(row: Row, base: Row) -> str:
    if row["error"] or "median ms" not in row:
        return "failed"
    values = comparisons.quartiles(row)
    if row["pixels"]:
        # Speeds: what was the shortest time is the highest of them.
        values = tuple(row["pixels"] / 1000 / value for value in reversed(values))
    low, middle, high = map(_digits, values)
    text = f"{middle} ({low}-{high})"
    return text if row is base else f"{text}, x{comparisons.ratio(row, base):.2f}"


def _answer(rows: Sequence[Row]) -> str:
    if any(row["error"] for row in rows):
        return next(row["error"] for row in rows if row["error"]).splitlines()[0][:120]
    shares = [row["differing"] for row in rows if row["differing"] is not None]
    if not shares:
        return ""
    if max(shares) == 0:
        section = rows[0]["section"]
        return "equal" if section == "network" or "gradient" in section else "exact"
    return f"{max(shares):.0%} of values differ" if max(shares) >= 0.01 else "some values differ"


def _apart(row: Row) -> str:
    if row["error"] or "median ms" not in row:
        return f"With ten it did not run here: {row['error'].splitlines()[0][:200]}"
    seconds = row["first_ms"] / 1000
    text = f"With ten: {seconds:.1f} s to trace and run once, then {_digits(row['median ms'])} ms"
    answer = _answer([row])
    return f"{text}; beside the loops: {answer}." if answer else f"{text}."


def _digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
