"""The paper's Table 10 in small: SPP at one scale and at five, R-CNN, and two models together.

    spp-keras train zf5_spp/shapes --set seed=0 --run runs/shapes-0    # likewise 1 and 2
    python benchmarks/paper/detection.py --run runs/shapes-0 --run runs/shapes-1 --run runs/shapes-2

Each run is a network trained from another seed; its detectors are trained on the
boxes of `shapes` and tested on its validation images. All sizes of the paper are
halved, as the images are small: warped windows of 112, scales of 240 to 600. The
results are OUT/detection.json and OUT/detection.md. What was done is kept in WORK:
a killed run goes on.
"""

import argparse
import itertools
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import detection_examples
import machines

from spp_keras import _files, trained
from spp_keras.detection import (
    evaluation,
    fine_tuning,
    heads,
    maps,
    scores,
    training,
    variants,
)
from spp_keras.detection.detector import FIVE_SCALES, ONE_SCALE, Detector
from spp_keras.detection.examples import Examples
from spp_keras.detection.rcnn import RegionDetector
from spp_keras.zoo import boxes as cutting

_HALF = 2
_SIDE = 224 // _HALF
_KINDS = {
    "SPP, 1 scale": (Detector, tuple(scale // _HALF for scale in ONE_SCALE)),
    "SPP, 5 scales": (Detector, tuple(scale // _HALF for scale in FIVE_SCALES)),
    "R-CNN": (RegionDetector, tuple(scale // _HALF for scale in ONE_SCALE)),
}
_PAIRED = "SPP, 5 scales"
_ROWS = {
    "svm": "SVMs on ftfc7",
    "svm bb": "SVMs on ftfc7, bb",
    "softmax": "softmax",
    "softmax bb": "softmax and smooth L1",
}
_PAPER = {"svm": ("54.5", "55.2", "55.1"), "svm bb": ("58.0", "59.2", "59.2", "60.9")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains, measures and writes both files."""
    options = _parser().parse_args(arguments)
    began = machines.begin()
    machine = machines.describe(
        "python benchmarks/paper/detection.py "
        + " ".join(f"--run {run}" for run in options.run)
        + f" --images {options.images} --validation {options.validation} --epochs {options.epochs}"
    )
    machine["versions"] |= _versions()
    splits = ("train", options.images), ("validation", options.validation)
    learning, unseen = (
        detection_examples.examples(split, count, options.data_dir, learning=split == "train")
        for split, count in splits
    )
    rows, detectors = [], {}
    for seed, run in enumerate(options.run):
        for name, (kind, scales) in _KINDS.items():
            machines.say(f"{name}, {run}")
            work = options.work / f"{run.name}-{name.replace(' ', '').replace(',', '-')}"
            made = _detectors(run, kind, scales, learning, options, work, seed)
            detectors[seed, name] = made
            rows += _scores(made, unseen, options, work, name, seed)
    for first, second in itertools.combinations(range(len(options.run)), 2):
        name = f"{_PAIRED}, two models"
        rows += _together(detectors, first, second, unseen, options, name)
    machines.finish(machine, began)
    table = _markdown(machine, rows, len(learning) // 2, len(unseen), len(options.run))
    machines.publish(options.out / "detection", machine, rows, table)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, action="append", required=True, help="run folder")
    parser.add_argument("--data-dir", help="where TensorFlow Datasets keeps `shapes`")
    parser.add_argument("--images", type=int, default=600, help="to learn from (default: 600)")
    parser.add_argument("--validation", type=int, default=300, help="to test on (default: 300)")
    parser.add_argument("--epochs", type=int, default=8, help="of fine-tuning (default: 8)")
    parser.add_argument("--work", type=Path, default=Path("work"), help="what is kept meanwhile")
    machines.out_option(parser)
    return parser


def _detectors(
    run: Path,
    kind: type[Detector],
    scales: tuple[int, ...],
    learning: Examples,
    options: argparse.Namespace,
    work: Path,
    seed: int,
) -> dict[str, Detector]:
    """A detector for each row of the table."""
    import keras

    keras.utils.set_random_seed(seed)
    halves = cutting.halves_of(trained.load(run).network)
    detector, head = variants.untrained(halves, learning.classes, kind, scales=scales, side=_SIDE)
    known = maps.Maps(detector, learning, options.work / "maps")
    kept = {name: work / f"{name.replace(' ', '-')}.keras" for name in ("softmax bb", "svm bb")}
    if not all(path.exists() for path in kept.values()):
        known.make()
        fine_tuning.fine_tune(head, known, work / "last.npz", epochs=options.epochs, seed=seed)
        for path, name in zip(kept.values(), ("softmax", "svm"), strict=True):
            finished, _ = training.finish(name, head, known, seed)
            with _files.replacing(path) as beside:
                finished.save(beside)
    made = {}
    for name, path in kept.items():
        finished = keras.models.load_model(path)
        least = training.LEAST_SCORE[name.removesuffix(" bb")]
        made[name] = variants.changed(detector, head=finished, least_score=least)
        plain = heads.without_corrections(finished)
        made[name.removesuffix(" bb")] = variants.changed(made[name], head=plain)
    return made


def _scores(
    made: dict[str, Detector],
    unseen: Examples,
    options: argparse.Namespace,
    work: Path,
    name: str,
    seed: int,
) -> list[dict[str, Any]]:
    rows = []
    for row, detector in made.items():
        path = work / f"{row.replace(' ', '-')}.json"
        if not path.exists():
            of_it = maps.Maps(detector, unseen, options.work / "maps")
            found = evaluation.find(detector, of_it)
            _files.write(path, json.dumps(_measured(found, unseen)))
        rows.append({"column": name, "row": row, "seed": seed, **json.loads(path.read_text())})
    return rows


def _together(
    detectors: dict,
    first: int,
    second: int,
    unseen: Examples,
    options: argparse.Namespace,
    name: str,
) -> list[dict[str, Any]]:
    rows = []
    for row in _ROWS:
        path = options.work / f"together-{first}-{second}-{row.replace(' ', '-')}.json"
        if not path.exists():
            pair = [detectors[seed, _PAIRED][row] for seed in (first, second)]
            of_them = [maps.Maps(one, unseen, options.work / "maps") for one in pair]
            _files.write(path, json.dumps(_measured(evaluation.find(pair, of_them), unseen)))
        seeds = [first, second]
        rows.append({"column": name, "row": row, "seed": seeds, **json.loads(path.read_text())})
    return rows


def _measured(found: list, unseen: Examples) -> dict[str, float]:
    of = unseen.found
    voc = scores.voc(found, of.objects, of.sizes, of.classes, rule="11-point")
    area = scores.voc(found, of.objects, of.sizes, of.classes, rule="area")
    return {"11-point": voc.mean, "area": area.mean}


def _markdown(
    machine: dict[str, Any], rows: list[dict[str, Any]], learning: int, unseen: int, seeds: int
) -> str:
    columns = list(dict.fromkeys(row["column"] for row in rows))
    lines = [
        f"mAP in %, VOC 2007's 11-point rule, on {unseen} validation images of `shapes` with "
        f"detectors that learned from {learning}; mean and standard deviation over {seeds} "
        "networks of other seeds (of two models: over their pairs). In brackets the paper's, of "
        "full-width ZF-5 on VOC 2007 (Tables 10 and 12).",
        "",
        "| | " + " | ".join(columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for row, title in _ROWS.items():
        cells = []
        for number, column in enumerate(columns):
            values = [
                100 * one["11-point"]
                for one in rows
                if (one["column"], one["row"]) == (column, row)
            ]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cell = f"{statistics.mean(values):.1f} ± {spread:.1f}"
            if number < len(_PAPER.get(row, ())):
                cell += f" ({_PAPER[row][number]})"
            cells.append(cell)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", machines.sentence(machine), ""])


def _versions() -> dict[str, str]:
    import cv2
    import keras
    import sklearn
    import tensorflow as tf

    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "scikit-learn": sklearn.__version__,
        "opencv": cv2.__version__,
    }


if __name__ == "__main__":
    sys.exit(main())
