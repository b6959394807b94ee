"""Measures a whole network on images of one size, beside PyTorch and beside matrix multiplication.

    python3 -m venv .peers
    .peers/bin/pip install torch==2.13.0 numpy
    python benchmarks/network.py --peers .peers/bin/python
    python benchmarks/network.py --render    # the text again, from the JSON

ZF-5 with a pyramid, 16 images of 224x224, forward and a training step. PyTorch has
an environment of its own, that of `pooling.py` or a smaller one, and a C++ compiler;
without --peers only ours is measured. Every system has the same weights and images
and two threads of a CPU. First the scores, and in training all gradients, are compared
with ours: what differs is not timed. Then they take turns, so that what else the
machine does hits all alike. The results are OUT/network.json, and OUT/network.md for
the documents, whose sentences are made of the same figures. Linux only.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import machines
import network_inputs as inputs
import network_tables as tables
import numpy as np
from worker import Worker

# Largest difference from ours that is not an error: float32, summed in other orders. In training
# a maximum that rounding gives to another cell moves a gradient of a convolution.
_TOLERANCES = {"forward": 1e-4, "training": 3e-2}
Case = tuple[Worker, str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes both files; 1 where a system failed or was wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1. Received: {options.rounds}.")
    if options.peers and not shutil.which(options.peers):
        parser.error(f"--peers must be a Python interpreter. Received: {options.peers}.")
    if options.render:
        return machines.render(options.out / "network", tables.markdown)
    began = machines.begin()
    machine = machines.describe(_command(options))
    rows = []
    with ExitStack() as stack:
        scripts: list[tuple[str, str, list[str]]] = [(sys.executable, "network_tensorflow.py", [])]
        if options.peers:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            scripts.append((options.peers, "network_torch.py", []))
            scripts.append((options.peers, "network_torch.py", ["--compile", folder]))
        workers = [stack.enter_context(Worker(*script)) for script in scripts]
        for worker in workers:
            try:
                machine["versions"] |= worker.ask("versions")
            except RuntimeError as error:
                parser.error(f"{worker.command[0]} cannot run the benchmark: {error}")
        cases = [(worker, *case) for worker in workers for case in worker.ask("cases")]
        for section in inputs.SECTIONS:
            for setting in inputs.WIDTHS:
                machines.say(f"{section}, {setting}")
                chosen = [(w, name, note) for w, s, name, note in cases if s == section]
                rows += _measure(section, setting, chosen, options)
                for worker in workers:
                    worker.ask("forget")
    machines.finish(machine, began)
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "network", machine, rows, text)
    return int(any(row["error"] for row in rows))


def _measure(
    section: str, setting: str, cases: Sequence[Case], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Compares each case with ours, the first one, then has all take turns."""
    rows = _start(section, setting, cases)
    for _ in range(options.rounds):
        for (worker, name, _), row in zip(cases, rows, strict=True):
            if row["error"]:
                continue
            time.sleep(0.02)  # Until the threads of the one before have stopped spinning.
            keys = {"section": section, "name": name, "setting": setting}
            try:
                samples = worker.ask("measure_cpu", 600, seconds=options.seconds, **keys)
            except RuntimeError as error:
                row["error"] = str(error)
                continue
            row["milliseconds"] += [round(wall, 2) for wall, _ in samples]
            row["cpu milliseconds"] += [round(cpu, 2) for _, cpu in samples]
    for row in rows:
        cpu = row["cpu milliseconds"]
        machines.say(
            f"  {row['name']}: {row['error'] or f'{statistics.median(cpu):.4g} ms of CPU'}"
        )
    return rows


def _start(section: str, setting: str, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """A row for each case, with its first call and how far its answer is from ours."""
    rows, width, ours = [], inputs.WIDTHS[setting], None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answer.npy"
        for worker, name, note in cases:
            row: dict[str, Any] = {
                **{"section": section, "setting": setting, "name": name, "note": note},
                **{"gflop": _count_gflop(section, name, width), "first s": None},
                **{"difference": None, "error": "", "milliseconds": [], "cpu milliseconds": []},
            }
            rows.append(row)
            keys = {"section": section, "name": name, "setting": setting}
            try:
                reply = worker.ask("start", 600, answer=str(file), **keys)
            except RuntimeError as error:
                row["error"] = str(error)
                continue
            row["first s"] = round(reply["first_ms"] / 1000, 2)
            if not reply["comparable"]:
                continue
            if name == tables.OURS:
                ours = np.load(file)
            if name == tables.OURS or ours is None:
                continue
            row["difference"] = inputs.difference(section, width, np.load(file), ours)
            machines.say(f"  {name}: answers differ by {row['difference']:.1e} at most")
            # Not `>`: a NaN differs.
            if not row["difference"] <= _TOLERANCES[section] and not name.endswith(inputs.WITHOUT):
                row["error"] = f"answers differ by {row['difference']:.1e}"
    return rows


def _count_gflop(section: str, name: str, width: float) -> float:
    matmul = name == tables.MATMUL
    return (2 * inputs.MATMUL**3 if matmul else inputs.count_flops(section, width)) / 1e9


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measures a network beside PyTorch and writes network.json and network.md.",
        epilog="Example: python benchmarks/network.py --peers .peers/bin/python --rounds 15",
    )
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter with torch")
    machines.turn_options(parser, rounds=9, seconds=0.5)
    machines.render_option(parser)
    machines.out_option(parser)
    return parser


def _command(options: argparse.Namespace) -> str:
    peers = " --peers PYTHON" if options.peers else ""
    turns = f" --rounds {options.rounds} --seconds {options.seconds}"
    return f"python benchmarks/network.py{peers}{turns}"


if __name__ == "__main__":
    sys.exit(main())
