"""Holds converted networks against their originals: each image of a batch beside the image alone.

    python benchmarks/any_size.py
    python benchmarks/any_size.py --families MobileNetV2 ResNet50

Every family of convolutional networks of `keras.applications`, and backbones of keras-hub where
it is installed, with random weights and non-trivial normalization. Images of odd sizes lie in a
padded batch and on two canvases, as close as the rules of the network allow; what lies beyond
them is 1e6 and NaN. The difference is the largest from the original network on the image alone,
as a share of its largest value. Beside it: what a batch padded with zeros gives without
`spp_keras.any_size`. The results are OUT/any_size.json, and OUT/any_size.md for the documents.
"""

import argparse
import datetime
import importlib.metadata
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import any_size_cases as cases  # noqa: E402
import keras  # noqa: E402
import network_families  # noqa: E402
import numpy as np  # noqa: E402

from spp_keras import _files, any_size  # noqa: E402
from spp_keras.models.graph_run import find_entrance  # noqa: E402

SIDE = 224


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares all families and writes both files; 1 where an accepted one differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--families", nargs="+", metavar="NAME", help="these alone")
    options = parser.parse_args(arguments)
    families = list_families()
    unknown = set(options.families or ()) - set(families)
    if unknown:
        parser.error(f"--families must be of {sorted(families)}. Received: {sorted(unknown)}.")
    rows = []
    for name in options.families or families:
        keras.utils.clear_session()
        rows.append({"family": name, **compare_family(families[name])})
        print(describe_row(rows[-1]), flush=True)
    results = {
        "command": "python benchmarks/any_size.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("spp_keras", "keras", "keras-hub", "tensorflow")
        },
        "sizes": [list(size) for size in cases.SIZES],
        "rows": rows,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    with _files.replace_file(options.out / "any_size.json") as path:
        path.write_text(json.dumps(results, indent=1) + "\n")
    with _files.replace_file(options.out / "any_size.md") as path:
        path.write_text(make_markdown(results))
    return int(any(max(row.get("differences", [0])) > 1e-5 for row in rows))


def list_families() -> dict[str, Callable[[], keras.Model]]:
    """Functions that build the networks, by name."""
    families: dict[str, Callable[[], keras.Model]] = {
        name: lambda name=name: network_families.build_application(name)  # type: ignore[misc]
        for name in network_families.APPLICATIONS
    }
    families["NASNetMobile"] = lambda: network_families.build_application("NASNetMobile")
    return families


def compare_family(build: Callable[[], keras.Model]) -> dict[str, Any]:
    """What `any_size` makes of a network, and by how much it differs from images alone."""
    original = build()
    row: dict[str, Any] = {
        "parameters": original.count_params(),
        "layers": len(original.layers),
    }
    try:
        converted = any_size(original)
    except ValueError as error:
        return {**row, "refused": str(error)}
    cases.randomize(original, side=128)
    images = cases.make_images(pixels=cases.takes_pixels(original))
    entrance = find_entrance(converted)
    rules = entrance.canvas_rules
    return {
        **row,
        "differences": [float(x) for x in cases.compare(original, converted, images, rules)],
        "zero_padding": compare_zero_padding(original, images),
        "min_size": entrance.min_size,
        "stride": rules.stride,
        "gap": rules.footprint(SIDE, SIDE)[0] - SIDE,
    }


def compare_zero_padding(original: keras.Model, images: Sequence[np.ndarray]) -> float:
    """By how much a batch padded with zeros differs from images alone, without sizes."""
    padded = cases.pad(images, margins=(0, 0), filler=(0.0,))["images"]
    batch = np.asarray(original(padded))
    largest = difference = 0.0
    for image, maps in zip(images, batch, strict=True):
        alone = np.asarray(original(image[np.newaxis]))[0]
        rows, columns = alone.shape[:2]
        largest = max(largest, float(np.abs(alone).max()))
        difference = max(difference, float(np.abs(maps[:rows, :columns] - alone).max()))
    return difference / largest


def describe_row(row: dict[str, Any]) -> str:
    """A line of the table."""
    start = f"| {row['family']} | {row['parameters'] / 1e6:.1f} | {row['layers']}"
    if "refused" in row:
        return f"{start} | refused: {row['refused'].partition('.')[0]} | | | | | |"
    padded, packed = row["differences"]
    return (
        f"{start} | {padded:.0e} | {packed:.0e} | {row['zero_padding']:.0%} | {row['min_size']} "
        f"| {row['stride']} | {row['gap']} |"
    )


def make_markdown(results: dict[str, Any]) -> str:
    """The table and what it is of."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    sizes = ", ".join(f"{height}x{width}" for height, width in results["sizes"])
    lines = [
        f"Made on {results['date']} by `{results['command']}`; {versions}.",
        "",
        f"Images of {sizes} with random weights. The differences are the largest from the "
        "original network on the image alone, as a share of its largest value: in a padded batch, "
        "on canvases with several images, and in a batch padded with zeros without `any_size`. "
        f"The gap is what has to be free between two images of {SIDE} pixels on a canvas.",
        "",
        "| network | million parameters | layers | padded | canvases | zero padding alone "
        "| least size | stride | gap |",
        "|---|---|---|---|---|---|---|---|---|",
        *(describe_row(row) for row in results["rows"]),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
