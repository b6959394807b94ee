"""`spp-keras convert`."""

import argparse
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from spp_keras.cli import _arguments
from spp_keras.cli._command import add_command, load_tensorflow

if TYPE_CHECKING:
    from spp_keras.conversion.file_conversion import ConvertedFile


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "convert",
        help="make a Keras CNN take images of any size",
        description="Makes the Keras CNN of a .keras file take images of any size, mixed in a "
        "batch, each answered as if alone, and writes it to another .keras file, which "
        "keras.models.load_model loads after `import spp_keras`. Weights stay what they are. "
        "Global pooling and Flatten become pyramid levels of each image. The file is loaded in "
        "Keras' safe mode; the result is not compiled.",
        examples="  spp-keras convert old.keras --output any.keras\n"
        "  spp-keras convert old.keras --output any.keras --overwrite --json\n"
        "  spp-keras convert transformer.keras --output any.keras --per-image",
    )
    parser.add_argument("file", metavar="FILE", help="a .keras file")
    parser.add_argument("--output", required=True, help="the .keras file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--per-image",
        action="store_true",
        help="where a layer cannot be converted, run the model on one image at a time, which is "
        "slow",
    )
    _arguments.add_json_flag(parser)
    parser.set_defaults(run_command=_convert)


def _convert(options: argparse.Namespace) -> int:
    _check_paths(Path(options.file), Path(options.output), options.overwrite)
    load_tensorflow()
    from spp_keras.conversion import file_conversion

    try:
        converted = file_conversion.convert_file(
            options.file, options.output, per_image=options.per_image
        )
    except ValueError as error:
        if "per_image=True" in str(error):
            error.add_note("On the command line that is --per-image.")
        raise
    if options.json:
        print(json.dumps({**converted._asdict(), "path": str(converted.path)}))
    else:
        print(_describe(converted))
    return 0


def _check_paths(path: Path, output: Path, overwrite: bool) -> None:
    if not path.is_file():
        raise ValueError(f"FILE must be an existing file. Received: {path}.")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ValueError(
            "FILE must be a .keras file, as `model.save` of Keras 3 writes it. Load other formats "
            f"in Python, and call `spp_keras.any_size` on the model. Received: {path}."
        )
    if output.suffix != ".keras":
        raise ValueError(f"--output must end in .keras. Received: --output {output}.")
    if output.is_dir():
        raise ValueError(f"--output must not be a folder. Received: --output {output}.")
    if output.exists() and not overwrite:
        raise ValueError(
            "--output must be a new file: name another one, or replace it by --overwrite. "
            f"Received: --output {output}."
        )


def _describe(converted: "ConvertedFile") -> str:
    """What was done, in one or two sentences."""
    if converted.per_image:
        return f"{converted.path}: runs on one image at a time, since a layer has no rule."
    lines = [
        f"{converted.path}: {converted.layers} layers converted, images of any size from "
        f"{converted.min_size}x{converted.min_size} pixels."
    ]
    if converted.bins is not None:
        rows, columns = converted.bins
        lines.append(f"Layer {converted.pooling!r} is a {rows}x{columns} pyramid level now.")
    return "\n".join(lines)
