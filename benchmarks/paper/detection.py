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
import detection_images
import machines
import numpy as np
import publishing
import rcnn
import table10
from detector_variants import remove_box_regression

from spp_keras import _files
from spp_keras.detection import evaluation, head_training, heads, training
from spp_keras.detection.detections import Detections
from spp_keras.detection.detector import FIVE_SCALES, ONE_SCALE, Detector
from spp_keras.detection.feature_cache import FeatureMapCache
from spp_keras.detection.roi_features import RoIFeatures
from spp_keras.detection.training_images import TrainingImages
from spp_keras.metrics import evaluate_voc
from spp_keras.run_folder import RunFolder

_HALF = 2
_INPUT_SIZE = 224 // _HALF
_SCALES = {
    table10.ONE: tuple(scale // _HALF for scale in ONE_SCALE),
    table10.FIVE: tuple(scale // _HALF for scale in FIVE_SCALES),
    # R-CNN does not scale images.
    table10.RCNN: tuple(scale // _HALF for scale in ONE_SCALE),
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
    training_images, validation = (
        detection_images.load_images(split, count, options.data_dir, training=split == "train")
        for split, count in splits
    )
    kept = any(options.work.glob("*.json")) or any(options.work.glob("*/*.json"))
    rows, detectors = [], {}
    for seed, run in enumerate(options.run):
        for column in _SCALES:
            machines.say(f"{column}, {run}")
            work = options.work / f"{run.name}-{column.replace(' ', '').replace(',', '-')}"
            by_row = _train_detectors(run, column, training_images, options, work, seed)
            detectors[seed, column] = by_row
            rows += _evaluate(by_row, validation, options, work, column, seed)
    for first, second in itertools.combinations(range(len(options.run)), 2):
        rows += _evaluate_pair(detectors, first, second, validation, options)
    facts = {
        "images": len(validation),
        # Each with its mirror image.
        "learned from": len(training_images) // 2,
        "fine-tuning epochs": options.epochs,
        "windows": float(np.mean([len(validation[i].rois) for i in range(len(validation))])),
        "kept": "perhaps of earlier code" if kept else "",
        **convergence.facts({"zf5_spp/shapes": options.run}),
    }
    return (began, machine), facts, rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, action="append", help="run folder, once or more")
    parser.add_argument("--images", type=int, default=600, help="training images (default: 600)")
    parser.add_argument(
        "--validation", type=int, default=300, help="validation images (default: 300)"
    )
    parser.add_argument("--epochs", type=int, default=8, help="of fine-tuning (default: 8)")
    parser.add_argument(
        "--work", type=Path, default=Path("work"), help="folder for checkpoints and caches"
    )
    publishing.shared_options(parser)
    return parser


def _train_detectors(
    run: Path,
    column: str,
    images: TrainingImages,
    options: argparse.Namespace,
    work: Path,
    seed: int,
) -> dict[str, Detector]:
    """A detector for each row of the table."""
    import keras

    keras.utils.set_random_seed(seed)
    network = RunFolder(run).model
    head = heads.build_softmax_head(network, len(images.classes))
    detector = Detector.from_network(
        network,
        heads.finalize_head(head),
        labels=images.classes,
        scales=_SCALES[column],
        input_size=_INPUT_SIZE,
    )
    paths = {name: work / f"{name.replace(' ', '-')}.keras" for name in ("softmax bb", "svm bb")}
    if not all(path.exists() for path in paths.values()):
        features = _compute_features(detector, column, images, options.work / "maps")
        head_training.train_head(
            head, features, work / "last.npz", epochs=options.epochs, seed=seed
        )
        for path, name in zip(paths.values(), ("softmax", "svm"), strict=True):
            finished, _ = training.finish_head(name, head, features, seed)
            with _files.replace_file(path) as beside:
                finished.save(beside)
    detectors = {}
    for name, path in paths.items():
        finished, kind = keras.models.load_model(path), name.removesuffix(" bb")
        score_threshold = training.SCORE_THRESHOLDS[kind]
        detectors[name] = detector.replace(head=finished, score_threshold=score_threshold)
        detectors[kind] = detectors[name].replace(head=remove_box_regression(finished))
    return detectors


def _compute_features(
    detector: Detector, column: str, images: TrainingImages, folder: Path
) -> RoIFeatures | rcnn.RegionFeatures:
    if column == table10.RCNN:
        return rcnn.RegionFeatures(rcnn.RCNN(detector), images, folder)
    cache = FeatureMapCache(detector, images, folder)
    cache.fill()
    return RoIFeatures(cache)


def _evaluate(
    detectors: dict[str, Detector],
    images: TrainingImages,
    options: argparse.Namespace,
    work: Path,
    column: str,
    seed: int,
) -> list[dict[str, Any]]:
    rows = []
    for row, detector in detectors.items():
        path = work / f"{row.replace(' ', '-')}.json"
        if not path.exists():
            folder = options.work / "maps"
            if column == table10.RCNN:
                baseline = rcnn.RCNN(detector)
                features = rcnn.RegionFeatures(baseline, images, folder)
                detections = rcnn.detect_images(baseline, features)
            else:
                cache = FeatureMapCache(detector, images, folder)
                detections = evaluation.detect_images(detector, cache)
            _files.write_file(path, json.dumps(_compute_metrics(detections, images)))
        rows.append({"column": column, "row": row, "seed": seed, **json.loads(path.read_text())})
    return rows


def _evaluate_pair(
    detectors: dict,
    first: int,
    second: int,
    images: TrainingImages,
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    rows = []
    for row in table10.ROWS:
        path = options.work / f"together-{first}-{second}-{row.replace(' ', '-')}.json"
        if not path.exists():
            pair = [detectors[seed, table10.FIVE][row] for seed in (first, second)]
            caches = [FeatureMapCache(detector, images, options.work / "maps") for detector in pair]
            detections = evaluation.detect_images(pair, caches)
            _files.write_file(path, json.dumps(_compute_metrics(detections, images)))
        named = {"column": table10.PAIRS, "row": row, "seed": [first, second]}
        rows.append({**named, **json.loads(path.read_text())})
    return rows


def _compute_metrics(detections: list[Detections], images: TrainingImages) -> dict[str, float]:
    records = images.records
    inputs = detections, records.objects, records.sizes, records.classes
    return {rule: evaluate_voc(*inputs, rule=rule).mean for rule in ("11-point", "area")}


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
