"""Outputs of metrics, of the testing protocols and of a short training."""

import tempfile
from pathlib import Path

import numpy as np
from frozen import inputs
from frozen.detection_outputs import compute_detection_metrics
from frozen.geometry_outputs import PROTOCOLS
from frozen.network_outputs import make_network

from spp_keras import evaluation, metrics, recipes, training, zoo


def compute_metrics():
    rng = np.random.default_rng(0)
    scores, labels = rng.uniform(0, 1, (60, 8)).round(1), rng.integers(0, 8, 60)
    multi_hot = rng.uniform(0, 1, (60, 8)) < 0.3
    recall = np.cumsum(rng.integers(0, 2, 50)) / 30
    precision = recall * 30 / np.arange(1, 51)
    outputs = {f"top {k}": metrics.top_k_accuracy(scores, labels, k) for k in (1, 2, 5)}
    outputs["area"] = metrics.area_under_curve(recall, precision)
    outputs["11 points"] = metrics.eleven_point_average(recall, precision)
    for rule in ("area", "11-point"):
        outputs[f"mean average precision {rule}"] = metrics.mean_average_precision(
            scores, multi_hot, rule=rule
        )
    return {**outputs, **compute_detection_metrics(rng)}


def compute_testing_protocols():
    model = make_network("zf5_spp", width=0.0625)
    image, outputs = inputs.encode_png(inputs.make_pixels(90, 124)), {}
    for protocol in PROTOCOLS:
        outputs[protocol] = evaluation.Scorer(model, protocol, view_size=64).score_views(image)
    return outputs


def write_image_folder(folder):
    """Eight images of two classes, half of them for validation."""
    for index in range(8):
        split, name = ("train", "validation")[index % 2], ("cat", "dog")[index // 2 % 2]
        path = folder / split / name / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(inputs.encode_png(inputs.make_pixels(40, 40 + index, index)))


def compute_learning_rates():
    """A training whose accuracy never rises: the learning rate falls as the recipe says."""
    with tempfile.TemporaryDirectory() as folder:
        write_image_folder(Path(folder) / "data")
        weights = Path(folder) / "seeded.weights.h5"
        options = {"width": 0.0625, "levels": (2, 1), "dropout": 0.0}
        inputs.fill_weights(zoo.zf5_spp(classes=2, **options)).save_weights(weights)
        recipe = recipes.Recipe(
            model="zf5_spp",
            weights=str(weights),
            data=str(Path(folder) / "data"),
            learning_rate=1e-5,
            batch_size=2,
            epochs=8,
            patience=2,
            num_lr_drops=2,
            **options,
        )
        history = training.train_model(recipe, Path(folder) / "run").history
    return {
        "rates": [row["learning_rate"] for row in history],
        "losses": [row["val_cross_entropy"] for row in history],
        "accuracies": [row["val_accuracy"] for row in history],
        "stopped": [
            training.has_stopped_learning(history[:n], recipe) for n in range(1, len(history) + 1)
        ],
    }
