"""Holds converted networks against their originals: each image of a batch beside the image alone.

    pip install keras-hub '.[augment]'
    python benchmarks/any_size.py
    python benchmarks/any_size.py --networks MobileNetV2 ResNet50
    python benchmarks/any_size.py --render    # the text again, from the JSON

A member of every family of convolutional networks of `keras.applications`, and backbones of
keras-hub and keras-cv with small settings where they are installed, with random weights and
non-trivial normalization. Images of odd sizes, of those that the network takes itself, lie in a
padded batch and on two canvases, as close as the rules of the network allow; what lies beyond
them is 1e6 and NaN. The results are OUT/any_size.json, and OUT/any_size.md for the documents.
"""

import argparse
import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import any_size_tables as tables
import machines

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import any_size_cases as cases
import hub_families
import keras
import network_families
import numpy as np

from spp_keras import any_size
from spp_keras.models.graph_run import find_entrance

_SIDE = 224
_PACKAGES = ("spp_keras", "keras", "keras-hub", "keras-cv", "tensorflow")

Build = Callable[[], keras.Model]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares all networks and writes both files; 1 where an accepted one differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="these alone")
    machines.render_option(parser)
    machines.out_option(parser)
    options = parser.parse_args(arguments)
    if options.render:
        return machines.render(options.out / "any_size", tables.markdown)
    networks = _list_networks()
    unknown = set(options.networks or ()) - {name for _, name, _ in networks}
    if unknown:
        parser.error(f"--networks must be names of the table. Received: {sorted(unknown)}.")
    began = machines.begin()
    machine = machines.describe("python benchmarks/any_size.py")
    machine["versions"] |= _find_versions()
    rows = []
    for section, name, build in networks:
        if options.networks and name not in options.networks:
            continue
        keras.utils.clear_session()
        rows.append({"section": section, "name": name, **_compare(build)})
        machines.say(tables.describe_row(rows[-1]))
    machines.finish(machine, began)
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "any_size", machine, rows, text)
    return int(any(max(row.get("differences", [0])) > tables.TOLERANCE for row in rows))


def _list_networks() -> list[tuple[str, str, Build]]:
    """Section, name and builder of every network."""
    networks: list[tuple[str, str, Build]] = [
        ("applications", name, partial(network_families.build_application, name))
        for name in (*network_families.APPLICATIONS, "MobileNetV3Small", "NASNetMobile")
    ]
    networks.append(("applications", "NASNetMobile, built for 97", network_families.build_nasnet))
    for section, make in (
        ("keras-hub", hub_families.make_hub_families),
        ("keras-cv", hub_families.make_cv_families),
    ):
        try:
            families = make()
        except ImportError:
            machines.say(f"{section} is not installed")
            continue
        networks += [(section, name, build) for name, build in families.items()]
    return networks


def _find_versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _compare(build: Build) -> dict[str, Any]:
    """What `any_size` makes of a network, and by how much it differs from images alone."""
    original = hub_families.make_pyramid(build())
    row: dict[str, Any] = {"parameters": original.count_params(), "layers": len(original.layers)}
    try:
        converted = any_size(original)
    except ValueError as error:
        return {**row, "refused": str(error)}
    entrance = find_entrance(converted)
    sizes = _choose_sizes(entrance)
    cases.randomize(original, side=sizes[0])
    images = cases.make_images(sizes, pixels=cases.takes_pixels(original))
    rules = entrance.canvas_rules
    return {
        **row,
        "sizes": sizes,
        "differences": list(cases.compare(original, converted, images, rules)),
        "zero padding": _compare_zero_padding(original, images),
        "least size": entrance.min_size,
        "stride": rules.stride,
        "gap": rules.footprint(_SIDE, _SIDE)[0] - _SIDE,
    }


def _choose_sizes(entrance: Any) -> list[tuple[int, int]]:
    """The sizes nearest to those of the tests that a network takes, from below and above."""

    def choose(axis: int, side: int) -> int:
        near = sorted(range(side - 64, side + 64), key=lambda other: (abs(other - side), other))
        return next(other for other in near if cases.fits(entrance, axis, other))

    return [(choose(0, height), choose(1, width)) for height, width in cases.SIZES]


def _compare_zero_padding(original: keras.Model, images: Sequence[np.ndarray]) -> float:
    """By how much a batch padded with zeros differs from images alone, without `any_size`.

    Its sides are multiples of 64, at which every network runs.
    """
    height, width = (-(-max(image.shape[axis] for image in images) // 64) * 64 for axis in (0, 1))
    batch = np.zeros((len(images), height, width, 3), "float32")
    for padded, image in zip(batch, images, strict=True):
        padded[: image.shape[0], : image.shape[1]] = image
    alone = [_flatten(original(image[np.newaxis])) for image in images]
    try:
        outputs = _flatten(original(batch))
    except Exception:
        # NASNet runs at no multiples of 64, at 97 for instance.
        outputs = _flatten(original(np.pad(batch, [(0, 0), (0, 1), (0, 1), (0, 0)])))
    return max(
        _compare_output(*pair) for pair in zip(outputs, zip(*alone, strict=True), strict=True)
    )


def _flatten(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


def _compare_output(output: np.ndarray, alone: Sequence[np.ndarray]) -> float:
    difference = 0.0
    for maps, (expected,) in zip(output, alone, strict=True):
        found = maps[tuple(slice(0, side) for side in expected.shape)]
        difference = max(difference, float(np.abs(found - expected).max()))
    return difference / max(float(np.abs(expected).max()) for expected in alone)


if __name__ == "__main__":
    sys.exit(main())
