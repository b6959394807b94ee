"""Evaluation of a run's features by SVMs, also on data of other classes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _files, pretrained, run_folder
from spp_keras.data import splits
from spp_keras.data.records import Records, load_records
from spp_keras.evaluation import feature_svm, features, result_format, run_settings, score_cache
from spp_keras.evaluation.feature_svm import SVMOptions
from spp_keras.metrics import classification
from spp_keras.recipes import Recipe

# Metrics of images with several classes, and their rules.
_PRECISION_RULES = {
    "mean_average_precision": "area",
    "mean_average_precision_11_point": "11-point",
}


def evaluate_features(
    run: str | Path,
    layers: str | Sequence[str],
    *,
    data: str = "",
    data_dir: str = "",
    train_split: str = "",
    split: str = "",
    view_size: int | None = None,
    short_side: int | None = None,
    svm: SVMOptions = SVMOptions(),  # noqa: B008  immutable
    output: str | Path | None = None,
) -> dict[str, Any]:
    """Evaluates the features of a trained network on other data, as the paper does.

    The network is not trained further. It sees one view of each image; the output of a layer
    is scaled to a length of 1, and linear SVMs are trained, one for each class against the
    rest. Features are cached while they are computed, so that the same call resumes an
    evaluation that was killed.

    - Where images have several classes, as in VOC, the SVMs are trained on one split and
      tested on another. An image in which all objects of a class are difficult does not
      count for that class.
    - Where they have one, as in Caltech101, both splits are joined, and training and test
      images are drawn from all of them, ten times.

    Reference:

    - [He et al., 2014](https://arxiv.org/abs/1406.4729), Sections 3.2 and 3.3.

    Args:
        run: Run folder.
        layers: Name of a layer, or several: `"conv5"`, `"spp"`, `"fc7"`; `"spp/6x6"` is one
            level of a pyramid.
        data: Folder or data set, of any classes. Defaults to the training data of the run.
        data_dir: Folder of prepared TensorFlow Datasets. Defaults to `""`.
        train_split: Split to train on. Defaults to that for training.
        split: Split to test on. Defaults to that for validation.
        view_size: Size of the square at the center of an image that the network sees.
            Defaults to `None`, whole images; for a network without a pyramid what it was
            built for.
        short_side: Length that the shorter side of an image is scaled to before. Defaults to
            `view_size`, or to that of the training.
        svm: Options of the SVMs. Defaults to `SVMOptions()`, the paper's.
        output: Folder for `svm.json` and the features. Defaults to `evaluation` in the run
            folder.

    Returns:
        The content of `svm.json`: `"data"`, `"images"` and more of the settings, and
        `"rows"`, one for each layer, with its `"length"` and `"mean_average_precision"` by
        the area and `"mean_average_precision_11_point"` by the rule of VOC 2007, or
        `"accuracy"`, its `"standard_deviation"` and the accuracy of each of the `"draws"`.
    """
    layers = [layers] if isinstance(layers, str) else list(layers)
    path = pretrained.find_run(run)
    output = Path(path / run_folder.EVALUATION if output is None else output)
    feature_svm.check_options(svm)
    feature_svm.import_svm()
    evaluated, protocol = run_settings.read_run_for_features(path, view_size, short_side)
    network = evaluated.folder.load_model()
    features.check_layers(network, layers, protocol)
    records = _load_splits(evaluated.recipe, data, data_dir, train_split, split)
    if not records[0].multi_label:
        _check_images_per_class(records, svm.per_class)
    images = [score_cache.ImageChunks(split_records) for split_records in records]
    vectors = features.extract_features(
        evaluated, protocol, layers, network, images, output / run_folder.FEATURE_CACHE
    )
    rows = []
    for layer, (train, test) in zip(layers, vectors, strict=True):
        normalized = [feature_svm.normalize(train), feature_svm.normalize(test)]
        measure = _measure_precision if records[0].multi_label else _measure_accuracy
        metrics = measure(normalized, records, svm, layer)
        rows.append({"layer": layer, "length": train.shape[1], **metrics})
    results = {
        "run": str(run),
        "data": [split_records.name for split_records in records],
        "images": [len(split_records) for split_records in records],
        "classes": len(records[0].classes),
        "protocol": protocol,
        "view_size": evaluated.views.view_size,
        "short_side": evaluated.views.whole.short_side,
        "cost": svm.cost,
        **({} if records[0].multi_label else {"per_class": list(svm.per_class)}),
        **result_format.describe_versions("scikit-learn"),
        "rows": rows,
    }
    _files.write_file(output / run_folder.SVM_RESULTS, json.dumps(results, indent=1) + "\n")
    return results


def format_feature_results(rows: Sequence[dict[str, Any]]) -> str:
    """Formats rows of `evaluate_features` as a Markdown table.

    Example:

    >>> row = {"layer": "fc7", "length": 4096, "accuracy": 0.871, "standard_deviation": 0.006}
    >>> print(format_feature_results([row]))
    | layer | length | accuracy |
    |---|---|---|
    | fc7 | 4096 | 87.1% ± 0.6 |
    """
    if "accuracy" in rows[0]:
        headers = ["accuracy"]
        values = [
            [f"{100 * row['accuracy']:.1f}% ± {100 * row['standard_deviation']:.1f}"]
            for row in rows
        ]
    else:
        headers = ["mAP", "mAP, 11-point"]
        values = [[f"{100 * row[key]:.1f}%" for key in _PRECISION_RULES] for row in rows]
    lines = [
        [row["layer"], str(row["length"]), *cells] for row, cells in zip(rows, values, strict=True)
    ]
    return result_format.format_markdown([["layer", "length", *headers], *lines])


def _measure_precision(
    vectors: Sequence[np.ndarray], records: Sequence[Records], svm: SVMOptions, layer: str
) -> dict[str, Any]:
    train, test = records
    scores = feature_svm.score_by_svm(
        vectors[0],
        train.labels,
        vectors[1],
        counts=_mask_difficult(train),
        cost=svm.cost,
        description=layer,
    )
    counts = _mask_difficult(test)
    return {
        key: classification.mean_average_precision(scores, test.labels, counts=counts, rule=rule)
        for key, rule in _PRECISION_RULES.items()
    }


def _measure_accuracy(
    vectors: Sequence[np.ndarray], records: Sequence[Records], svm: SVMOptions, layer: str
) -> dict[str, Any]:
    labels = np.concatenate([split_records.labels for split_records in records])
    accuracies = feature_svm.measure_accuracies(np.concatenate(vectors), labels, svm, layer)
    return {
        "accuracy": float(np.mean(accuracies)),
        "standard_deviation": float(np.std(accuracies, ddof=1)) if svm.draws > 1 else 0.0,
        "draws": accuracies,
    }


def _mask_difficult(records: Records) -> np.ndarray:
    """Whether each image counts for each class: not if it has only difficult objects of it."""
    counts = np.ones(records.labels.shape, bool)
    for index, objects in enumerate(records.objects or ()):
        counts[index, objects.labels[objects.difficult]] = False
    return counts | (records.labels > 0)


def _load_splits(
    recipe: Recipe, data: str, data_dir: str, train_split: str, split: str
) -> list[Records]:
    if not data:
        data, data_dir = recipe.data, data_dir or recipe.data_dir
        train_split = train_split or recipe.train_split
        split = split or recipe.validation_split
    defaults = splits.choose_splits(data, data_dir or None)
    records = [
        load_records(
            data,
            name,
            data_dir or None,
            on_error=recipe.on_error,
            max_skipped_fraction=recipe.max_skipped_fraction,
            orientation=recipe.orientation,
            background=recipe.background,
        )
        for name in (train_split or defaults[0], split or defaults[1])
    ]
    locations = [
        {(split_records.files[file], offset) for file, offset, _ in split_records.spans.tolist()}
        for split_records in records
    ]
    shared = len(locations[0] & locations[1])
    if shared:
        raise ValueError(
            "`train_split` and `split` must have no image in common; where images have one "
            "class, training and test images are drawn from both together. "
            f"Received: {records[0].name} and {records[1].name}, which share {shared}."
        )
    return records


def _check_images_per_class(records: Sequence[Records], per_class: tuple[int, int]) -> None:
    joined = np.concatenate([split_records.labels for split_records in records])
    labels, counts = np.unique(joined, return_counts=True)
    rarest = int(counts.argmin())
    if counts[rarest] <= per_class[0]:
        raise ValueError(
            f"`per_class` must leave an image of each class to test on. Received: per_class="
            f"{tuple(per_class)}, with {counts[rarest]} images of "
            f"{records[0].classes[labels[rarest]]!r}."
        )
