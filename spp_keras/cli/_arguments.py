"""Arguments that several commands share."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from spp_keras import run_folder
from spp_keras.recipes import fields
from spp_keras.zoo import networks

# Keys of recipes that are arguments of their own, or not for the command line.
_NOT_FLAGS = ("task", "run")


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs to read")


def add_data_flags(parser: argparse.ArgumentParser, default: str) -> None:
    """Adds `--data`, `--data-dir` and `--split`."""
    parser.add_argument(
        "--data", default="", help=f"image folder or name of a data set (default: {default})"
    )
    parser.add_argument(
        "--data-dir", default="", metavar="DIR", help="where TensorFlow Datasets keeps its data"
    )
    parser.add_argument("--split", default="", help="split of the data (default: validation)")


def add_recipe_flags(parser: argparse.ArgumentParser, recipe_class: type) -> None:
    """Adds a flag for each key of a recipe, with its meaning from the recipe's docstring."""
    group = parser.add_argument_group("keys of the recipe")
    descriptions = fields.describe_fields(recipe_class)
    for field in dataclasses.fields(recipe_class):
        if field.name in _NOT_FLAGS:
            continue
        flag = f"--{field.name.replace('_', '-')}"
        # argparse formats help texts with %.
        options: dict[str, Any] = {
            "help": descriptions[field.name].replace("`", "").replace("%", "%%"),
            "default": argparse.SUPPRESS,
        }
        if field.type is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif field.type in (str, int, float):
            options["type"] = field.type
            options["metavar"] = {int: "N", float: "X"}.get(field.type, field.name.upper())
        else:
            options["type"] = _parse_names if field.type == tuple[str, ...] else parse_sizes
            options["metavar"] = "NAME[,...]" if field.type == tuple[str, ...] else "N[,...]"
        group.add_argument(flag, **options)


def get_recipe_overrides(options: argparse.Namespace, recipe_class: type) -> dict[str, Any]:
    """The keys of a recipe that were given on the command line."""
    names = [field.name for field in dataclasses.fields(recipe_class)]
    return {
        name: getattr(options, name)
        for name in names
        if name not in _NOT_FLAGS and hasattr(options, name)
    }


def choose_run(path: str) -> Path:
    """The run folder of an argument, or an error that names the runs there are."""
    if Path(path).exists():
        return Path(path)
    from spp_keras import pretrained

    names = pretrained.list_pretrained()
    if path in names:
        from spp_keras.cli._command import load_tensorflow

        load_tensorflow()
        return pretrained.find_run(path)
    hint = ""
    if path in networks.list_networks():
        hint = f" {path} is a network: `spp-keras train {path} --data photos/` trains it."
    raise ValueError(
        "RUN must be an existing folder, or the name of a network with weights, of "
        f"{', '.join(names)}.{hint} {describe_runs()} Received: {path}."
    )


def describe_runs() -> str:
    """A sentence that names the run folders here, the newest first."""
    names = ", ".join(str(run) for run in list_runs()[:5])
    return f"Runs here, the newest first: {names or 'none; `spp-keras train` makes one'}."


def list_runs() -> list[Path]:
    """Run folders in `runs` and in the current folder, the newest first."""
    files = [*Path().glob(f"runs/*/{run_folder.RECIPE}"), *Path().glob(f"*/{run_folder.RECIPE}")]
    files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    return [file.parent for file in files]


def parse_sizes(text: str) -> tuple[Any, ...]:
    """Integers with commas between; `4x3` is a pair of rows and columns."""
    try:
        return tuple(_parse_size(part) for part in text.strip("[]() ").split(",") if part.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be whole numbers with commas between, not {text!r}"
        ) from error


def _parse_size(text: str) -> Any:
    if "x" in text:
        rows, columns = (int(part) for part in text.split("x"))
        return rows, columns
    return int(text)


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
