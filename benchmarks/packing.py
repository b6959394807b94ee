"""Measures batches of mixed sizes, packed, padded and one by one, beside batches of one size.

    python benchmarks/packing.py
    python benchmarks/packing.py --sections random --rounds 3
    python benchmarks/packing.py --render    # the text again, from the JSON

Through plain `model.fit` and `model.predict`, as a user calls them. What is compared takes turns,
so that what else the machine does hits all alike. The results are OUT/packing.json, and
OUT/packing.md for the documents. The images of `shapes/small` are made first if need be. Linux
only.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machines
import packing_tables as tables
from worker import Worker


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes both files."""
    options = _parse_options(arguments)
    if options.render:
        return machines.render(options.out / "packing", tables.markdown)
    began = machines.begin()
    machine = machines.describe(_name_command(options))
    settings = ["--shrink", str(options.shrink)]
    if options.data_dir:
        settings += ["--data-dir", str(options.data_dir)]
    rows = []
    for section in options.sections:
        for setting in tables.SETTINGS[section]:
            # A process of its own: graphs and memory of another setting are gone.
            with Worker(sys.executable, "packing_cases.py", settings) as worker:
                machine["versions"] |= worker.ask("versions")
                machines.say(f"{section}, {setting}")
                rows += _measure(worker, section, setting, options)
    machines.finish(machine, began)
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "packing", machine, rows, text)
    return 0


def _measure(
    worker: Worker, section: str, setting: str, options: argparse.Namespace
) -> list[dict[str, Any]]:
    rows = []
    for of_section, name, note in worker.ask("cases"):
        if of_section == section:
            keys = {"section": section, "name": name, "setting": setting}
            reply = worker.ask("start", timeout=1800, answer="", **keys)
            rows.append({**keys, "note": note, "pixels": reply["pixels"]})
    for _ in range(options.rounds):
        for row in rows:
            keys = {key: row[key] for key in ("section", "name", "setting")}
            samples = worker.ask("measure_cpu", timeout=1800, seconds=options.seconds, **keys)
            for index, key in enumerate(("milliseconds", "cpu milliseconds")):
                row.setdefault(key, []).append(sum(s[index] for s in samples) / len(samples))
    for row in rows:
        keys = {key: row[key] for key in ("section", "name", "setting")}
        row["fill"] = float(worker.ask("remark", **keys))
        machines.say(f"  {row['name']}: {tables.describe_rate(row)}")
    return rows


def _parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    machines.turn_options(parser, rounds=7, seconds=0.0)
    parser.add_argument(
        "--sections", nargs="+", choices=tables.SETTINGS, default=list(tables.SETTINGS)
    )
    parser.add_argument(
        "--shrink", type=int, default=1, help="divides all sides, to try the command (default: 1)"
    )
    parser.add_argument("--data-dir", type=Path, help="where `shapes` lies or is made")
    machines.render_option(parser)
    machines.out_option(parser)
    return parser.parse_args(arguments)


def _name_command(options: argparse.Namespace) -> str:
    command = f"python benchmarks/packing.py --rounds {options.rounds}"
    if options.sections != list(tables.SETTINGS):
        command += f" --sections {' '.join(options.sections)}"
    return command + (f" --shrink {options.shrink}" if options.shrink != 1 else "")


if __name__ == "__main__":
    sys.exit(main())
