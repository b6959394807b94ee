"""Cases checked against the loops and timed in turns; each becomes a row of the results."""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machines
import numpy as np
import pooling_inputs as inputs
from worker import Worker

# Largest difference from the loops, as a share of the largest value, that is not a difference.
# In a cell thousands of windows meet, and float32 sums them in some order.
_TOLERANCES = {"gradient": 1e-6, "mixed gradient": 1e-6, "windows gradient": 1e-5, "network": 1e-5}


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
        return self.name.startswith("spp_keras") or self.section == "network"

    def as_json(self) -> dict[str, Any]:
        fields = dataclasses.asdict(self)
        samples = fields.pop("milliseconds")
        if samples:
            names = ("lower quartile ms", "median ms", "upper quartile ms")
            fields |= dict(zip(names, _quartiles(samples), strict=True))
            fields["fastest ms"] = min(samples)
        return fields | {"calls": len(samples)}


def measure(
    section: str,
    setting: str,
    cases: Sequence[tuple[Worker, str, str]],
    rounds: int,
    seconds: float,
) -> list[Row]:
    """Checks each case against the loops, then has all take turns."""
    expected = inputs.expected(section, setting)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.npy"
        for worker, name, note in cases:
            row = Row(section, setting, name, note)
            rows.append(row)
            try:
                reply = worker.ask(
                    "start", section=section, name=name, setting=setting, answer=str(answer)
                )
            except RuntimeError as error:
                row.error = str(error)
                machines.say(f"  {name}: {row.error}")
                continue
            row.first_ms, row.pixels = reply["first_ms"], reply["pixels"]
            if reply["comparable"]:
                actual = np.load(answer)
                # Networks have no loop: the ragged batch is held against its images one by one.
                expected = actual if expected is None else expected
                row.differing = _differing(actual, expected, _TOLERANCES.get(section, 0))
    for _ in range(rounds):
        for (worker, name, _), row in zip(cases, rows, strict=True):
            if row.error:
                continue
            time.sleep(0.02)  # Until the threads of the one before have stopped spinning.
            try:
                row.milliseconds += worker.ask(
                    "measure", section=section, name=name, setting=setting, seconds=seconds
                )
            except RuntimeError as error:
                row.error = str(error)
    return rows


def measure_apart(script: tuple[str, str]) -> Row:
    """The one that cannot run 2000 windows, in a process of its own, with ten."""
    with Worker(*script) as worker:
        ((_, name, note),) = (case for case in worker.ask("cases") if case[0] == "apart")
        return measure("apart", "ten", [(worker, name, note)], rounds=1, seconds=1)[0]


def memory(script: tuple[str, str], name: str) -> float | None:
    """Megabytes that a case of windows adds to a process of its own."""
    with Worker(*script) as worker:
        try:
            return worker.ask("memory", section="windows", name=name, setting="random", small="one")
        except RuntimeError as error:
            machines.say(f"  {name}: {error}")
            return None


def _quartiles(samples: Sequence[float]) -> tuple[float, float, float]:
    if len(samples) < 2:
        return (samples[0],) * 3
    low, middle, high = statistics.quantiles(samples, method="inclusive")
    return low, middle, high


def _differing(actual: np.ndarray, expected: np.ndarray, tolerance: float) -> float:
    if actual.shape != expected.shape:
        return 1.0
    margin = tolerance * np.abs(expected).max()
    # Not `>`: a NaN differs.
    return float(np.mean(~(np.abs(actual - expected) <= margin)))
