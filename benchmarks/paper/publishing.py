"""What the commands for the tables in small share: options, results as JSON, text and drawing."""

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import convergence
import machines
import matplotlib.axes
import matplotlib.figure
import networks

from spp_keras import _files

# From the content of a JSON file to the tables and verdicts in Markdown.
Markdown = Callable[[dict[str, Any]], str]
Draw = Callable[[list[dict[str, Any]], Path], None]
# Whose networks were trained again when it was recorded how far trainings had come.
_AGAIN = "sizes"
Started = tuple[tuple[float, float], dict[str, Any]]


def parser(text: str) -> argparse.ArgumentParser:
    """Options of all of them."""
    made = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--runs", type=Path, default=Path("runs/paper"), help="what train.py made")
    shared_options(made)
    return made


def shared_options(made: argparse.ArgumentParser) -> None:
    """Where the data lie, where results go, and whether to measure."""
    made.add_argument("--data-dir", help="where TensorFlow Datasets keeps `shapes`")
    made.add_argument(
        "--render", action="store_true", help="measure nothing: text and drawing from the JSON"
    )
    machines.out_option(made)


def begin(name: str, options: argparse.Namespace, *packages: str) -> Started:
    """The start, and the machine with the versions of TensorFlow, Keras and other packages."""
    began = machines.begin()
    machine = machines.describe(f"python benchmarks/paper/{name}.py --runs {options.runs}")
    named = ("tensorflow", "keras", *packages)
    machine["versions"] |= {package: metadata.version(package) for package in named}
    return began, machine


def keep(stem: Path, started: Started, facts: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Writes what was measured, on what and with which networks, as JSON."""
    began, machine = started
    machines.finish(machine, began)
    results = {"machine": machine, "facts": facts, "rows": rows}
    _files.write_file(stem.with_suffix(".json"), json.dumps(results, indent=1) + "\n")
    machines.say(f"{stem.with_suffix('.json')} after {machine['minutes']} minutes")


def read(stem: Path) -> dict[str, Any]:
    """What `keep` has written."""
    return json.loads(stem.with_suffix(".json").read_text())


def render(stem: Path, markdown: Markdown, draw: Draw | None = None) -> None:
    """Writes the text, and draws, from the JSON alone."""
    _files.write_file(stem.with_suffix(".md"), text(stem, markdown))
    if draw:
        draw(read(stem)["rows"], stem.with_suffix(".png"))


def text(stem: Path, markdown: Markdown) -> str:
    """Tables and verdicts, how long the networks were trained, and on what it was measured."""
    results, again = read(stem), stem.with_name(_AGAIN)
    same = (
        results["facts"].get("recipes") == networks.RECIPES and again.with_suffix(".json").exists()
    )
    known = convergence.sentence(results["facts"], read(again)["facts"] if same else None)
    command = results["machine"]["command"].partition(" --")[0]
    return (
        f"{markdown(results)}\n{known}\n\n"
        f"{machines.sentence(results['machine'])} This text is made of `{stem.name}.json`, without "
        f"measuring, by `{command} --render`.\n"
    )


@contextlib.contextmanager
def figure(path: Path) -> Iterator[matplotlib.axes.Axes]:
    """Axes to draw on, written as PNG at the end."""
    made = matplotlib.figure.Figure(figsize=(8, 4.5), layout="constrained")
    yield made.subplots()
    with _files.replace_file(path) as beside:
        made.savefig(beside, format="png", dpi=100)
