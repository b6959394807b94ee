"""What the commands for the tables in small share: options, the machine, a drawing."""

import argparse
import contextlib
from collections.abc import Iterator
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


def begin(name: str, options: argparse.Namespace) -> Started:
    """The start, and the machine."""
    import keras
    import tensorflow as tf

    began = machines.begin()
    machine = machines.describe(f"python benchmarks/paper/{name}.py --runs {options.runs}")
    machine["versions"] |= {"tensorflow": tf.__version__, "keras": keras.__version__}
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
