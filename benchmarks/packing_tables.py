"""The results of `packing.py` as Markdown: a function of what is in its JSON file."""

import statistics
from collections.abc import Sequence
from typing import Any

import machines

ONE_SIZE, AS_THEY_COME = "one size", "as they come, packed"
PADDED, ONE_AT_A_TIME = "as they come, padded", "one at a time"
PIPELINE = "the pipeline's batches"

SETTINGS = {
    "random": [
        "training, width 0.25",
        "training, width 1",
        "forward, width 0.25",
        "forward, width 1",
    ],
    "photographs": ["training, width 0.25, short side 256", "training, width 0.25, native"],
    "pipeline": ["training, width 0.25", "training, width 1", "training, EfficientNetB0"],
    "light": ["training, EfficientNetB0"],
    "canvases": ["training, width 0.25", "training, width 1"],
}
_TITLES = {
    "random": "Sixteen images of `shapes` drawn at random, `zf5_spp`",
    "photographs": "32 photographs, short side 256 or native around 375x500, `zf5_spp`",
    "pipeline": "`Pipeline(records, batch_size=32)` of `shapes/small`, `zf5_spp` or EfficientNetB0",
    "light": "Sixteen images of `shapes` drawn at random, EfficientNetB0",
    "canvases": "Cost of a pixel by number of canvases, `zf5_spp`",
}
# Shares of the speed of one size that were aimed at.
AIMS = {
    ("random", "training, width 0.25", AS_THEY_COME): 0.70,
    ("random", "training, width 1", AS_THEY_COME): 0.75,
    ("random", "forward, width 0.25", AS_THEY_COME): 0.70,
    ("random", "forward, width 1", AS_THEY_COME): 0.75,
    ("photographs", "training, width 0.25, short side 256", AS_THEY_COME): 0.80,
    ("photographs", "training, width 0.25, native", AS_THEY_COME): 0.80,
    ("pipeline", "training, width 0.25", PIPELINE): 0.91,
    ("pipeline", "training, width 1", PIPELINE): 0.93,
    ("pipeline", "training, EfficientNetB0", PIPELINE): 0.85,
    ("light", "training, EfficientNetB0", AS_THEY_COME): 0.55,
}
# Numbers of samples from which quartiles mean something.
_ENOUGH = 5


def markdown(results: dict[str, Any]) -> str:
    """A table of shares of the speed of one size, and the times of each section."""
    machine, rows = results["machine"], results["rows"]
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        "Speeds are pixels of the images, without what lies around them, in a second of the CPU, "
        "and by the clock, as shares of that of squares with as many pixels in as many images. "
        "All took turns; a share is the median of those of the rounds (quartiles). *Fill* is the "
        "part of a batch or canvas that is image, and the *cost of a filled pixel* what the share "
        "would be if all were: what rules and masks cost.",
        *_make_summary(rows),
    ]
    for section, title in _TITLES.items():
        chosen = [row for row in rows if row["section"] == section]
        if chosen:
            make = _make_prices if section == "canvases" else _make_section
            lines += ["", f"**{title}**", "", *make(chosen)]
    return "\n".join(lines) + "\n"


def _make_summary(rows: Sequence[dict[str, Any]]) -> list[str]:
    found = [
        (row, _find(rows, row, ONE_SIZE), aim)
        for key, aim in AIMS.items()
        for row in rows
        if (row["section"], row["setting"], row["name"]) == key
    ]
    if not found:
        return []
    lines = [
        "",
        "| | share | by the clock | aim | fill | cost of a filled pixel |",
        "|---" * 6 + "|",
    ]
    missed = []
    for row, base, aim in found:
        share = _share(row, base)[1]
        name = f"{_TITLES[row['section']].split(',')[0]}: {row['setting']}"
        lines.append(
            f"| {name} | {share:.2f} | {_share(row, base, 'milliseconds')[1]:.2f} | {aim:.2f} "
            f"| {row['fill']:.2f} | {share / row['fill']:.2f} |"
        )
        if share < aim:
            missed.append(f"{name} ({share:.2f} of {aim:.2f})")
    sentence = f"Missed are {'; '.join(missed)}." if missed else "All aims are reached."
    return ["", "**Aims**", *lines, "", sentence, *_compare_with_alone(rows)]


def _compare_with_alone(rows: Sequence[dict[str, Any]]) -> list[str]:
    """How much quicker packed batches are than images one at a time, and padded ones."""
    said = []
    for other, words in ((ONE_AT_A_TIME, "one at a time"), (PADDED, "padded")):
        shares = [
            (row["setting"], _share(row, _find(rows, row, other))[1])
            for row in rows
            if row["name"] == AS_THEY_COME
        ]
        if shares:
            listed = ", ".join(f"x{share:.2f} ({setting})" for setting, share in shares)
            said.append(f"Beside the same images {words}, packed batches run at {listed}.")
    return ["", " ".join(said)] if said else []


def _make_section(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for setting in dict.fromkeys(row["setting"] for row in rows):
        chosen = [row for row in rows if row["setting"] == setting]
        lines += [
            f"| {setting} | million pixels per CPU second | by the clock | share | by the clock "
            "| fill | cost of a filled pixel | |",
            "|---" * 8 + "|",
        ]
        for row in chosen:
            base = _find(rows, row, ONE_SIZE)
            cells = [row["name"], describe_rate(row), f"{_rate(row, 'milliseconds'):.3g}"]
            if row is base:
                cells += [""] * 4
            else:
                low, share, high = _share(row, base)
                cells += [
                    f"{share:.2f} ({low:.2f}-{high:.2f})",
                    f"{_share(row, base, 'milliseconds')[1]:.2f}",
                    f"{row['fill']:.2f}",
                    f"{share / row['fill']:.2f}",
                ]
            lines.append(f"| {' | '.join([*cells, row['note']])} |")
        lines.append("")
    return lines[:-1]


def _make_prices(rows: Sequence[dict[str, Any]]) -> list[str]:
    """By how much a pixel of few canvases is dearer than one of sixteen squares."""
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    columns = [f"{setting}{by}" for setting in settings for by in ("", ", by the clock")]
    lines = [f"| canvases | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in dict.fromkeys(row["name"] for row in rows):
        cells = []
        for row in rows:
            if row["name"] == name:
                base = _find(rows, row, "16")
                cells += [
                    f"{1 / _share(row, base, key)[1]:.2f}"
                    for key in ("cpu milliseconds", "milliseconds")
                ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "Time of a training step for each pixel of so many dense canvases, beside sixteen "
        "squares of as many pixels: what `plan_canvases` weighs layouts by.",
    ]


def describe_rate(row: dict[str, Any]) -> str:
    """Million pixels per second of the CPU."""
    return f"{_rate(row, 'cpu milliseconds'):.3g}"


def _rate(row: dict[str, Any], key: str) -> float:
    return row["pixels"] / statistics.median(row[key]) / 1e3


def _share(
    row: dict[str, Any], base: dict[str, Any], key: str = "cpu milliseconds"
) -> tuple[float, float, float]:
    """Quartiles of the speeds of the rounds beside those of another; ends of few."""
    shares = [
        (row["pixels"] / own) / (base["pixels"] / other)
        for own, other in zip(row[key], base[key], strict=True)
    ]
    if len(shares) < _ENOUGH:
        return min(shares), statistics.median(shares), max(shares)
    low, middle, high = statistics.quantiles(shares, n=4, method="inclusive")
    return low, middle, high


def _find(rows: Sequence[dict[str, Any]], like: dict[str, Any], name: str) -> dict[str, Any]:
    """The row of another name in the same section and setting."""
    return next(
        row
        for row in rows
        if (row["section"], row["setting"], row["name"]) == (like["section"], like["setting"], name)
    )
