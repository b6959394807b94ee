"""A trained network in, a detector out."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import keras

from spp_keras import _checks, _files, runs, trained
from spp_keras.data import orientations, records, splits
from spp_keras.detection import (
    box_regression,
    evaluation,
    head_training,
    heads,
    proposal_files,
    proposals,
    rpn_training,
    svm_training,
    variants,
)
from spp_keras.detection.detector import INPUT_SIZE, ONE_SCALE, Detector
from spp_keras.detection.feature_cache import FeatureMapCache
from spp_keras.detection.rpn import RegionProposalNetwork
from spp_keras.detection.training_images import TrainingImages
from spp_keras.metrics import detection
from spp_keras.zoo import model_parts

# What a detection must exceed to be kept: of probabilities, and of the release's margins.
SCORE_THRESHOLDS = {"softmax": 0.05, "svm": -1.5}
# Sides of the proposer's windows, as shares of the side that a detector wants them to have.
_SIDES = (0.25, 0.5, 1.0, 2.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a detector is trained.

    Args:
        run: Run folder of the network, whose convolutions stay as they are.
        data: Folder or data set with boxes.
        train_split: Split to learn from. Defaults to what the source calls its
            training data.
        validation_split: Split to be tested on. Defaults likewise.
        data_dir: Where TensorFlow Datasets keeps its data sets.
        head: `"softmax"`, probabilities and corrections learned together; or
            `"svm"`, the paper's kind: a support vector machine a class on the hidden
            layer so fine-tuned, and ridge regression of boxes. What differs from
            the paper is listed in docs/detection.md. Defaults to `"softmax"`.
        scales: Short sides that images are scaled to. Defaults to the paper's
            one, `(688,)`; its five are `FIVE_SCALES`.
        side: Side of the square whose area a scaled window should have.
            Defaults to 224: the size of what the network learned from.
        proposals: File of windows, see `spp_keras.detection.proposal_files`, of
            all images. Defaults to selective search.
        rpn: Whether the detector learns to propose windows itself.
            Defaults to `True`.
        epochs: Of the fine-tuning. Defaults to 12.
        learning_rate: Of its first epochs, a tenth behind four fifths of them.
            Defaults to 0.01.
        seed: Of all that is drawn. Defaults to 0.
        orientation: Which way up images are taken: `"exif"`, turned as their EXIF
            orientation says, or `"file"`, as their pixels lie in the file. Defaults to
            `"exif"`.

    Example:

    >>> Settings(run="runs/zf5_spp", data="voc/2007", head="svm").scales
    (688,)
    """

    run: str
    data: str
    train_split: str = ""
    validation_split: str = ""
    data_dir: str = ""
    head: Literal["softmax", "svm"] = "softmax"
    scales: tuple[int, ...] = ONE_SCALE
    side: int = INPUT_SIZE
    proposals: str = ""
    rpn: bool = True
    epochs: int = 12
    learning_rate: float = 0.01
    seed: int = 0
    orientation: str = "exif"

    def __post_init__(self) -> None:
        _checks.one_of(self.orientation, orientations.ORIENTATIONS, "orientation")
        _checks.one_of(self.head, ("softmax", "svm"), "head")
        _checks.at_least(self.epochs, 1, "epochs")
        _checks.positive(self.learning_rate, "learning_rate")
        _checks.at_least(self.seed, 0, "seed")
        for scale in self.scales:
            _checks.at_least(scale, 1, "scales")
        object.__setattr__(self, "scales", tuple(self.scales))


def train_detector(
    settings: Settings, to: str | Path, *, maps: str | Path | None = None, progress: bool = True
) -> dict[str, Any]:
    """Trains a detector, or goes on where it was killed.

    The convolutions of a trained network are computed once for every image and
    kept on disk; what comes behind the pooling is fine-tuned on windows of them.

    Args:
        settings: What to do.
        to: Folder for what comes of it: `detector.keras`, its `scores.json` on the
            validation images, and the settings. If the same was begun there, it
            is resumed.
        maps: Folder for the maps, which several trainings may share. Defaults to
            one in `to`.
        progress: Whether to show bars. Defaults to `True`.

    Returns:
        The scores, as in `scores.json`.
    """
    to = Path(to)
    _check_folder(to, settings)
    network = trained.load(settings.run)
    halves = model_parts.split_model(network.network)
    keras.utils.set_random_seed(settings.seed)
    learning, validation = (_examples(settings, split, progress) for split in (0, 1))
    detector, head = variants.create_detector(
        halves,
        learning.classes,
        scales=settings.scales,
        side=settings.side,
        score_threshold=SCORE_THRESHOLDS[settings.head],
    )
    _files.write_file(to / runs.SETTINGS, json.dumps(dataclasses.asdict(settings), indent=2) + "\n")
    folder = Path(maps or to / "maps")
    known, unknown = (
        FeatureMapCache(detector, learning, folder),
        FeatureMapCache(detector, validation, folder),
    )
    for some in (known, unknown):
        some.make(progress)
    head_training.train_head(
        head,
        known,
        to / runs.LAST,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
    )
    finished, untrained = finish_head(settings.head, head, known, settings.seed, progress)
    detector = variants.replace_parts(detector, head=finished)
    if settings.rpn:
        rpn = RegionProposalNetwork(sides=[share * settings.side for share in _SIDES], name="rpn")
        rpn_training.train_rpn(rpn, known, seed=settings.seed, progress=progress)
        detector = variants.replace_parts(detector, rpn=rpn)
    with _files.replace_file(to / runs.DETECTOR) as beside:
        detector.save(beside)
    found = evaluation.detect_images(detector, unknown, progress)
    result = _result(found, validation.found, [learning.classes[label] for label in untrained])
    _files.write_file(to / runs.SCORES, json.dumps(result, indent=2) + "\n")
    return result


def finish_head(
    kind: str, head: keras.Model, maps: FeatureMapCache, seed: int = 0, progress: bool = True
) -> tuple[keras.Model, tuple[int, ...]]:
    """The head of a detector from one that was fine-tuned, and classes it cannot find."""
    if kind == "softmax":
        objects = [label for i in range(len(maps)) for label in maps.examples[i].labels]
        missing = {*range(len(maps.examples.classes))} - {*objects}
        return heads.finalize_head(head), tuple(sorted(missing))
    kernel, bias, untrained = svm_training.train_svms(
        heads.get_hidden_part(head), maps, seed=seed, progress=progress
    )
    corrections = box_regression.train_box_regression(maps, seed=seed, progress=progress)
    return heads.build_linear_head(head, (kernel, bias), corrections), untrained


def load_detector_model(run: str | Path) -> Detector:
    """The detector of a folder that `train_detector` made.

    Args:
        run: The folder.
    """
    path = Path(run) / runs.DETECTOR
    if not path.is_file():
        raise ValueError(
            f"`run` must be the folder of a detector; {runs.DETECTOR} is missing: train one with "
            f"`spp-keras train-detector`. Received: run={str(run)!r}."
        )
    return keras.models.load_model(path, compile=False)


def read_orientation(run: str | Path) -> str:
    """Which way up the detector of a folder takes images, `"exif"` where nothing says it.

    Args:
        run: The folder.
    """
    path = Path(run) / runs.SETTINGS
    if not path.is_file():
        return "exif"
    return json.loads(path.read_text(encoding="utf-8")).get("orientation", "exif")


def _examples(settings: Settings, split: int, progress: bool) -> TrainingImages:
    data_dir = settings.data_dir or None
    names = (settings.train_split, settings.validation_split)
    name = names[split] or splits.choose_splits(settings.data, data_dir)[split]
    found = records.load_records(
        settings.data, name, data_dir, progress=progress, orientation=settings.orientation
    )
    if settings.proposals:
        windows = proposal_files.read_proposals(settings.proposals, found)
    else:
        windows = proposals.propose_boxes(found, progress=progress)
    return TrainingImages(found, windows, learning=split == 0)


def _result(found: Sequence[Any], of: records.Records, untrained: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {"images": len(of), "untrained": untrained}
    for rule in ("area", "11-point"):
        voc = detection.evaluate_voc(found, of.objects or (), of.sizes, of.classes, rule=rule)
        each = voc.average_precision.items()
        result[f"voc_{rule}"] = {"mean": voc.mean, "classes": _without_nan(dict(each))}
    coco = detection.evaluate_coco(found, of.objects or (), of.sizes, of.classes)
    return {**result, "coco": _without_nan(coco)}


def _without_nan(values: dict[str, float]) -> dict[str, float | None]:
    # Which JSON does not know.
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _check_folder(to: Path, settings: Settings) -> None:
    path = to / runs.SETTINGS
    wanted = json.loads(json.dumps(dataclasses.asdict(settings)))
    # Settings of 0.1.0 say nothing of it.
    kept = {"orientation": "exif"} | json.loads(path.read_text()) if path.exists() else wanted
    if kept != wanted:
        different = [name for name in wanted if kept.get(name) != wanted[name]]
        raise ValueError(
            f"`to` must be another folder: the training in {str(to)!r} was begun with other "
            f"settings. They differ in {', '.join(different)}."
        )
