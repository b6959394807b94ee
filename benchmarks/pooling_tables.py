"""The results of `pooling.py` as Markdown."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

import machines
import pooling_inputs as inputs

OURS = "spp_keras"

_TITLES = {
    "whole": "Whole maps, 256 channels, levels (6, 3, 2, 1)",
    "mixed": "Sixteen maps of different sizes, around 37x50",
    "gradient": "Whole maps, forward and backward",
    "windows": "2000 windows of a 43x57 map, 256 channels, levels (6, 3, 2, 1)",
    "network": "Networks: `zf5_spp`, million pixels of the images per second",
}


@dataclasses.dataclass
class Row:
    """One case at one setting."""

    section: str
    setting: str
    name: str
    note: str
    first_ms: float = 0.0
    pixels: int = 0
    differing: float | None = None
    megabytes: float | None = None
    error: str = ""
    milliseconds: list[float] = dataclasses.field(default_factory=list)

    @property
    def is_ours(self) -> bool:
        return self.name.startswith(OURS) or self.section == "network"

    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile in milliseconds."""
        if len(self.milliseconds) < 2:
            return (self.milliseconds[0],) * 3
        low, middle, high = statistics.quantiles(self.milliseconds, method="inclusive")
        return low, middle, high

    def as_json(self) -> dict[str, Any]:
        fields = dataclasses.asdict(self)
        samples = fields.pop("milliseconds")
        if samples:
            names = ("lower quartile ms", "median ms", "upper quartile ms")
            fields |= dict(zip(names, self.quartiles(), strict=True))
            fields["fastest ms"] = min(samples)
        return fields | {"calls": len(samples)}


def markdown(machine: dict[str, Any], rows: Sequence[Row]) -> str:
    """All tables, and what and where they were measured."""
    lines = [
        machines.sentence(machine),
        "",
        "Median milliseconds of a call (quartiles), and how many times ours that is. Systems took "
        "turns in one run. First each answer was compared with plain loops: it is exact where all "
        "values are, equal where they are but for rounding. Peak memory is what calls add to the "
        "process, their answer included.",
    ]
    for section, title in _TITLES.items():
        chosen = [row for row in rows if row.section == section]
        lines += ["", f"**{title}**", "", *_table(section, chosen)]
    for row in rows:
        if row.section == "apart":
            lines += ["", f"{row.name} cannot run 2000 windows, {row.note}. {_apart(row)}"]
    return "\n".join(lines) + "\n"


def _table(section: str, rows: Sequence[Row]) -> list[str]:
    settings = inputs.SETTINGS[section]
    by_name: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_name.setdefault(row.name, {})[row.setting] = row
    base = by_name[next(iter(by_name))]
    names = sorted(by_name, key=lambda name: _place(by_name[name][settings[0]]))
    memory = any(row.megabytes is not None for row in rows)
    head = ["", *settings, *(["peak memory"] if memory else []), "answer", ""]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name in names:
        of_name = by_name[name]
        cells = [f"**{name}**" if of_name is base else name]
        cells += [_cell(of_name[setting], base[setting]) for setting in settings]
        if memory:
            sizes = [row.megabytes for row in of_name.values() if row.megabytes is not None]
            cells.append(f"{sizes[0]:.0f} MB" if sizes else "")
        cells += [_answer(list(of_name.values())), of_name[settings[0]].note]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _place(row: Row) -> tuple[bool, bool, float]:
    """Ours first, floors last, the others from fast to slow; networks as they are."""
    time = row.quartiles()[1] if row.milliseconds and row.section != "network" else 0
    return row.name.startswith("floor"), row.name != OURS, time


def _cell(row: Row, base: Row) -> str:
    if row.error or not row.milliseconds:
        return "failed"
    values = row.quartiles()
    own = base.quartiles()[1] if base.milliseconds else float("nan")
    ratio = values[1] / own
    if row.pixels:
        # Speeds: what was the shortest time is the highest of them.
        fastest, middle, slowest = (row.pixels / 1000 / value for value in values)
        values, ratio = (slowest, middle, fastest), middle * own / (base.pixels / 1000)
    low, middle, high = map(_digits, values)
    text = f"{middle} ({low}-{high})"
    return text if row is base else f"{text}, x{ratio:.2f}"


def _answer(rows: Sequence[Row]) -> str:
    shares = [row.differing for row in rows if row.differing is not None]
    if any(row.error for row in rows):
        return next(row.error for row in rows if row.error).splitlines()[0][:120]
    if not shares:
        return ""
    if max(shares) == 0:
        return {"gradient": "equal", "network": "equal"}.get(rows[0].section, "exact")
    return f"{max(shares):.0%} of values differ" if max(shares) >= 0.01 else "some values differ"


def _apart(row: Row) -> str:
    if row.error or not row.milliseconds:
        return f"With ten it did not run here: {row.error.splitlines()[0][:200]}"
    seconds, middle = row.first_ms / 1000, row.quartiles()[1]
    return f"With ten: {seconds:.1f} s to trace and run once, then {_digits(middle)} ms."


def _digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
