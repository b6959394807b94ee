"""Measures the input pipeline, training on mixed sizes, and training on two devices.

    python benchmarks/training.py
    python benchmarks/training.py --render    # the text again, from the JSON

On the images of `shapes/small`, which are made first if need be. What is
compared takes turns, so that what else the machine does hits all alike. The
results are OUT/training.json, and OUT/training.md for the documents. Linux only.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import machines
import training_tables as tables
from worker import Worker


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes both files."""
    options = _parser().parse_args(arguments)
    if options.render:
        return machines.render(options.out / "training", tables.markdown)
    began = machines.begin()
    machine = machines.describe(f"python benchmarks/training.py --rounds {options.rounds}")
    data = ["--data-dir", str(options.data_dir)] if options.data_dir else []
    rows = []
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(
                Worker(sys.executable, "training_cases.py", [*data, "--devices", devices])
            )
            for devices in ("1", "2")
        )
        machine["versions"] |= one.ask("versions")
        cases = one.ask("cases")
        for section, settings in tables.SETTINGS.items():
            for setting in settings:
                machines.say(f"{section}, {setting}")
                chosen = [(one, name, name, note) for s, name, note in cases if s == section]
                if section == "devices":
                    ((worker, name, _, note),) = chosen
                    chosen = [(worker, name, "one device", note), (two, name, "two devices", "")]
                rows += _measure(section, setting, chosen, options)
                one.ask("forget")
    machines.finish(machine, began)
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "training", machine, rows, text)
    return 0


def _measure(
    section: str,
    setting: str,
    cases: Sequence[tuple[Worker, str, str, str]],
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    rows = []
    for worker, name, label, note in cases:
        keys = {"section": section, "name": name, "setting": setting}
        reply = worker.ask("start", timeout=600, answer="", **keys)
        rows.append({**keys, "name": label, "note": note, "amount": reply["pixels"], "rates": []})
    for _ in range(options.rounds):
        for (worker, name, _, _), row in zip(cases, rows, strict=True):
            keys = {"section": section, "name": name, "setting": setting}
            for sample in worker.ask("measure", timeout=600, seconds=options.seconds, **keys):
                row["rates"].append(row["amount"] / sample * 1000)
    for (worker, name, _, _), row in zip(cases, rows, strict=True):
        row["remark"] = worker.ask("remark", section=section, name=name, setting=setting)
        machines.say(f"  {row['name']}: {statistics.median(row['rates']):.4g} {row['remark']}")
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measures input and training and writes training.json and training.md.",
        epilog="Example: python benchmarks/training.py --rounds 7",
    )
    machines.turn_options(parser, rounds=4, seconds=0.5)
    parser.add_argument("--data-dir", type=Path, help="where `shapes` lies or is made")
    machines.render_option(parser)
    machines.out_option(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
