"""Training of detectors: a trained classifier in, a detector out."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from spp_keras import _files, run_folder
from spp_keras.data import records, splits
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
from spp_keras.detection.detector import Detector
from spp_keras.detection.feature_cache import FeatureMapCache
from spp_keras.detection.roi_features import RoIFeatures
from spp_keras.detection.rpn import RegionProposalNetwork
from spp_keras.detection.training_images import TrainingImages
from spp_keras.metrics import evaluate_coco, evaluate_voc
from spp_keras.recipes import DetectorRecipe
from spp_keras.run_folder import RunFolder

# Scores that a detection must exceed: of probabilities, and of the released code's SVM margins.
SCORE_THRESHOLDS = {"softmax": 0.05, "svm": -1.5}
# Anchor sizes of the RPN, as fractions of the recipe's `input_size`.
_ANCHOR_FRACTIONS = (0.25, 0.5, 1.0, 2.0)


def train_detector(
    recipe: DetectorRecipe,
    output: str | Path,
    *,
    feature_cache: str | Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Trains a detector, or resumes a training that was killed.

    The convolutions of the classifier are computed once for each image and kept on
    disk; the layers behind the pooling are fine-tuned on RoIs of these feature maps.

    Args:
        recipe: The recipe; its `run` is the run folder of the classifier.
        output: Run folder of the detector: `recipe.toml`, `labels.txt`,
            `detector.keras` and, of the validation images, `metrics.json`. A training
            that was begun there is resumed.
        feature_cache: Folder for the feature maps, which several trainings may share.
            Defaults to `None`, `maps` in `output`.
        progress: Whether to show progress bars. Defaults to `True`.

    Returns:
        The metrics, as in `metrics.json`.
    """
    run = RunFolder(output)
    run.check_can_train(recipe)
    network = RunFolder(recipe.run).load_model()
    keras.utils.set_random_seed(recipe.seed)
    training, validation = (_load_images(recipe, split, progress) for split in (0, 1))
    head = heads.build_softmax_head(network, len(training.classes))
    detector = Detector.from_network(
        network,
        heads.finalize_head(head),
        labels=training.classes,
        scales=recipe.scales,
        input_size=recipe.input_size,
        score_threshold=SCORE_THRESHOLDS[recipe.head],
    )
    run.write_recipe(recipe, training.classes)
    folder = Path(feature_cache or run / "maps")
    training_cache = FeatureMapCache(detector, training, folder)
    validation_cache = FeatureMapCache(detector, validation, folder)
    for cache in (training_cache, validation_cache):
        cache.fill(progress)
    features = RoIFeatures(training_cache)
    head_training.train_head(
        head,
        features,
        run / run_folder.CHECKPOINT,
        epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        seed=recipe.seed,
    )
    head, untrained = finish_head(recipe.head, head, features, recipe.seed, progress)
    detector = detector.replace(head=head)
    if recipe.rpn:
        rpn = RegionProposalNetwork(
            anchor_sizes=[fraction * recipe.input_size for fraction in _ANCHOR_FRACTIONS],
            name="rpn",
        )
        rpn_training.train_rpn(rpn, training_cache, seed=recipe.seed, progress=progress)
        detector = detector.replace(rpn=rpn)
    with _files.replace_file(run / run_folder.DETECTOR) as path:
        detector.save(path)
    detections = evaluation.detect_images(detector, validation_cache, progress)
    names = [training.classes[label] for label in untrained]
    metrics = _compute_metrics(detections, validation.records, names)
    _files.write_json(run / run_folder.DETECTION_METRICS, metrics)
    return metrics


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


def _load_images(recipe: DetectorRecipe, split: int, progress: bool) -> TrainingImages:
    data_dir = recipe.data_dir or None
    names = (recipe.train_split, recipe.validation_split)
    name = names[split] or splits.choose_splits(recipe.data, data_dir)[split]
    images = records.load_records(
        recipe.data,
        name,
        data_dir,
        progress=progress,
        orientation=recipe.orientation,
        background=recipe.background,
    )
    if recipe.proposals:
        boxes = proposal_files.read_proposals(recipe.proposals, images)
    else:
        boxes = proposals.propose_boxes(images, progress=progress)
    return TrainingImages(images, boxes, training=split == 0)


def _compute_metrics(
    detections: Sequence[Any], images: records.Records, untrained: list[str]
) -> dict[str, Any]:
    arguments = (detections, images.objects or (), images.sizes, images.classes)
    metrics: dict[str, Any] = {"images": len(images), "untrained": untrained}
    for rule in ("area", "11-point"):
        voc = evaluate_voc(*arguments, rule=rule)
        classes = _replace_nan(voc.average_precision)
        metrics[f"voc_{rule}"] = {"mean": voc.mean, "classes": classes}
    return {**metrics, "coco": _replace_nan(evaluate_coco(*arguments))}


def _replace_nan(values: dict[str, float]) -> dict[str, float | None]:
    # JSON has no NaN.
    return {name: None if math.isnan(value) else value for name, value in values.items()}
