"""Measures our pooling beside the strongest of others, and what mixed sizes cost.

    python3 -m venv .peers
    .peers/bin/pip install torch===2.13.0 torchvision===0.28.0 onnx onnxruntime openvino
    pip install '.[augment]'
    python benchmarks/pooling.py --peers .peers/bin/python
    python benchmarks/pooling.py --render

The peers have an environment of their own, some 5 GB (`===` keeps out a build
"+cpu" of torch, which torchvision does not load with); without --peers only
what TensorFlow has is measured, keras-cv where it is installed. Every system
computes the same from the same seeded inputs, on two threads of a CPU, and is
first checked against plain loops. Then they take turns, so that what else the
machine does hits all alike.

A peer has two rows: as a user writes it first, each level pooled from the map,
and given our algebra, the coarser levels pooled from the finest. The results are
OUT/pooling.json, and OUT/pooling.md for the documents, which says in sentences
what its tables show; --render makes that file of the other. Linux only.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import machines
import pooling_inputs as inputs
import pooling_tables as tables
from pooling_measuring import Row, measure, measure_apart, memory
from worker import Worker

from spp_keras import _files

_MEMORY = (
    "spp_keras",
    f"OpenVINO `ROIPooling`, {inputs.FIRST}",
    f"OpenVINO `ROIPooling`, {inputs.GIVEN}",
    f"OpenVINO `ROIPooling`, joined, {inputs.GIVEN}",
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
    if options.render:
        results = json.loads((options.out / "pooling.json").read_text())
        _files.write_file(options.out / "pooling.md", tables.markdown(results))
        return 0
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
            row.megabytes = memory(commands[row.name], row.name)
    machines.say("keras-cv")
    rows.append(measure_apart(scripts[0]))
    machines.finish(machine, began)

    results = {"machine": machine, "rows": [row.as_json() for row in rows]}
    machines.publish(options.out / "pooling", **results, text=tables.markdown(results))
    return int(any(row.is_ours and (row.error or row.differing) for row in rows))


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
    machines.turn_options(parser, rounds=7, seconds=0.2)
    parser.add_argument(
        "--render",
        action="store_true",
        help="measure nothing: make pooling.md anew from the pooling.json in OUT",
    )
    machines.out_option(parser)
    return parser


def _command(options: argparse.Namespace) -> str:
    peers = " --peers PYTHON" if options.peers else ""
    turns = f" --rounds {options.rounds} --seconds {options.seconds}"
    return f"python benchmarks/pooling.py{peers}{turns}"


if __name__ == "__main__":
    sys.exit(main())
