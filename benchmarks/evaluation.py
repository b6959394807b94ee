"""Measures views pooled from maps against the same views cut out of the pixels.

    spp-keras train zf5_spp/shapes --run runs/shapes-0
    python benchmarks/evaluation.py --run runs/shapes-0 --side 112
    python benchmarks/evaluation.py --render    # the text again, from the JSON

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

import evaluation_tables as tables
import keras
import machines
import numpy as np
import tensorflow as tf
from evaluation_peers import FromPixels
from serving_inputs import photographs

import spp_keras
from spp_keras import zoo
from spp_keras.data import image_reader, records
from spp_keras.evaluation import Scorer, protocols
from spp_keras.metrics import classification
from spp_keras.report import training_status
from spp_keras.run_folder import RunFolder


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes both files."""
    # Each way of asking has graphs of its own, which looks like tracing one over and over.
    tf.get_logger().setLevel("ERROR")
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.render:
        return machines.render(options.out / "evaluation", tables.markdown)
    if not options.run:
        parser.error("--run must be the folder of a training, unless --render is given.")
    began = machines.begin()
    machine = machines.describe(
        f"python benchmarks/evaluation.py --run {options.run} --images {options.images} "
        f"--rounds {options.rounds} --side {options.side}"
    )
    packages = (spp_keras, tf, keras)
    machine["training"] = training_status.describe_training([options.run])
    machine["versions"] |= {package.__name__: package.__version__ for package in packages}
    rows = _accuracies(options)
    for name in tables.NETWORKS:
        rows += _times(name, options.rounds)
    machines.finish(machine, began)
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "evaluation", machine, rows, text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="run of an SPP network on `shapes`")
    parser.add_argument("--data-dir", help="where TensorFlow Datasets keeps `shapes`")
    parser.add_argument("--images", type=int, default=240, help="to test on (default: 240)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements (default: 5)")
    parser.add_argument(
        "--side", type=int, default=112, help="of the views of these images (default: 112)"
    )
    machines.render_option(parser)
    machines.out_option(parser)
    return parser


def _accuracies(options: argparse.Namespace) -> list[dict[str, Any]]:
    """How often each is right and how far they are apart, of ten views and of 96."""
    network = RunFolder(options.run).model
    found = records.load_records("shapes", "validation", options.data_dir)
    found = found.select(np.arange(min(options.images, len(found))))
    reader = image_reader.ImageReader(found.files, found.spans)
    files = [reader.read(reader.row(number)).numpy() for number in range(len(found))]
    rows = []
    for protocol in tables.COMPARED:
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
        "top1": {
            tables.OURS: classification.top_k_accuracy(maps, labels, 1),
            "pixels": classification.top_k_accuracy(pixels, labels, 1),
        },
        "top5": {
            tables.OURS: classification.top_k_accuracy(maps, labels, 5),
            "pixels": classification.top_k_accuracy(pixels, labels, 5),
        },
        "one alone right": int((right[0] != right[1]).sum()),
        "same answer": float((maps.argmax(axis=1) == pixels.argmax(axis=1)).mean()),
        "distance": float(np.abs(maps - pixels).sum(axis=1).mean() / 2),
        "distance of a view": float(np.concatenate(distances).mean()),
    }


def _times(name: str, rounds: int) -> list[dict[str, Any]]:
    """Seconds of each round, in which all take turns."""
    keras.utils.set_random_seed(0)
    network = getattr(zoo, name)(classes=1000)
    (photograph,) = photographs([tables.SIZE])
    rows, calls = [], []
    for protocol in tables.TIMED:
        scorer = Scorer(network, protocol)
        peers = {
            peer: FromPixels(network, scorer.parts, batch) for peer, batch in tables.BATCHES.items()
        }
        for who, ask in {tables.OURS: scorer, **peers}.items():
            rows.append(
                {
                    "section": "times",
                    "network": name,
                    "protocol": protocol,
                    "name": who,
                    "views": sum(len(part.views) for part in scorer.parts(tables.SIZE)),
                    "pixels": _pixels(scorer.parts(tables.SIZE), on_maps=who == tables.OURS),
                    "seconds": [],
                }
            )
            calls.append(ask)
    for number in range(rounds + 1):
        for row, ask in zip(rows, calls, strict=True):
            machines.say(f"round {number}, {name}, {row['protocol']} {row['name']}")
            seconds = _seconds(lambda ask=ask: ask(photograph, tables.SIZE))
            # The first one makes the graph and what sizes need.
            if number:
                row["seconds"].append(seconds)
    return rows


def _pixels(parts: Sequence[protocols.ScaledViews], *, on_maps: bool) -> int:
    """How many are convolved: those of the image and its mirror image, or of each view."""
    if on_maps:
        return sum(2 * part.size[0] * part.size[1] for part in parts)
    windows = [view.window for part in parts for view in part.views]
    return sum((right - left) * (bottom - top) for left, top, right, bottom in windows)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
