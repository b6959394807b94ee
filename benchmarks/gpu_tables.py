"""The results of `gpu.py` as Markdown: a function of what is in its JSON file."""

import statistics
from collections.abc import Sequence
from typing import Any

import machines

OURS = "**spp_keras**"
ONE_SIZE, PACKED, PADDED = "one size", "packed", "padded"


def markdown(results: dict[str, Any]) -> str:
    """A table for each section and setting, and what they were measured on."""
    machine, rows = results["machine"], results["rows"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        f"Measured on {machine['date']} by `{machine['command']}` on JAX' device "
        f"{machine['device']}, {machine['policy']}"
        + (
            f", PyTorch's {machine['device of PyTorch']}"
            if "device of PyTorch" in machine
            else ", without PyTorch"
        )
        + f"; {versions}.",
        *machines.caution(machine),
        *([] if "cpu" not in machine["device"] else ["", "This is no GPU."]),
        "",
        "Median milliseconds of a call (quartiles), which ends when its result is there, and the "
        "speed as a share of that of the first row. Speeds of networks are of the pixels of the "
        "images alone. All took turns.",
    ]
    for section in dict.fromkeys(row["section"] for row in rows):
        lines += ["", f"**{section[:1].upper()}{section[1:]}**"]
        of_section = [row for row in rows if row["section"] == section]
        for setting in dict.fromkeys(row["setting"] for row in of_section):
            chosen = [row for row in of_section if row["setting"] == setting]
            lines += ["", *_make_table(setting, chosen)]
    return "\n".join(lines) + "\n"


def _make_table(setting: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        f"| {setting} | milliseconds | million pixels per second | share | fill |",
        "|---" * 5 + "|",
    ]
    for row in rows:
        low, middle, high = _spread(row["milliseconds"])
        speed = f"{row['pixels'] / middle / 1e3:,.1f}" if row["pixels"] else ""
        base = rows[0]
        work = row["pixels"] / base["pixels"] if base["pixels"] else 1.0
        share = work * statistics.median(base["milliseconds"]) / middle
        lines.append(
            f"| {row['name']} | {middle:.3g} ({low:.3g}-{high:.3g}) | {speed} "
            f"| {'' if row is base else f'{share:.2f}'} | {row['fill']:.2f} |"
        )
    return lines


def _spread(samples: Sequence[float]) -> tuple[float, float, float]:
    if len(samples) < 2:
        return samples[0], samples[0], samples[0]
    low, middle, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, middle, high
