"""Measures our pooling beside the strongest of others, and what mixed sizes cost.

    python3 -m venv .peers
    .peers/bin/pip install torch===2.13.0 torchvision===0.28.0 onnx onnxruntime openvino
    python benchmarks/pooling.py --peers .peers/bin/python

The peers have an environment of their own, some 5 GB (`===` keeps out a build
"+cpu" of torch, which torchvision does not load with); without --peers only
what TensorFlow has is measured. Every system computes the same from the same
seeded inputs, on two threads of a CPU, and is first checked against plain
loops. Then they take turns, so that what else the machine does hits all alike.
The results are OUT/pooling.json, and OUT/pooling.md for the documents. Linux only.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import machines
import numpy as np
import pooling_inputs as inputs
import pooling_tables as tables
from pooling_tables import Row
from worker import Worker

# Largest difference from the loops, as a share of the largest value, that is not a difference.
_TOLERANCES = {"gradient": 1e-6, "network": 1e-5}
_MEMORY = (
    "spp_keras",
    "OpenVINO `ROIPooling`",
    "OpenVINO `ROIPooling`, joined",
    "`tf.image.crop_and_resize`",
    "floor: `tf.fill`",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, writes both files; 1 where one of ours failed or was wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1. Received: {options.rounds}.")
    if options.peers and not shutil.which(options.peers):
        parser.error(f"--peers must be a Python interpreter. Received: {options.peers}.")
    began = machines.begin()
    scripts = [(sys.executable, "pooling_tensorflow.py")]
    if options.peers:
        scripts.append((options.peers, "pooling_peers.py"))
    machine = machines.describe(_command(options))
    rows: list[Row] = []
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(*script)) for script in scripts]
        for worker in workers:
            try:
                machine["versions"] |= worker.ask("versions")
            except RuntimeError as error:
                parser.error(f"{worker.command[0]} cannot run the benchmark: {error}")
        cases = [(worker, *case) for worker in workers for case in worker.ask("cases")]
        commands = {name: worker.command for worker, _, name, _ in cases}
        for section, settings in inputs.SETTINGS.items():
            for setting in settings:
                machines.say(f"{section}, {setting}")
                chosen = [(w, name, note) for w, s, name, note in cases if s == section]
                rows += measure(section, setting, chosen, options.rounds, options.seconds)
                for worker in workers:
                    worker.ask("forget")
    for row in rows:
        if row.section == "windows" and row.setting == "random" and row.name in _MEMORY:
            machines.say(f"memory of {row.name}")
            row.megabytes = _memory(commands[row.name], row.name)
    machines.say("keras-cv")
    rows.append(_apart(scripts[0]))
    machines.finish(machine, began)

    found = [row.as_json() for row in rows]
    machines.publish(options.out / "pooling", machine, found, tables.markdown(machine, rows))
    return int(any(row.is_ours and (row.error or row.differing) for row in rows))


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measures our pooling beside others and writes pooling.json and pooling.md.",
        epilog="Example: python benchmarks/pooling.py --peers .peers/bin/python --rounds 9",
    )
    parser.add_argument(
        "--peers",
        metavar="PYTHON",
        help="interpreter with torch, torchvision, onnxruntime and openvino",
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of each (default: 7)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.2,
        help="length of a turn (default: 0.2), a call at least",
    )
    machines.out_option(parser)
    return parser


def _command(options: argparse.Namespace) -> str:
    peers = " --peers PYTHON" if options.peers else ""
    turns = f" --rounds {options.rounds} --seconds {options.seconds}"
    return f"python benchmarks/pooling.py{peers}{turns}"


def _differing(actual: np.ndarray, expected: np.ndarray, tolerance: float) -> float:
    if actual.shape != expected.shape:
        return 1.0
    margin = tolerance * np.abs(expected).max()
    # Not `>`: a NaN differs.
    return float(np.mean(~(np.abs(actual - expected) <= margin)))


def _memory(script: tuple[str, str], name: str) -> float | None:
    with Worker(*script) as worker:
        try:
            return worker.ask("memory", section="windows", name=name, setting="random", small="one")
        except RuntimeError as error:
            machines.say(f"  {name}: {error}")
            return None


def _apart(script: tuple[str, str]) -> Row:
    """The one that cannot run 2000 windows, in a process of its own, with ten."""
    with Worker(*script) as worker:
        ((_, name, note),) = (case for case in worker.ask("cases") if case[0] == "apart")
        return measure("apart", "ten", [(worker, name, note)], rounds=1, seconds=1)[0]


if __name__ == "__main__":
    sys.exit(main())
