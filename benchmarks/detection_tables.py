"""What `detection.py` measured as a table with its sentences, and as a picture."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import machines

from spp_keras import _files

RCNN_SYSTEM = "R-CNN"
# By how much the paper's SPP is quicker than R-CNN with ZF-5, on a GPU: its Table 10.
_PAPER = {
    "all": {"SPP, 1 scale": "102", "SPP, 5 scales": "38"},
    "convolutions": {"SPP, 1 scale": "270", "SPP, 5 scales": "49"},
}
_PARTS = ("convolutions", "pooling", "dense")
# Parts add up when they make so much of the whole; less is scales, boxes and suppression.
_ADDING_UP = (0.9, 1.05)


class System(NamedTuple):
    """What a row is of.

    Args:
        name: R-CNN, or SPP at one scale or at five.
        precision: `"float32"` or `"bfloat16"`.
        dense: `"full"`, or `"SVD"` where fc6 and fc7 are products of thin layers.
    """

    name: str
    precision: str
    dense: str


def markdown(results: dict[str, Any]) -> str:
    """The table, what it is of, and what it says.

    Args:
        results: `machine`, `settings`, `rows`, `proposals` and `points`, as `detection.py`
            writes them. A row is a `System` with the `seconds` of each part and round, the
            processor's seconds `cpu` of the whole, and how many windows are `distinct`.
    """
    rows = {_system(row): row for row in results["rows"]}
    lines = [_heading(results["settings"], rows), "", *_table(rows, results["proposals"]), ""]
    lines += _sentences(rows, results["proposals"])
    return "\n".join([*lines, "", machines.sentence(results["machine"]), ""])


def draw(results: dict[str, Any], path: Path) -> None:
    """Time and memory over windows, and time over the size of the image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    points = results["points"]
    for system in dict.fromkeys(_system(point) for point in points):
        mine = [point for point in points if _system(point) == system]
        counted = [point for point in mine if point["over"] == "windows"]
        sized = [point for point in mine if point["over"] == "size"]
        for panel, value in ((panels[0], "seconds"), (panels[1], "megabytes")):
            counts = [point["windows"] for point in counted]
            panel.plot(counts, [point[value] for point in counted], ".-", label=_title(system))
        areas = [point["size"][0] * point["size"][1] / 1e6 for point in sized]
        panels[2].plot(areas, [point["seconds"] for point in sized], ".-")
    last = f"seconds, {results['settings']['windows']:,} windows"
    for panel, title, what in zip(
        panels,
        ("seconds", "megabytes at peak (flat: of the set-up)", last),
        ("windows", "windows", "million pixels"),
        strict=True,
    ):
        panel.set(title=title, xlabel=what, xscale="log", yscale="log")
        panel.xaxis.set_minor_formatter("")
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    with _files.replace_file(path) as beside:
        figure.savefig(beside, format="png", dpi=80)


def _heading(settings: dict[str, Any], rows: dict[System, Any]) -> str:
    windows, searched = settings["windows"], settings["searched"]
    width = "of full width" if settings["width"] == 1 else f"of width {settings['width']:g}"
    distinct = " and ".join(
        f"{row['distinct']:,} ({system.name.removeprefix('SPP, ')})"
        for system, row in rows.items()
        if system.name != RCNN_SYSTEM and system[1:] == ("float32", "full")
    )
    return (
        f"One detection of {windows:,} windows in a photograph of {settings['size'][0]}x"
        f"{settings['size'][1]} by ZF-5 {width}, {settings['classes']} classes, its weights "
        f"random: {searched:,} of the windows are selective search's, the other "
        f"{windows - searched:,} random boxes. Milliseconds, medians and quartiles of "
        f"{settings['rounds']} rounds in which all take turns; processor: the time of all cores "
        "together. SPP scores windows on the same "
        f"cells once, which leaves {distinct}. R-CNN convolves every window; its convolutions "
        "are with warping and pooling. SVD: fc6 and fc7 as products of thin layers of rank "
        f"{settings['ranks'][0]} and {settings['ranks'][1]}. Times R-CNN: R-CNN of the same "
        "precision and with the same dense layers, over this row."
    )


def _table(rows: dict[System, Any], proposals: dict[str, Any]) -> list[str]:
    searched = proposals["seconds"]
    lines = [
        "| | convolutions | pooling | dense | all | processor | times R-CNN | "
        "with proposals | times R-CNN with them |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for system, row in rows.items():
        cells = [_cell(row["seconds"].get(part, [])) for part in (*_PARTS, "all")]
        cells += [_median_cell(row["cpu"]), f"{_times(rows, system, 'all'):.1f}"]
        if searched:
            with_them = _median(row["seconds"]["all"]) + _median(searched)
            cells += [f"{1000 * with_them:,.0f}", f"{_times(rows, system, 'all', searched):.1f}"]
        else:
            cells += ["", ""]
        lines.append(f"| {_title(system)} | " + " | ".join(cells) + " |")
    if searched:
        cells = ["", "", "", _cell(searched), _median_cell(proposals["cpu"]), "", "", ""]
        lines.append("| proposals: selective search | " + " | ".join(cells) + " |")
    return lines


def _sentences(rows: dict[System, Any], proposals: dict[str, Any]) -> list[str]:
    """What the figures say, computed from them."""
    kinds = list(dict.fromkeys(system[1:] for system in rows))
    lines = [_gain(rows, kind, "all", "Without proposals") for kind in kinds]
    lines += [_gain(rows, kind, "convolutions", "Convolutions alone") for kind in kinds]
    if proposals["seconds"]:
        searched = proposals["seconds"]
        lines += [_gain(rows, kind, "all", "With proposals", searched) for kind in kinds]
    return [*filter(None, lines), _sum_of_parts(rows)]


def _gain(
    rows: dict[System, Any], kind: tuple[str, ...], part: str, what: str, more: Sequence[float] = ()
) -> str:
    """How many times as quick as R-CNN the systems of a kind are, those that were measured."""
    systems = _of_kind(rows, kind, part)
    if not systems:
        return ""
    times = [_number(_times(rows, one, part, more)) for one in systems]
    said = [f"{number} {_scales(one)}" for number, one in zip(times, systems, strict=True)]
    line = f"- {what}, {_both_sides(kind)}: {' and '.join(said)}"
    # The paper has measured this kind alone, and named no proposals.
    if kind == ("float32", "full") and not more:
        line += f" (the paper on a GPU: {' and '.join(_PAPER[part][one.name] for one in systems)})"
    return f"{line}."


def _number(times: float) -> str:
    return f"{times:.0f}" if times >= 10 else f"{times:.1f}"


def _of_kind(rows: dict[System, Any], kind: tuple[str, ...], part: str) -> list[System]:
    """SPP of a precision with such dense layers, where it and R-CNN have such a part."""
    if part not in rows.get(System(RCNN_SYSTEM, *kind), {"seconds": ()})["seconds"]:
        return []
    return [system for system in rows if system[1:] == kind and system.name != RCNN_SYSTEM]


def _sum_of_parts(rows: dict[System, Any]) -> str:
    shares = {
        system: sum(_median(row["seconds"][part]) for part in _PARTS)
        / _median(row["seconds"]["all"])
        for system, row in rows.items()
        if set(_PARTS) <= set(row["seconds"])
    }
    low, high = min(shares.values()), max(shares.values())
    line = f"- SPP's parts, each timed by itself, make {low:.0%} to {high:.0%} of the whole"
    wrong = [
        system for system, share in shares.items() if not _ADDING_UP[0] <= share <= _ADDING_UP[1]
    ]
    if not wrong:
        return f"{line}; the rest is scales, boxes and suppression."
    names = "; ".join(f"{_title(system)} ({shares[system]:.0%})" for system in wrong)
    return f"{line}. They do not add up in: {names}."


def _times(rows: dict[System, Any], system: System, part: str, more: Sequence[float] = ()) -> float:
    """R-CNN's time over that of a system, `more` added to both."""
    added = _median(more) if more else 0.0
    rival, own = (
        _median(rows[one]["seconds"][part]) + added
        for one in (system._replace(name=RCNN_SYSTEM), system)
    )
    return rival / own


def _system(row: dict[str, Any]) -> System:
    return System(*(row[field] for field in System._fields))


def _title(system: System) -> str:
    return f"{system.name}, {system.precision}" + (", SVD" if system.dense == "SVD" else "")


def _both_sides(kind: tuple[str, ...]) -> str:
    return f"{kind[0]}{' and SVD' if kind[1] == 'SVD' else ''} on both sides"


def _scales(system: System) -> str:
    return {"SPP, 1 scale": "times R-CNN at one scale", "SPP, 5 scales": "at five"}[system.name]


def _median(seconds: Sequence[float]) -> float:
    return statistics.median(seconds)


def _cell(seconds: Sequence[float]) -> str:
    """Median and quartiles in milliseconds; nothing for what was not measured."""
    if not seconds:
        return ""
    if len(seconds) == 1:
        return _median_cell(seconds)
    low, middle, high = (
        f"{1000 * one:,.0f}" for one in statistics.quantiles(seconds, method="inclusive")
    )
    return f"{middle} ({low}-{high})"


def _median_cell(seconds: Sequence[float]) -> str:
    return f"{1000 * _median(seconds):,.0f}" if seconds else ""
