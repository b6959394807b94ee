"""What the commands for the tables in small share: options, the machine, a drawing."""

import argparse
import contextlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import machines
import matplotlib.axes
import matplotlib.figure

from spp_keras import _files


def parser(text: str) -> argparse.ArgumentParser:
    """Options of all of them."""
    made = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--runs", type=Path, default=Path("runs/paper"), help="what train.py made")
    made.add_argument("--data-dir", help="where TensorFlow Datasets keeps `shapes`")
    machines.out_option(made)
    return made


Started = tuple[tuple[float, float], dict[str, Any]]


def begin(name: str, options: argparse.Namespace, *packages: str) -> Started:
    """The start, and the machine with the versions of TensorFlow, Keras and other packages."""
    began = machines.begin()
    machine = machines.describe(f"python benchmarks/paper/{name}.py --runs {options.runs}")
    named = ("tensorflow", "keras", *packages)
    machine["versions"] |= {package: metadata.version(package) for package in named}
    return began, machine


def publish(stem: Path, started: Started, rows: list[dict[str, Any]], text: str) -> None:
    """Writes the results, and behind the text on what they were measured."""
    began, machine = started
    machines.finish(machine, began)
    machines.publish(stem, machine, rows, f"{text}\n{machines.sentence(machine)}\n")


@contextlib.contextmanager
def figure(path: Path) -> Iterator[matplotlib.axes.Axes]:
    """Axes to draw on, written as PNG at the end."""
    made = matplotlib.figure.Figure(figsize=(8, 4.5), layout="constrained")
    yield made.subplots()
    with _files.replacing(path) as beside:
        made.savefig(beside, format="png", dpi=100)
