"""On which machine a benchmark ran, how busy it was, and what it said."""

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker import ENVIRONMENT, THREADS

from spp_keras import _files


def describe(command: str) -> dict[str, Any]:
    """What a reader of the results must know of the machine."""
    cpu = Path("/proc/cpuinfo").read_text().partition("model name")[2].partition(":")[2]
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": cpu.partition("\n")[0].strip() or platform.processor(),
        "cores": os.cpu_count(),
        "threads": THREADS,
        "environment": ENVIRONMENT,
        "versions": {"python": platform.python_version()},
    }


def sentence(machine: dict[str, Any]) -> str:
    """The same for a Markdown file."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured on {machine['date']} by `{machine['command']}` on a CPU: "
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads each, "
        f"{machine['cores busy with other programs']} cores busy with other programs meanwhile; "
        f"{versions}."
    )


def caution(machine: dict[str, Any]) -> list[str]:
    """What a reader must know of code that was no release, as lines of Markdown."""
    version = machine["versions"].get("spp_keras")
    if version is None:
        code = "The version of spp_keras was not noted"
    elif "dev" in version:
        code = f"spp_keras {version} was no release"
    else:
        return []
    return ["", f"{code}: the code has changed since, and this is being measured again."]


def trained_for(found: dict[str, Any]) -> str:
    """Whether the network that was asked had stopped learning, if that was noted."""
    missing = "Whether the network had stopped learning was not noted."
    return found.get("training") or missing


def turn_options(parser: argparse.ArgumentParser, rounds: int, seconds: float) -> None:
    """Adds `--rounds` and `--seconds` with these defaults."""
    parser.add_argument(
        "--rounds", type=int, default=rounds, help=f"turns of each (default: {rounds})"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=seconds,
        help=f"length of a turn (default: {seconds}), a call at least",
    )


def render_option(parser: argparse.ArgumentParser) -> None:
    """Whether to make the text anew from figures that are there."""
    parser.add_argument(
        "--render", action="store_true", help="measure nothing: make OUT's .md from its .json"
    )


def render(stem: Path, markdown: Callable[[dict[str, Any]], str]) -> int:
    """Makes the text of a benchmark from its figures, and returns the exit code."""
    results = json.loads(stem.with_suffix(".json").read_text())
    _files.write_file(stem.with_suffix(".md"), markdown(results))
    return 0


def out_option(parser: argparse.ArgumentParser) -> None:
    """Where the results go."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent / "results",
        help="folder for the results (default: benchmarks/results)",
    )


def begin() -> tuple[float, float]:
    """What `finish` needs to know of the start."""
    return time.perf_counter(), foreign_seconds()


def finish(machine: dict[str, Any], began: tuple[float, float]) -> None:
    """Adds how long it took and how busy the machine was meanwhile."""
    start, foreign = began
    elapsed = time.perf_counter() - start
    machine["minutes"] = round(elapsed / 60, 1)
    busy = max(0.0, foreign_seconds() - foreign) / elapsed
    machine["cores busy with other programs"] = round(busy, 2)


def publish(stem: Path, machine: dict[str, Any], rows: list[dict[str, Any]], text: str) -> None:
    """Writes the results, for programs and for the documents."""
    results = {"machine": machine, "rows": rows}
    _files.write_file(stem.with_suffix(".json"), json.dumps(results, indent=1) + "\n")
    _files.write_file(stem.with_suffix(".md"), text)
    say(f"{stem.with_suffix('.md')} after {machine['minutes']} minutes")


def foreign_seconds() -> float:
    """Processor time that other programs than this one have taken since the machine started."""
    user, nice, system = (int(ticks) for ticks in Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


def say(text: str) -> None:
    """A line for who waits."""
    print(text, file=sys.stderr, flush=True)
