"""A run, layers and other data in: how far the features carry, by support vector machines."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _checks, _files, run_folder
from spp_keras.data import records, splits
from spp_keras.evaluation import feature_svm, features, result_format, run_settings, score_cache
from spp_keras.metrics import classification
from spp_keras.run_folder import RunFolder

# What a result says of images with several classes, and by which rule.
_PRECISIONS = {"mean_average_precision": "area", "mean_average_precision_11_point": "11-point"}


def evaluate_features(
    run: str | Path,
    layer: str | Sequence[str],
    *,
    data: str = "",
    data_dir: str = "",
    train_split: str = "",
    split: str = "",
    side: int | None = None,
    short_side: int | None = None,
    draws: int = 10,
    per_class: tuple[int, int] = (30, 50),
    cost: float = 1.0,
    to: str | Path | None = None,
) -> dict[str, Any]:
    """How good the features of a trained network are for other data, as the paper tests it.

    The network stays as it is. Of each image it sees one view; what a layer makes of it is
    brought to a length of 1, and linear support vector machines learn each class against
    the rest. Features are kept as they come, so that the same call goes on where it was
    killed.

    - Where images have several classes, as in VOC, the machines learn from one split and
      are tested on another. An image in which all objects of a class are difficult does not
      count for that class.
    - Where they have one, as in Caltech101, both splits are put together, and images to
      learn from and to test on are drawn from all of them, ten times.

    Reference:

    - [He et al., 2014](https://arxiv.org/abs/1406.4729), Sections 3.2 and 3.3.

    Args:
        run: Run folder.
        layer: Name of a layer, or several: `"conv5"`, `"spp"`, `"fc7"`; `"spp/6x6"` is one
            level of a pyramid.
        data: Folder or data set, of any classes. Defaults to what the run learned from.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `""`.
        train_split: Split to learn from. Defaults to that for training.
        split: Split to test on. Defaults to that for validation.
        side: Side of the square in the middle of an image that is seen. Defaults to
            `None`, whole images; for a network without a pyramid what it was built for.
        short_side: Length that the shorter side of an image is brought to before. Defaults to
            `side`, or to that of the training.
        draws: How often images are drawn. Defaults to 10.
        per_class: Images of a class to learn from, and how many of the others to test on at
            most. Defaults to the paper's 30 and 50.
        cost: C of the machines, scikit-learn's `LinearSVC` with the hinge loss. Unlike those of
            LIBSVM, which the paper names, they keep their bias small, too. Defaults to the
            paper's 1.
        to: Folder for `svm.json` and the features. Defaults to `evaluation` in the run
            folder.

    Returns:
        What is in `svm.json`: `"data"`, `"images"` and more of the settings, and `"rows"`, one
        for each layer, with its `"length"` and `"mean_average_precision"` by the area and
        `"mean_average_precision_11_point"` by the rule of VOC 2007, or `"accuracy"`, its
        standard `"deviation"` and that of each of the `"draws"`.
    """
    layers = [layer] if isinstance(layer, str) else list(layer)
    to = Path(Path(run) / run_folder.EVALUATION if to is None else to)
    _check(draws, per_class, cost)
    feature_svm.import_svm()
    member, protocol = run_settings.read_for_features(Path(run), side, short_side)
    network = RunFolder(run).model
    features.check_layers(network, layers, protocol)
    both = _records(member, data, data_dir, train_split, split)
    if not both[0].multi_label:
        _check_classes(both, per_class)
    images = [score_cache.ImageChunks(found) for found in both]
    found = features.extract_features(
        member, protocol, layers, lambda: network, images, to / run_folder.FEATURE_CACHE
    )
    rows = []
    for name, lots in zip(layers, found, strict=True):
        vectors = [feature_svm.normalize(lot) for lot in lots]
        row = {"layer": name, "length": vectors[0].shape[1]}
        if both[0].multi_label:
            rows.append(row | _of_several(vectors, both, cost, name))
        else:
            rows.append(row | _of_one(vectors, both, draws, per_class, cost, name))
    result = {
        "run": str(run),
        "data": [found.name for found in both],
        "images": [len(found) for found in both],
        "classes": len(both[0].classes),
        "protocol": protocol,
        "side": member.settings["side"],
        "short_side": member.settings["whole"].short_side,
        "cost": cost,
        **({} if both[0].multi_label else {"per_class": list(per_class)}),
        **result_format.describe_versions("scikit-learn"),
        "rows": rows,
    }
    _files.write_file(to / run_folder.SVM_RESULTS, json.dumps(result, indent=1) + "\n")
    return result


def format_feature_results(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of `evaluate_features` as a table in Markdown.

    Example:

    >>> row = {"layer": "fc7", "length": 4096, "accuracy": 0.871, "deviation": 0.006}
    >>> print(format_feature_results([row]))
    | layer | length | accuracy |
    |---|---|---|
    | fc7 | 4096 | 87.1% ± 0.6 |
    """
    if "accuracy" in rows[0]:
        heads = ["accuracy"]
        said = [[f"{100 * row['accuracy']:.1f}% ± {100 * row['deviation']:.1f}"] for row in rows]
    else:
        heads = ["mAP", "mAP, 11-point"]
        said = [[f"{100 * row[key]:.1f}%" for key in _PRECISIONS] for row in rows]
    lines = [
        [row["layer"], str(row["length"]), *cells] for row, cells in zip(rows, said, strict=True)
    ]
    return result_format.format_markdown([["layer", "length", *heads], *lines])


def _of_several(
    vectors: Sequence[np.ndarray], both: Sequence[records.Records], cost: float, what: str
) -> dict[str, Any]:
    train, test = both
    scores = feature_svm.score_by_svm(
        vectors[0], train.labels, vectors[1], counts=_counts(train), cost=cost, what=what
    )
    return {
        key: classification.mean_average_precision(
            scores, test.labels, counts=_counts(test), rule=rule
        )
        for key, rule in _PRECISIONS.items()
    }


def _of_one(
    vectors: Sequence[np.ndarray],
    both: Sequence[records.Records],
    draws: int,
    per_class: tuple[int, int],
    cost: float,
    what: str,
) -> dict[str, Any]:
    found = feature_svm.measure_accuracies(
        np.concatenate(vectors),
        np.concatenate([part.labels for part in both]),
        draws=draws,
        per_class=per_class,
        cost=cost,
        what=what,
    )
    deviation = float(np.std(found, ddof=1)) if draws > 1 else 0.0
    return {"accuracy": float(np.mean(found)), "deviation": deviation, "draws": found}


def _counts(found: records.Records) -> np.ndarray:
    """Which images count for a class: not those that have difficult objects of it alone."""
    counts = np.ones(found.labels.shape, bool)
    for number, objects in enumerate(found.objects or ()):
        counts[number, objects.labels[objects.difficult]] = False
    return counts | (found.labels > 0)


def _check(draws: int, per_class: tuple[int, int], cost: float) -> None:
    _checks.at_least(draws, 1, "draws")
    _checks.positive(cost, "cost")
    if len(per_class) != 2:
        raise ValueError(
            "`per_class` must be two numbers, of images to learn from and to test on. "
            f"Received: per_class={per_class!r}."
        )
    for count in per_class:
        _checks.at_least(count, 1, "per_class")


def _records(
    member: run_settings.EvaluatedRun, data: str, data_dir: str, train_split: str, split: str
) -> list[records.Records]:
    recipe = member.recipe
    if not data:
        data, data_dir = recipe.data, data_dir or recipe.data_dir
        train_split = train_split or recipe.train_split
        split = split or recipe.validation_split
    usual = splits.choose_splits(data, data_dir or None)
    found = [
        records.load_records(
            data,
            name,
            data_dir or None,
            on_error=recipe.on_error,
            max_skipped_fraction=recipe.max_skipped_fraction,
            orientation=recipe.orientation,
        )
        for name in (train_split or usual[0], split or usual[1])
    ]
    places = [
        {(part.files[file], offset) for file, offset, _ in part.spans.tolist()} for part in found
    ]
    shared = len(places[0] & places[1])
    if shared:
        raise ValueError(
            "`train_split` and `split` must have no image in common; of data with one class to an "
            "image the two are put together and drawn from. "
            f"Received: {found[0].name} and {found[1].name}, which share {shared}."
        )
    return found


def _check_classes(both: Sequence[records.Records], per_class: tuple[int, int]) -> None:
    labels, counts = np.unique(np.concatenate([part.labels for part in both]), return_counts=True)
    least = int(counts.argmin())
    if counts[least] <= per_class[0]:
        raise ValueError(
            f"`per_class` must leave an image of each class to test on. Received: per_class="
            f"{tuple(per_class)}, with {counts[least]} images of "
            f"{both[0].classes[labels[least]]!r}."
        )
