"""Measures views pooled from feature maps against the same views cropped from the pixels.

    spp-keras train zf5_spp/shapes --output runs/shapes-0
    python benchmarks/evaluation.py --run runs/shapes-0 --view-size 112
    python benchmarks/evaluation.py --render    # the text again, from the JSON

Times are those of one image of 375x500 in networks of full width and the paper's sizes, whose
weights are random. The difference in accuracy is measured with RUN on validation images of
`shapes`, with views of VIEW_SIZE pixels and scales in proportion. The results are
OUT/evaluation.json, and OUT/evaluation.md for the documents. Linux only.
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
from spp_keras.data import image_reader, load_records
from spp_keras.evaluation import Scorer, protocols
from spp_keras.metrics import classification
from spp_keras.report import training_status
from spp_keras.run_folder import RunFolder


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes both files."""
    # Each scorer has graphs of its own, which looks like tracing one over and over.
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
        f"--rounds {options.rounds} --view-size {options.view_size}"
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
        "--view-size", type=int, default=112, help="of the views of these images (default: 112)"
    )
    machines.render_option(parser)
    machines.out_option(parser)
    return parser


def _accuracies(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Accuracy of both and the distance of their scores, with ten views and with 96."""
    network = RunFolder(options.run).model
    records = load_records("shapes", "validation", options.data_dir)
    records = records.select(np.arange(min(options.images, len(records))))
    reader = image_reader.ImageReader(records.files, records.spans)
    files = [reader.read(reader.row(index)).numpy() for index in range(len(records))]
    rows = []
    for protocol in tables.COMPARED:
        machines.say(f"{len(files)} images of shapes, {protocol}")
        from_maps = Scorer(network, protocol, view_size=options.view_size)
        from_pixels = FromPixels(network, from_maps.list_views, 18)
        pairs = [
            [scorer.score_views(file, size) for scorer in (from_maps, from_pixels)]
            for file, size in zip(files, records.sizes.tolist(), strict=True)
        ]
        rows.append({"section": "accuracy", **_compare(protocol, pairs, records.labels)})
    return rows


def _compare(
    protocol: str, pairs: Sequence[Sequence[np.ndarray]], labels: np.ndarray
) -> dict[str, Any]:
    maps, pixels = (
        np.stack([scores.mean(axis=0) for scores in images]) for images in zip(*pairs, strict=True)
    )
    correct = [scores.argmax(axis=1) == labels for scores in (maps, pixels)]
    distances = [
        np.abs(map_scores - crop_scores).sum(axis=1) / 2 for map_scores, crop_scores in pairs
    ]
    return {
        "protocol": protocol,
        "images": len(labels),
        "views": statistics.mean(len(scores) for scores, _ in pairs),
        "top1": {
            tables.OURS: classification.top_k_accuracy(maps, labels, 1),
            "pixels": classification.top_k_accuracy(pixels, labels, 1),
        },
        "top5": {
            tables.OURS: classification.top_k_accuracy(maps, labels, 5),
            "pixels": classification.top_k_accuracy(pixels, labels, 5),
        },
        "one alone right": int((correct[0] != correct[1]).sum()),
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
            peer: FromPixels(network, scorer.list_views, batch)
            for peer, batch in tables.BATCHES.items()
        }
        scaled_views = scorer.list_views(tables.SIZE)
        for label, score in {tables.OURS: scorer, **peers}.items():
            rows.append(
                {
                    "section": "times",
                    "network": name,
                    "protocol": protocol,
                    "name": label,
                    "views": sum(len(scaled.views) for scaled in scaled_views),
                    "pixels": _count_pixels(scaled_views, from_maps=label == tables.OURS),
                    "seconds": [],
                }
            )
            calls.append(score)
    for index in range(rounds + 1):
        for row, score in zip(rows, calls, strict=True):
            machines.say(f"round {index}, {name}, {row['protocol']} {row['name']}")
            seconds = _measure_seconds(lambda score=score: score(photograph, tables.SIZE))
            # The first round traces the graphs.
            if index:
                row["seconds"].append(seconds)
    return rows


def _count_pixels(scaled_views: Sequence[protocols.ScaledViews], *, from_maps: bool) -> int:
    """Number of convolved pixels: of the image and its mirror image, or of each view."""
    if from_maps:
        return sum(2 * scaled.size[0] * scaled.size[1] for scaled in scaled_views)
    windows = [view.window for scaled in scaled_views for view in scaled.views]
    return sum((right - left) * (bottom - top) for left, top, right, bottom in windows)


def _measure_seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
