"""Measures views pooled from maps against the same views cut out of the pixels.

    spp-keras train zf5_spp/shapes --run runs/shapes-0
    python benchmarks/evaluation.py --run runs/shapes-0 --side 112

Times are those of one photograph of 375x500 in networks of full width and the paper's sizes,
whose weights are random. What it costs in accuracy is measured with RUN on validation images of
`shapes`, views of SIDE pixels and scales in proportion. The results are OUT/evaluation.json, and
OUT/evaluation.md for the documents. Linux only.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import machines
import numpy as np
import tensorflow as tf
from evaluation_peers import FromPixels
from serving_inputs import photographs

from spp_keras import trained, zoo
from spp_keras.data import reading, records
from spp_keras.evaluation import Scorer, protocols, rates

_NETWORKS = ("zf5_spp", "overfeat7_spp")
_SIZE = (375, 500)
_OURS = "from the maps"
_BATCHES = {"cut from the pixels, a batch a scale": 18, "cut from the pixels, one by one": 1}
_TIMED = ("96-view+full", "10-view-map")
_COMPARED = ("10-view-map", "96-view")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes both files."""
    # Each way of asking has graphs of its own, which looks like tracing one over and over.
    tf.get_logger().setLevel("ERROR")
    options = _parser().parse_args(arguments)
    began = machines.begin()
    machine = machines.describe(
        f"python benchmarks/evaluation.py --run {options.run} --images {options.images} "
        f"--rounds {options.rounds} --side {options.side}"
    )
    machine["versions"] |= {"tensorflow": tf.__version__, "keras": keras.__version__}
    rows = _accuracies(options)
    for name in _NETWORKS:
        rows += _times(name, options.rounds)
    machines.finish(machine, began)
    text = _markdown(machine, rows, options)
    machines.publish(options.out / "evaluation", machine, rows, text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True, help="run of an SPP network on `shapes`")
    parser.add_argument("--data-dir", help="where TensorFlow Datasets keeps `shapes`")
    parser.add_argument("--images", type=int, default=240, help="to test on (default: 240)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements (default: 5)")
    parser.add_argument(
        "--side", type=int, default=112, help="of the views of these images (default: 112)"
    )
    machines.out_option(parser)
    return parser


def _accuracies(options: argparse.Namespace) -> list[dict[str, Any]]:
    """How often each is right and how far they are apart, of ten views and of 96."""
    network = trained.load(options.run).network
    found = records.load("shapes", "validation", options.data_dir)
    found = found.select(np.arange(min(options.images, len(found))))
    reader = reading.Reader(found.files, found.spans)
    files = [reader.read(reader.row(number)).numpy() for number in range(len(found))]
    rows = []
    for protocol in _COMPARED:
        machines.say(f"{len(files)} images of shapes, {protocol}")
        of_maps = Scorer(network, protocol, side=options.side)
        of_pixels = FromPixels(network, of_maps.parts, 18)
        pairs = [
            [ask.each(file, size) for ask in (of_maps, of_pixels)]
            for file, size in zip(files, found.sizes.tolist(), strict=True)
        ]
        rows.append({"section": "accuracy", **_comparison(protocol, pairs, found.labels)})
    return rows


def _comparison(
    protocol: str, pairs: Sequence[Sequence[np.ndarray]], labels: np.ndarray
) -> dict[str, Any]:
    maps, pixels = (
        np.stack([scores.mean(axis=0) for scores in one]) for one in zip(*pairs, strict=True)
    )
    right = [scores.argmax(axis=1) == labels for scores in (maps, pixels)]
    distances = [np.abs(of_maps - of_pixels).sum(axis=1) / 2 for of_maps, of_pixels in pairs]
    return {
        "protocol": protocol,
        "images": len(labels),
        "views": statistics.mean(len(of_maps) for of_maps, _ in pairs),
        "top1": {_OURS: rates.top(maps, labels, 1), "pixels": rates.top(pixels, labels, 1)},
        "top5": {_OURS: rates.top(maps, labels, 5), "pixels": rates.top(pixels, labels, 5)},
        "one alone right": int((right[0] != right[1]).sum()),
        "same answer": float((maps.argmax(axis=1) == pixels.argmax(axis=1)).mean()),
        "distance": float(np.abs(maps - pixels).sum(axis=1).mean() / 2),
        "distance of a view": float(np.concatenate(distances).mean()),
    }


def _times(name: str, rounds: int) -> list[dict[str, Any]]:
    """Seconds of each round, in which all take turns."""
    keras.utils.set_random_seed(0)
    network = getattr(zoo, name)(classes=1000)
    (photograph,) = photographs([_SIZE])
    rows, calls = [], []
    for protocol in _TIMED:
        scorer = Scorer(network, protocol)
        peers = {peer: FromPixels(network, scorer.parts, batch) for peer, batch in _BATCHES.items()}
        for who, ask in {_OURS: scorer, **peers}.items():
            rows.append(
                {
                    "section": "times",
                    "network": name,
                    "protocol": protocol,
                    "name": who,
                    "views": sum(len(part.views) for part in scorer.parts(_SIZE)),
                    "pixels": _pixels(scorer.parts(_SIZE), on_maps=who == _OURS),
                    "seconds": [],
                }
            )
            calls.append(ask)
    for number in range(rounds + 1):
        for row, ask in zip(rows, calls, strict=True):
            machines.say(f"round {number}, {name}, {row['protocol']} {row['name']}")
            seconds = _seconds(lambda ask=ask: ask(photograph, _SIZE))
            # The first one makes the graph and what sizes need.
            if number:
                row["seconds"].append(seconds)
    return rows


def _pixels(parts: Sequence[protocols.Part], *, on_maps: bool) -> int:
    """How many are convolved: those of the image and its mirror image, or of each view."""
    if on_maps:
        return sum(2 * part.size[0] * part.size[1] for part in parts)
    windows = [view.window for part in parts for view in part.views]
    return sum((right - left) * (bottom - top) for left, top, right, bottom in windows)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _markdown(
    machine: dict[str, Any], rows: Sequence[dict[str, Any]], options: argparse.Namespace
) -> str:
    timed, compared = (
        [row for row in rows if row["section"] == section] for section in ("times", "accuracy")
    )
    lines = [
        machines.sentence(machine),
        "",
        f"**The views of a JPEG of {_SIZE[0]}x{_SIZE[1]}, full width: seconds**",
        "",
        "Medians (quartiles), and how many times ours that is. All took turns in one run. Dense "
        "layers see every view in all of them.",
        "",
        f"| | million pixels convolved | {' | '.join(f'`{name}`' for name in _NETWORKS)} |",
        "|---|---|" + "---|" * len(_NETWORKS),
        *_timed_lines(timed),
        "",
        f"**Answers for {compared[0]['images']} validation images of `shapes`, "
        f"the network of `{options.run}`, views of {options.side}x{options.side}**",
        "",
        "Distance is total variation: half the sum of what the scores differ by.",
        "",
        "| | top-1, maps | top-1, pixels | one alone right | top-5, maps | top-5, pixels | "
        "same answer | distance | of single views |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_compared_line(row) for row in compared),
        "",
        "The paper has the ten views from the maps within 0.1 points of those from pixels, top-5 "
        "on ImageNet, with views of 224x224 (Section 3.1.5).",
    ]
    return "\n".join(lines) + "\n"


def _timed_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    found = {(row["protocol"], row["name"], row["network"]): row for row in rows}
    for protocol in _TIMED:
        for name in (_OURS, *_BATCHES):
            pairs = [
                (found[protocol, name, network], found[protocol, _OURS, network])
                for network in _NETWORKS
            ]
            row, ours = pairs[0]
            ratio = "" if row is ours else f", x{row['pixels'] / ours['pixels']:.2f}"
            label = f"{row['views']} views {name}"
            label = f"**{label}**" if row is ours else label
            cells = [f"{row['pixels'] / 1e6:.2f}{ratio}", *(_cell(*pair) for pair in pairs)]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def _cell(row: dict[str, Any], ours: dict[str, Any]) -> str:
    low, middle, high = np.quantile(row["seconds"], (0.25, 0.5, 0.75))
    text = f"{middle:.2f} ({low:.2f}-{high:.2f})"
    return text if row is ours else f"{text}, x{middle / statistics.median(ours['seconds']):.2f}"


def _compared_line(row: dict[str, Any]) -> str:
    top1, top5 = ([100 * row[key][who] for who in (_OURS, "pixels")] for key in ("top1", "top5"))
    cells = [
        f"{row['views']:.0f} views",
        *(f"{share:.1f}%" for share in top1),
        str(row["one alone right"]),
        *(f"{share:.1f}%" for share in top5),
        f"{100 * row['same answer']:.1f}%",
        f"{row['distance']:.3f}",
        f"{row['distance of a view']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
