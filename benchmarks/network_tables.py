"""The results of `network.py` as Markdown: a function of what is in its JSON file."""

import statistics
from collections.abc import Sequence
from typing import Any

import machines
import network_inputs as inputs
import pooling_comparisons as comparisons

Row = dict[str, Any]

OURS = comparisons.OURS
MATMUL = f"`tf.linalg.matmul` of {inputs.MATMUL}x{inputs.MATMUL}"
COMPILED = "PyTorch, compiled"
_HEAD = (
    "",
    "CPU ms (quartiles)",
    "ms by the clock",
    "GFLOP per CPU second",
    "share of the matmul rate",
    "difference from ours",
    "first call, s",
    "",
)


def markdown(results: dict[str, Any]) -> str:
    """All tables, what they say, and what and where they were measured."""
    machine, rows = results["machine"], results["rows"]
    tables: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        tables.setdefault((row["section"], row["setting"]), []).append(row)
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        f"ZF-5 with a pyramid, {inputs.CLASSES} classes, {inputs.BATCH} images of "
        f"{inputs.SIDE}x{inputs.SIDE}, float32, the same weights in every system. Milliseconds of "
        "CPU, of all threads together (medians, quartiles), and how many times ours that is; "
        "medians by the clock beside them. Systems took turns in one run. A training step is the "
        "forward pass, the loss, its gradients and an update by SGD with momentum; dropout is off, "
        "so that answers can be compared.",
        "",
        "The normalization of ZF-5 sums over cells, PyTorch's own over channels: PyTorch's is "
        "written in each of the forms that are named. Without it a network does less than ours. "
        "Compiled is by `torch.compile`. GFLOP are those of convolutions and dense layers, and the "
        f"rate of the machine is that of {MATMUL}. The difference is the largest of a score, in "
        "training of a gradient, as a share of its layer's largest; a maximum that rounding gives "
        "to another cell moves a gradient.",
        "",
        comparisons.RULE.replace("below the tables", "in short"),
        "",
        "**In short**",
        "",
        *(f"- {_title(*key)}: {_say(chosen)}" for key, chosen in tables.items()),
    ]
    for key, chosen in tables.items():
        lines += ["", f"**{_title(*key)}**", "", *_table(chosen)]
    return "\n".join(lines) + "\n"


def _say(rows: Sequence[Row]) -> str:
    """Ours beside the quickest of each kind, and beside the rate of the machine."""
    ours, matmul = _find(rows, OURS), _find(rows, MATMUL)
    if ours is None:
        return "ours failed."
    peers = [row for row in rows if row["name"] not in (OURS, MATMUL) and not row["error"]]
    whole = [row for row in peers if not row["name"].endswith(inputs.WITHOUT)]
    compiled = [row for row in whole if row["name"].startswith(COMPILED)]
    kinds = {
        "the quickest compiled PyTorch": compiled,
        "the quickest eager one": [row for row in whole if row not in compiled],
        "the quickest without normalization": [row for row in peers if row not in whole],
    }
    said = [
        f"beside {kind}, {row['name'].partition(', ')[2]}, ours is "
        f"{comparisons.verdict(_cpu(row), _cpu(ours))} (x{_ratio(row, ours):.2f})"
        for kind, chosen in kinds.items()
        if (row := _quickest(chosen))
    ]
    if matmul:
        best = _quickest(whole)
        others = f", PyTorch at {_share(best, matmul)}" if best else ""
        said.append(f"ours runs at {_share(ours, matmul)} of the matmul rate{others}")
    return "; ".join(said) + "."


def _table(rows: Sequence[Row]) -> list[str]:
    lines = ["| " + " | ".join(_HEAD) + " |", "|---" * len(_HEAD) + "|"]
    for row in sorted(rows, key=_place):
        name = f"**{OURS}**" if row["name"] == OURS else row["name"]
        if row["error"]:
            cells = ["failed", *[""] * 5, row["error"].splitlines()[0][:120]]
        else:
            cells = _cells(row, _find(rows, OURS), _find(rows, MATMUL))
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return lines


def _cells(row: Row, ours: Row | None, matmul: Row | None) -> list[str]:
    low, middle, high = (_digits(value) for value in comparisons.quartiles(_cpu(row)))
    times = f", x{_ratio(row, ours):.2f}" if ours and row["name"] not in (OURS, MATMUL) else ""
    return [
        f"{middle} ({low}-{high}){times}",
        _digits(statistics.median(row["milliseconds"])),
        _digits(_rate(row)),
        _share(row, matmul) if matmul else "",
        "" if row["difference"] is None else f"{row['difference']:.1g}",
        _digits(row["first s"]),
        row["note"],
    ]


def _place(row: Row) -> tuple[bool, bool, float]:
    """Ours first, the rate of the machine last, the others from quick to slow."""
    time = float("inf") if row["error"] else statistics.median(row["cpu milliseconds"])
    return row["name"] == MATMUL, row["name"] != OURS, time


def _cpu(row: Row) -> Row:
    """The CPU's milliseconds as `pooling_comparisons` takes those of the clock."""
    samples = row["cpu milliseconds"]
    values = statistics.quantiles(samples, method="inclusive") if samples[1:] else samples * 3
    names = ("lower quartile ms", "median ms", "upper quartile ms")
    return {**dict(zip(names, values, strict=True)), "pixels": 0}


def _ratio(row: Row, ours: Row) -> float:
    """How many times our time on the CPU."""
    return comparisons.ratio(_cpu(row), _cpu(ours))


def _rate(row: Row) -> float:
    """GFLOP in a second of one CPU."""
    return 1000 * row["gflop"] / statistics.median(row["cpu milliseconds"])


def _share(row: Row, matmul: Row) -> str:
    return f"{_rate(row) / _rate(matmul):.2f}"


def _quickest(rows: Sequence[Row]) -> Row | None:
    return min(rows, key=lambda row: statistics.median(row["cpu milliseconds"]), default=None)


def _find(rows: Sequence[Row], name: str) -> Row | None:
    """The row of that name, if it ran."""
    return next((row for row in rows if row["name"] == name and not row["error"]), None)


def _title(section: str, setting: str) -> str:
    return f"{ {'forward': 'Forward', 'training': 'Training step'}[section] }, {setting}"


def _digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
