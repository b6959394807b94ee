"""Measures a whole detection, SPP against R-CNN, and what makes it quicker still.

    spp-keras train zf5_spp/shapes --run runs/shapes-0
    python benchmarks/detection.py --run runs/shapes-0

2,000 windows of a photograph of 375x500 in full-width ZF-5, whose weights are random, from
pixels to boxes but for the proposals. What each step costs in mAP is measured on a detector
that has learned: that of RUN, on the validation images of `shapes`, its scale halved and its
ranks in proportion to its width; what it learned is kept in WORK. The results are
OUT/detection_speed.json, .md and .png. Linux only.
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import detection_examples
import keras
import machines
import numpy as np
import tensorflow as tf

from spp_keras import _files, trained, zoo
from spp_keras.detection import (
    evaluation,
    fine_tuning,
    heads,
    maps,
    quick,
    scores,
    variants,
)
from spp_keras.detection.detector import FIVE_SCALES, ONE_SCALE, SIDE, Detector
from spp_keras.detection.rcnn import RegionDetector
from spp_keras.detection.selective_search import selective_search
from spp_keras.zoo import boxes as cutting

_SIZE = (375, 500)
_WINDOWS = 2000
_RIVAL = "R-CNN, float32"
_PLAIN = "SPP, 1 scale, float32"
_COUNTS = (10, 30, 100, 300, 1000, 2000, 5000, 10_000, 20_000)
_SIZES = ((188, 250), (375, 500), (750, 1000))


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what is missing, measures and writes the files."""
    # Each detector has graphs of its own, which looks like tracing one over and over.
    tf.get_logger().setLevel("ERROR")
    options = _parser().parse_args(arguments)
    began = machines.begin()
    machine = machines.describe(
        f"python benchmarks/detection.py --run {options.run} --rounds {options.rounds} "
        f"--epochs {options.epochs}"
    )
    machine["versions"]["tensorflow"] = tf.__version__
    rates = _rates(options)
    photograph = _photograph()
    windows = _windows(photograph, _WINDOWS)
    detectors = _full_width(options, photograph, windows)
    rows = _times(detectors, photograph, windows, options.rounds)
    for row in rows:
        row["mAP"] = rates.get(row["name"])
    points = _points([_PLAIN, list(rates)[-1]], options)
    machines.finish(machine, began)
    text = _markdown(machine, rows, options)
    machines.publish(options.out / "detection_speed", machine, rows + points, text)
    _draw(points, options.out / "detection_speed.png")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True, help="run of zf5_spp, of any width")
    parser.add_argument("--data-dir", help="where TensorFlow Datasets keeps `shapes`")
    parser.add_argument("--rounds", type=int, default=5, help="measurements (default: 5)")
    parser.add_argument("--images", type=int, default=600, help="to learn from (default: 600)")
    parser.add_argument("--validation", type=int, default=500, help="to test on (default: 500)")
    parser.add_argument("--epochs", type=int, default=6, help="of fine-tuning (default: 6)")
    parser.add_argument(
        "--ranks", type=int, nargs=2, default=(256, 128), help="of fc6 and fc7 (default: 256 128)"
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.5,
        help="of windows that the gate lets through (default: 0.5)",
    )
    parser.add_argument("--work", type=Path, default=Path("work"), help="what is kept meanwhile")
    machines.out_option(parser)
    return parser


def _rates(options: argparse.Namespace) -> dict[str, float]:
    """The mAP of a detector that has learned, and of each quicker one made of it."""
    keras.utils.set_random_seed(0)
    halves = cutting.halves_of(trained.load(options.run).network)
    learning, unseen = (
        detection_examples.examples(split, count, options.data_dir, learning=split == "train")
        for split, count in (("train", options.images), ("validation", options.validation))
    )
    plain, head = variants.untrained(
        halves, learning.classes, scales=(ONE_SCALE[0] // 2,), side=SIDE // 2
    )
    known = maps.Maps(plain, learning, options.work / "maps")
    kept = options.work / f"{options.run.name}-head.keras"
    known.make()
    if not kept.exists():
        fine_tuning.fine_tune(head, known, kept.with_suffix(".npz"), epochs=options.epochs)
        with _files.replacing(kept) as beside:
            heads.finished(head).save(beside)
    plain = variants.changed(plain, head=keras.models.load_model(kept))
    width = heads.dense_of(plain.head)[0].kernel.shape[1] / 4096
    ranks = [round(rank * width) for rank in options.ranks]
    steps = _steps(
        plain,
        ranks,
        lambda thin: quick.tuned(thin, known, kept.with_name(f"{options.run.name}-thin.npz")),
        lambda thin: quick.gated(thin, known, options.share),
        options,
    )
    rates = {}
    for name, detector in steps.items():
        machines.say(f"mAP of {name}")
        found = evaluation.find(detector, maps.Maps(detector, unseen, options.work / "maps"))
        of = unseen.found
        rates[name] = scores.voc(found, of.objects, of.sizes, of.classes).mean
    return rates


def _steps(
    plain: Detector,
    ranks: Sequence[int],
    tuned: Callable[[Detector], Detector],
    gated: Callable[[Detector], Detector],
    options: argparse.Namespace,
) -> dict[str, Detector]:
    """Each is quicker than the one before, or better."""
    truncated = quick.truncated(plain, ranks)
    thin = tuned(truncated)
    return {
        _PLAIN: plain,
        f"+ fc6, fc7 of rank {options.ranks[0]}, {options.ranks[1]}": truncated,
        "+ two more epochs": thin,
        "+ bfloat16": quick.in_bfloat16(thin),
        f"+ a gate for {100 * options.share:.0f}% of the windows": quick.in_bfloat16(gated(thin)),
    }


def _full_width(
    options: argparse.Namespace, image: np.ndarray, windows: np.ndarray
) -> dict[str, Detector]:
    """The same steps at full width and the paper's sizes, and their rivals."""
    keras.utils.set_random_seed(0)
    halves = cutting.halves_of(zoo.zf5_spp(classes=20))
    labels = tuple(str(number) for number in range(20))
    plain, _ = variants.untrained(halves, labels)
    steps = _steps(
        plain,
        options.ranks,
        # As quick, whatever the weights are.
        lambda thin: thin,
        lambda thin: _gated(thin, options.share, image, windows),
        options,
    )
    rival, _ = variants.untrained(halves, labels, RegionDetector)
    rival = variants.changed(rival, head=plain.head)
    quickest = list(steps.values())[-1]
    return {
        _RIVAL: rival,
        "R-CNN, bfloat16": quick.in_bfloat16(rival),
        "SPP, 5 scales, float32": variants.changed(plain, scales=FIVE_SCALES),
        "SPP, 5 scales, all of the below": variants.changed(quickest, scales=FIVE_SCALES),
        **steps,
    }


def _gated(thin: Detector, share: float, image: np.ndarray, windows: np.ndarray) -> Detector:
    """With a gate of random weights that lets that share of these windows through."""
    first, *others = heads.dense_of(thin.head)
    size = tf.constant(image.shape[:2])
    vectors, _ = thin.pool(thin.encode(tf.constant(image)), tf.constant(windows), size)
    kernel = np.random.default_rng(0).normal(size=(first.kernel.shape[1], 1)).astype("float32")
    worth = np.asarray(vectors) @ first.kernel @ kernel
    bias = -np.quantile(worth, [1 - share])
    gate = quick.gate_of(first, heads.Dense("worth", kernel, bias, "linear"))
    return variants.changed(thin, head=heads.assemble(others), gate=gate)


def _photograph() -> np.ndarray:
    from sklearn.datasets import load_sample_image

    pixels = tf.image.resize(load_sample_image("china.jpg"), _SIZE, antialias=True)
    return np.clip(pixels, 0, 255).round().astype("float32")


def _windows(image: np.ndarray, count: int) -> np.ndarray:
    """Selective search's, and behind those as many anywhere, of every size, as are missing."""
    found = selective_search(image.astype("uint8"))
    rng = np.random.default_rng(0)
    limits = np.array(image.shape[1::-1])
    extents = np.exp(rng.uniform(np.log(20), np.log(limits), (count, 2)))
    corners = rng.uniform(0, 1, (count, 2)) * (limits - extents)
    anywhere = np.concatenate([corners, corners + extents], axis=1)
    return np.concatenate([found, anywhere])[:count].astype("float32")


def _times(
    detectors: dict[str, Detector], image: np.ndarray, windows: np.ndarray, rounds: int
) -> list[dict[str, Any]]:
    """Medians over rounds in which all take turns."""
    calls = {name: _calls(detector, image, windows) for name, detector in detectors.items()}
    taken: dict[str, dict[str, list[float]]] = {
        name: {part: [] for part in parts} for name, parts in calls.items()
    }
    for number in range(rounds + 1):
        for name, parts in calls.items():
            # The rival takes half a minute.
            if name.startswith("R-CNN") and number > 3:
                continue
            machines.say(f"round {number}, {name}")
            for part, call in parts.items():
                seconds = _seconds(call)
                if number:
                    taken[name][part].append(seconds)
    rows = [
        {
            "name": name,
            **{part: statistics.median(some) for part, some in parts.items()},
            "runs": [round(one, 4) for one in parts["all"]],
        }
        for name, parts in taken.items()
    ]
    for row in rows:
        row["ratio"] = rows[0]["all"] / row["all"]
    return rows


def _calls(
    detector: Detector, image: np.ndarray, windows: np.ndarray
) -> dict[str, Callable[[], Any]]:
    pixels, boxes = tf.constant(image), tf.constant(windows)
    size = tf.constant(image.shape[:2])
    specifications = [tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4))]
    whole = tf.function(detector.detect, specifications, autograph=False)
    if isinstance(detector, RegionDetector):
        return {"all": lambda: whole(pixels, boxes)}
    encode = tf.function(detector.encode, specifications, autograph=False)
    encoded = encode(pixels, boxes)
    pool = tf.function(detector.pool, autograph=False)
    vectors, _ = pool(encoded, boxes, size)
    answer = tf.function(detector.answers, autograph=False)
    return {
        "convolutions": lambda: encode(pixels, boxes),
        "pooling": lambda: pool(encoded, boxes, size),
        "dense": lambda: answer(vectors),
        "all": lambda: whole(pixels, boxes),
    }


def _points(names: Sequence[str], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time and memory of one detection, over windows and over sizes."""
    points = []
    for name in names:
        # In a process of its own, since memory that was freed is kept and used again.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            points += pool.apply(_series, (name, options))
    return points


def _series(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    photograph = _photograph()
    detector = _full_width(options, photograph, _windows(photograph, _WINDOWS))[name]
    _seconds(_calls(detector, photograph, _windows(photograph, 1))["all"])
    base = _memory("VmRSS")
    points = [_point(detector, name, photograph, count, base) for count in _COUNTS]
    for size in _SIZES:
        image = tf.image.resize(photograph, size).numpy()
        # At its own size, not at one scale: that is what the convolutions cost.
        own = variants.changed(detector, scales=(min(size),))
        points.append(_point(own, name, image, _WINDOWS, base))
    return points


def _point(
    detector: Detector, name: str, image: np.ndarray, count: int, base: float
) -> dict[str, Any]:
    machines.say(f"{count} windows of {image.shape[0]}x{image.shape[1]}, {name}")
    call = _calls(detector, image, _windows(image, count))["all"]
    _seconds(call)
    return {
        "detector": name,
        "windows": count,
        "scale": detector.scales[0],
        "size": list(image.shape[:2]),
        "seconds": min(_seconds(call) for _ in range(2)),
        # The counts rise, so the peak is this one's, or that of making the detectors.
        "megabytes": _memory("VmHWM") - base,
    }


def _memory(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    tf.nest.map_structure(lambda x: x.numpy() if hasattr(x, "numpy") else x, call())
    return time.perf_counter() - start


def _markdown(
    machine: dict[str, Any], rows: list[dict[str, Any]], options: argparse.Namespace
) -> str:
    lines = [
        f"One detection of {_WINDOWS:,} windows in a photograph of {_SIZE[0]}x{_SIZE[1]}, "
        "full-width ZF-5, without the proposals; milliseconds, medians. mAP (VOC, area) of "
        f"the detector of `{options.run}` on {options.validation} validation images of `shapes`, "
        "its scale halved and its ranks in proportion to its width.",
        "",
        "| | convolutions | pooling | dense | all | times R-CNN | mAP |",
        "|---|---|---|---|---|---|---|",
    ]
    plain = next(row for row in rows if row["name"] == _PLAIN)
    for row in rows:
        parts = [
            f"{1000 * row[p]:,.0f}" if p in row else ""
            for p in ("convolutions", "pooling", "dense")
        ]
        rate = ""
        if row["mAP"] is not None:
            rate = f"{100 * row['mAP']:.1f} ({100 * (row['mAP'] - plain['mAP']):+.1f})"
        cells = [*parts, f"{1000 * row['all']:,.0f}", f"{row['ratio']:.1f}", rate]
        lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", machines.sentence(machine), ""])


def _draw(points: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    for name in dict.fromkeys(point["detector"] for point in points):
        mine = [point for point in points if point["detector"] == name]
        counted = [point for point in mine if point["scale"] == ONE_SCALE[0]]
        sized = [point for point in mine if point["scale"] != ONE_SCALE[0]]
        label = name if name == _PLAIN else "with all that is quicker"
        for panel, value in ((panels[0], "seconds"), (panels[1], "megabytes")):
            panel.plot(
                [p["windows"] for p in counted], [p[value] for p in counted], ".-", label=label
            )
        areas = [point["size"][0] * point["size"][1] / 1e6 for point in sized]
        panels[2].plot(areas, [point["seconds"] for point in sized], ".-", label=label)
    for panel, title, what in zip(
        panels,
        ("seconds", "megabytes at peak (flat: of the set-up)", f"seconds, {_WINDOWS:,} windows"),
        ("windows", "windows", "million pixels"),
        strict=True,
    ):
        panel.set(title=title, xlabel=what, xscale="log", yscale="log")
        panel.xaxis.set_minor_formatter("")
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    with _files.replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=80)


if __name__ == "__main__":
    sys.exit(main())
