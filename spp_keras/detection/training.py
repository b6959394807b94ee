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
)
from spp_keras.detection.detector import INPUT_SIZE, ONE_SCALE, Detector
from spp_keras.detection.feature_cache import FeatureMapCache
from spp_keras.detection.roi_features import RoIFeatures
from spp_keras.detection.rpn import RegionProposalNetwork
from spp_keras.detection.training_images import TrainingImages
from spp_keras.metrics import evaluate_coco, evaluate_voc

# What a detection must exceed to be kept: of probabilities, and of the release's margins.
SCORE_THRESHOLDS = {"softmax": 0.05, "svm": -1.5}
# Sizes of the anchors of the RPN, as fractions of the size that a scaled RoI should have.
_ANCHOR_FRACTIONS = (0.25, 0.5, 1.0, 2.0)


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
    network = trained.load(settings.run).network
    keras.utils.set_random_seed(settings.seed)
    training, validation = (_load_images(settings, split, progress) for split in (0, 1))
    head = heads.build_softmax_head(network, len(training.classes))
    detector = Detector.from_network(
        network,
        heads.finalize_head(head),
        labels=training.classes,
        scales=settings.scales,
        input_size=settings.side,
        score_threshold=SCORE_THRESHOLDS[settings.head],
    )
    _files.write_file(to / runs.SETTINGS, json.dumps(dataclasses.asdict(settings), indent=2) + "\n")
    folder = Path(maps or to / "maps")
    training_cache, validation_cache = (
        FeatureMapCache(detector, images, folder) for images in (training, validation)
    )
    for cache in (training_cache, validation_cache):
        cache.fill(progress)
    features = RoIFeatures(training_cache)
    head_training.train_head(
        head,
        features,
        to / runs.LAST,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
    )
    finished, untrained = finish_head(settings.head, head, features, settings.seed, progress)
    detector = detector.replace(head=finished)
    if settings.rpn:
        anchor_sizes = [fraction * settings.side for fraction in _ANCHOR_FRACTIONS]
        rpn = RegionProposalNetwork(anchor_sizes=anchor_sizes, name="rpn")
        rpn_training.train_rpn(rpn, training_cache, seed=settings.seed, progress=progress)
        detector = detector.replace(rpn=rpn)
    with _files.replace_file(to / runs.DETECTOR) as beside:
        detector.save(beside)
    detections = evaluation.detect_images(detector, validation_cache, progress)
    untrained_names = [training.classes[index] for index in untrained]
    result = _compute_scores(detections, validation.records, untrained_names)
    _files.write_file(to / runs.SCORES, json.dumps(result, indent=2) + "\n")
    return result


def finish_head(
    kind: str, head: keras.Model, features: RoIFeatures, seed: int = 0, progress: bool = True
) -> tuple[keras.Model, tuple[int, ...]]:
    """The head of a detector from a trained one, and classes without training objects.

    Args:
        kind: `"softmax"` or `"svm"`.
        head: A head of `heads.build_softmax_head` that `train_head` trained.
        features: Features of the training images' RoIs.
        seed: Random seed. Defaults to 0.
        progress: Whether to show progress bars. Defaults to `True`.
    """
    images = features.images
    if kind == "softmax":
        present = {label for i in range(len(images)) for label in images[i].gt_classes.tolist()}
        return heads.finalize_head(head), tuple(sorted({*range(len(images.classes))} - present))
    kernel, bias, untrained = svm_training.train_svms(
        heads.get_hidden_part(head), features, seed=seed, progress=progress
    )
    regression = box_regression.train_box_regression(features, seed=seed, progress=progress)
    return heads.build_linear_head(head, (kernel, bias), regression), untrained


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


def _load_images(settings: Settings, split: int, progress: bool) -> TrainingImages:
    data_dir = settings.data_dir or None
    names = (settings.train_split, settings.validation_split)
    name = names[split] or splits.choose_splits(settings.data, data_dir)[split]
    image_records = records.load_records(
        settings.data, name, data_dir, progress=progress, orientation=settings.orientation
    )
    if settings.proposals:
        boxes = proposal_files.read_proposals(settings.proposals, image_records)
    else:
        boxes = proposals.propose_boxes(image_records, progress=progress)
    return TrainingImages(image_records, boxes, training=split == 0)


def _compute_scores(
    detections: Sequence[Any], image_records: records.Records, untrained: list[str]
) -> dict[str, Any]:
    inputs = (detections, image_records.objects or (), image_records.sizes, image_records.classes)
    result: dict[str, Any] = {"images": len(image_records), "untrained": untrained}
    for rule in ("area", "11-point"):
        voc = evaluate_voc(*inputs, rule=rule)
        by_class = dict(voc.average_precision.items())
        result[f"voc_{rule}"] = {"mean": voc.mean, "classes": _without_nan(by_class)}
    return {**result, "coco": _without_nan(evaluate_coco(*inputs))}


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
