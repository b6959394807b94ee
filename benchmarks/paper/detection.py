"""The paper's Table 10 in small: SPP at one scale and at five, R-CNN, and two models together.

    spp-keras train zf5_spp/shapes --seed 0 --output runs/shapes-0    # likewise 1 and 2
    python benchmarks/paper/detection.py --run runs/shapes-0 --run runs/shapes-1 --run runs/shapes-2
    python benchmarks/paper/detection.py --render    # the text again, from the JSON

Each run is a network trained from another seed; its detectors are trained on the
boxes of `shapes` and tested on its validation images. All sizes of the paper are
halved, as the images are small: warped windows of 112, scales of 240 to 600. The
results are OUT/detection.json and OUT/detection.md. What was done is kept in WORK:
a killed run goes on.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import convergence
import detection_examples
import machines
import numpy as np
import publishing
import table10
from spp_keras.detection.rcnn import RegionDetector

from spp_keras import _files
from spp_keras.detection import evaluation, feature_cache, head_training, heads, training, variants
from spp_keras.detection.detector import FIVE_SCALES, ONE_SCALE, Detector
from spp_keras.detection.training_images import TrainingImages
from spp_keras.metrics import detection
from spp_keras.run_folder import RunFolder
from spp_keras.zoo import model_parts

_HALF = 2
_SIDE = 224 // _HALF
_KINDS = {
    table10.ONE: (Detector, tuple(scale // _HALF for scale in ONE_SCALE)),
    table10.FIVE: (Detector, tuple(scale // _HALF for scale in FIVE_SCALES)),
    table10.RCNN: (RegionDetector, tuple(scale // _HALF for scale in ONE_SCALE)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains, measures and writes both files."""
    options = _parser().parse_args(arguments)
    stem = options.out / "detection"
    if not options.render:
        publishing.keep(stem, *_measure(options))
    publishing.render(stem, table10.markdown)
    return 0


def _measure(
    options: argparse.Namespace,
) -> tuple[publishing.Started, dict[str, Any], list[dict[str, Any]]]:
    """The start, facts that hold for all rows, and the rows."""
    if not options.run:
        raise SystemExit("`--run` must be given, but with `--render`.")
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
    kept = any(options.work.glob("*.json")) or any(options.work.glob("*/*.json"))
    rows, detectors = [], {}
    for seed, run in enumerate(options.run):
        for name, (kind, scales) in _KINDS.items():
            machines.say(f"{name}, {run}")
            work = options.work / f"{run.name}-{name.replace(' ', '').replace(',', '-')}"
            made = _detectors(run, kind, scales, learning, options, work, seed)
            detectors[seed, name] = made
            rows += _scores(made, unseen, options, work, name, seed)
    for first, second in itertools.combinations(range(len(options.run)), 2):
        rows += _together(detectors, first, second, unseen, options)
    facts = {
        "images": len(unseen),
        # Each with its mirror image.
        "learned from": len(learning) // 2,
        "fine-tuning epochs": options.epochs,
        "windows": float(np.mean([len(unseen[number].windows) for number in range(len(unseen))])),
        "kept": "perhaps of earlier code" if kept else "",
        **convergence.facts({"zf5_spp/shapes": options.run}),
    }
    return (began, machine), facts, rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, action="append", help="run folder, once or more")
    parser.add_argument("--images", type=int, default=600, help="to learn from (default: 600)")
    parser.add_argument("--validation", type=int, default=300, help="to test on (default: 300)")
    parser.add_argument("--epochs", type=int, default=8, help="of fine-tuning (default: 8)")
    parser.add_argument("--work", type=Path, default=Path("work"), help="what is kept meanwhile")
    publishing.shared_options(parser)
    return parser


def _detectors(
    run: Path,
    kind: type[Detector],
    scales: tuple[int, ...],
    learning: TrainingImages,
    options: argparse.Namespace,
    work: Path,
    seed: int,
) -> dict[str, Detector]:
    """A detector for each row of the table."""
    import keras

    keras.utils.set_random_seed(seed)
    halves = model_parts.split_model(RunFolder(run).model)
    detector, head = variants.create_detector(
        halves, learning.classes, kind, scales=scales, side=_SIDE
    )
    known = feature_cache.FeatureMapCache(detector, learning, options.work / "maps")
    kept = {name: work / f"{name.replace(' ', '-')}.keras" for name in ("softmax bb", "svm bb")}
    if not all(path.exists() for path in kept.values()):
        known.make()
        head_training.train_head(head, known, work / "last.npz", epochs=options.epochs, seed=seed)
        for path, name in zip(kept.values(), ("softmax", "svm"), strict=True):
            finished, _ = training.finish_head(name, head, known, seed)
            with _files.replace_file(path) as beside:
                finished.save(beside)
    made = {}
    for name, path in kept.items():
        finished = keras.models.load_model(path)
        least = training.SCORE_THRESHOLDS[name.removesuffix(" bb")]
        made[name] = variants.replace_parts(detector, head=finished, score_threshold=least)
        plain = heads.remove_box_regression(finished)
        made[name.removesuffix(" bb")] = variants.replace_parts(made[name], head=plain)
    return made


def _scores(
    made: dict[str, Detector],
    unseen: TrainingImages,
    options: argparse.Namespace,
    work: Path,
    name: str,
    seed: int,
) -> list[dict[str, Any]]:
    rows = []
    for row, detector in made.items():
        path = work / f"{row.replace(' ', '-')}.json"
        if not path.exists():
            of_it = feature_cache.FeatureMapCache(detector, unseen, options.work / "maps")
            found = evaluation.detect_images(detector, of_it)
            _files.write_file(path, json.dumps(_measured(found, unseen)))
        rows.append({"column": name, "row": row, "seed": seed, **json.loads(path.read_text())})
    return rows


def _together(
    detectors: dict,
    first: int,
    second: int,
    unseen: TrainingImages,
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    rows = []
    for row in table10.ROWS:
        path = options.work / f"together-{first}-{second}-{row.replace(' ', '-')}.json"
        if not path.exists():
            pair = [detectors[seed, table10.FIVE][row] for seed in (first, second)]
            of_them = [
                feature_cache.FeatureMapCache(one, unseen, options.work / "maps") for one in pair
            ]
            _files.write_file(
                path, json.dumps(_measured(evaluation.detect_images(pair, of_them), unseen))
            )
        seeds = [first, second]
        named = {"column": table10.PAIRS, "row": row, "seed": seeds}
        rows.append({**named, **json.loads(path.read_text())})
    return rows


def _measured(found: list, unseen: TrainingImages) -> dict[str, float]:
    of = unseen.found
    voc = detection.evaluate_voc(found, of.objects, of.sizes, of.classes, rule="11-point")
    area = detection.evaluate_voc(found, of.objects, of.sizes, of.classes, rule="area")
    return {"11-point": voc.mean, "area": area.mean}


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
