"""Measures a whole detection, SPP against R-CNN of the same precision and the same dense layers.

    python benchmarks/detection.py              # measures, some 25 minutes on two quiet cores
    python benchmarks/detection.py --render     # table and picture again, of what was measured

2,000 windows of a photograph of 375x500 in ZF-5 of full width, whose weights are random: from
pixels to boxes, and selective search by itself. Every system is there in float32 and bfloat16,
with its dense layers whole and as products of thin ones (SVD). The results are
OUT/detection_speed.json, and .md and .png that are made from it alone. Linux only.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

import detection_tables as tables
import machines
from worker import ENVIRONMENT

from spp_keras import _files

_STEM = "detection_speed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the files, or only those that follow from the JSON."""
    options = _parser().parse_args(arguments)
    path = options.out / f"{_STEM}.json"
    if not options.render:
        _files.write_file(path, json.dumps(_measured(options), indent=1) + "\n")
    results = json.loads(path.read_text())
    _files.write_file(path.with_suffix(".md"), tables.markdown(results))
    tables.draw(results, path.with_suffix(".png"))
    machines.say(f"{path.with_suffix('.md')}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--render", action="store_true", help="measure nothing: .md and .png of the .json"
    )
    parser.add_argument("--rounds", type=int, default=5, help="measurements (default: 5)")
    parser.add_argument("--windows", type=int, default=2000, help="of an image (default: 2000)")
    parser.add_argument("--width", type=float, default=1.0, help="of the network (default: 1)")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        default=(375, 500),
        metavar=("HEIGHT", "WIDTH"),
        help="of the photograph (default: 375 500)",
    )
    parser.add_argument(
        "--ranks", type=int, nargs=2, default=(256, 128), help="of fc6 and fc7 (default: 256 128)"
    )
    machines.out_option(parser)
    return parser


def _measured(options: argparse.Namespace) -> dict:
    began = machines.begin()
    # Before TensorFlow is loaded.
    os.environ.update(ENVIRONMENT)
    import detection_cases as cases

    machine = machines.describe(
        f"python benchmarks/detection.py --rounds {options.rounds} --windows {options.windows} "
        f"--width {options.width:g} --size {options.size[0]} {options.size[1]} "
        f"--ranks {options.ranks[0]} {options.ranks[1]}"
    )
    machine["versions"] |= cases.versions()
    settings = cases.Settings(
        options.rounds, options.windows, options.width, tuple(options.size), tuple(options.ranks)
    )
    results = cases.measure(settings)
    machines.finish(machine, began)
    return {"machine": machine, **results}


if __name__ == "__main__":
    sys.exit(main())
