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
_SUMMARY = (
    "",
    "ours, CPU ms",
    "beside PyTorch, compiled",
    "beside PyTorch, eager",
    f"beside PyTorch, {inputs.WITHOUT}",
    "share of the matmul rate: ours",
    "PyTorch",
)
_COLUMNS = (
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
        f"The first table is of medians on the CPU and of PyTorch's quickest form, which is named: "
        f"{comparisons.VERDICTS}",
        "",
        "**In short**",
        "",
        *_head(_SUMMARY),
        *(_line([_title(*key), *_summary(chosen)]) for key, chosen in tables.items()),
    ]
    for key, chosen in tables.items():
        lines += ["", f"**{_title(*key)}**", "", *_table(chosen)]
    return "\n".join(lines) + "\n"


def _summary(rows: Sequence[Row]) -> list[str]:
    """Ours beside the quickest of each kind, and shares of the rate of the machine."""
    ours, matmul = _find(rows, OURS), _find(rows, MATMUL)
    if ours is None:
        return ["failed", *[""] * 5]
    peers = [row for row in rows if row["name"] not in (OURS, MATMUL) and not row["error"]]
    whole = [row for row in peers if not row["name"].endswith(inputs.WITHOUT)]
    compiled = [row for row in whole if row["name"].startswith(COMPILED)]
    kinds = (
        compiled,
        [row for row in whole if row not in compiled],
        [row for row in peers if row not in whole],
    )
    quickest = [_quickest(kind) for kind in kinds]
    shares = [_share(row, matmul) if row and matmul else "" for row in (ours, _quickest(whole))]
    return [_digits(_median(ours)), *(_verdict(row, ours) for row in quickest), *shares]


def _verdict(row: Row | None, ours: Row) -> str:
    """How ours stands beside a row, and how that is written."""
    if row is None:
        return ""
    kind = "compiled" if row["name"].startswith(COMPILED) else "eager"
    form = row["name"].removeprefix(COMPILED).removeprefix("PyTorch").removeprefix(", ")
    said = comparisons.verdict(_cpu(row), _cpu(ours))
    return f"{said}, x{_ratio(row, ours):.2f} ({kind if form == inputs.WITHOUT else form})"


def _table(rows: Sequence[Row]) -> list[str]:
    lines = _head(_COLUMNS)
    for row in sorted(rows, key=_place):
        name = f"**{OURS}**" if row["name"] == OURS else row["name"]
        if row["error"]:
            cells = ["failed", *[""] * 5, row["error"].splitlines()[0][:120]]
        else:
            cells = _cells(row, _find(rows, OURS), _find(rows, MATMUL))
        lines.append(_line([name, *cells]))
    return lines


def _head(columns: Sequence[str]) -> list[str]:
    return [_line(columns), "|---" * len(columns) + "|"]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row, ours: Row | None, matmul: Row | None) -> list[str]:
    low, middle, high = (_digits(value) for value in comparisons.quartiles(_cpu(row)))
    times = f", x{_ratio(row, ours):.2f}" if ours and row["name"] not in (OURS, MATMUL) else ""
    return [
        f"{middle} ({low}-{high}){times}",
        _digits(statistics.median(row["milliseconds"])),
        _digits(_rate(row)),
        _share(row, matmul) if matmul else "",
        _difference(row),
        _digits(row["first s"]),
        row["note"],
    ]


def _place(row: Row) -> tuple[bool, bool, float]:
    """Ours first, the rate of the machine last, the others from quick to slow."""
    time = float("inf") if row["error"] else _median(row)
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


def _median(row: Row) -> float:
    return statistics.median(row["cpu milliseconds"])


def _rate(row: Row) -> float:
    """GFLOP in a second of one CPU."""
    return 1000 * row["gflop"] / _median(row)


def _difference(row: Row) -> str:
    if row["difference"] is None:
        return ""
    return "another network" if row["name"].endswith(inputs.WITHOUT) else f"{row['difference']:.1g}"


def _share(row: Row, matmul: Row) -> str:
    return f"{_rate(row) / _rate(matmul):.2f}"


def _quickest(rows: Sequence[Row]) -> Row | None:
    return min(rows, key=_median, default=None)


def _find(rows: Sequence[Row], name: str) -> Row | None:
    """The row of that name, if it ran."""
    return next((row for row in rows if row["name"] == name and not row["error"]), None)


def _title(section: str, setting: str) -> str:
    return f"{ {'forward': 'Forward', 'training': 'Training step'}[section] }, {setting}"


def _digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
