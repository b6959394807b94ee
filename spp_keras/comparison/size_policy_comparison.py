"""Are images of a data set classified better whole, cropped, or warped to squares?"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _cache, _checks
from spp_keras.comparison import (
    compared_images,
    form_results,
    frozen_trunk,
    paired_intervals,
    verdicts,
)
from spp_keras.comparison.compared_images import ComparedImages
from spp_keras.comparison.form_results import FormVectors
from spp_keras.comparison.image_splits import ImageSplit
from spp_keras.comparison.size_forms import SizeForm, make_forms
from spp_keras.comparison.view_vectors import compute_vectors
from spp_keras.data.records import Records
from spp_keras.evaluation import result_format, score_cache

MIN_SEEDS = 3
_TEN = "crop, 10 views"
NOTE = (
    "In each form only the head was trained, on vectors of the same frozen trunk: training all of "
    "the network may change the answer."
)


def compare_size_policies(
    data: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    network: str = "efficientnet_lite0",
    weights: str = "imagenet",
    levels: Sequence[int | tuple[int, int]] = (2, 1),
    mode: str = "average",
    short_side: int = 192,
    seeds: int = 5,
    cache: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Compares whole, cropped and warped images of a data set, by the accuracy of a classifier.

    The same frozen trunk with the same weights makes vectors of the images in each form, see
    `spp_keras.comparison.size_forms.make_forms`: squares have as many pixels as whole images on
    average. On these vectors a softmax layer is trained for each form: on the same images, in as
    many steps, with as many views, its learning rate and weight decay chosen from the same grid
    on validation images, for each form by itself. Crops are tested by the one at the center, and
    by ten views.

    Where the data have a split `test`, or else `validation`, that is tested on, and seeds change
    the first weights, the order and the validation images. Otherwise a quarter of each class is
    tested on, another for each seed, the same for all forms; files with the same bytes are in
    one part. Intervals are of 95%, see `spp_keras.comparison.paired_intervals`. With fewer than 5
    test images of a class on average nothing is said of differences.

    Vectors are cached while they are computed: the same call goes on where one was killed.

    Args:
        data: A folder with a folder per class, or another data set with one class an image, as
            for `spp_keras.data.load_records`.
        data_dir: Folder of prepared TensorFlow Datasets. Defaults to `None`.
        train_split: Split to train on, given together with `test_split`. Defaults to `None`.
        test_split: Split to test on. Defaults to `None`, as above.
        network: Network with a pyramid, of the zoo or of `keras.applications`. Defaults to
            `"efficientnet_lite0"`.
        weights: `"imagenet"`, or the path of a file that `save_weights` of the network wrote.
            Defaults to `"imagenet"`.
        levels: Pyramid levels. Defaults to `(2, 1)`.
        mode: `"max"` or `"average"`, how the pyramid pools its bins. Defaults to `"average"`.
        short_side: Short side of whole images. Defaults to 192.
        seeds: Number of seeds, at least 3. Defaults to 5.
        cache: Folder of the vectors. Defaults to `None`, `comparison` in the folder of caches of
            the user.

    Returns:
        The `"sentence"` that answers, a `"note"`, `"rows"` with the accuracy of each form and of
        each seed, `"differences"` with intervals and verdicts, and the settings. For JSON;
        `spp_keras.comparison.format_comparison` makes text of it.
    """
    _checks.at_least(seeds, MIN_SEEDS, "seeds")
    frozen_trunk.check_network(network, weights, _checks.at_least(short_side, 1, "short_side"))
    images = compared_images.load_images(data, data_dir, train_split, test_split)
    splits = [images.split(seed) for seed in range(seeds)]
    pool, key = frozen_trunk.make_pool(network, weights, levels, mode)
    folder = Path(cache or _cache.user_folder("comparison")) / key
    forms = make_forms(images.sizes, short_side)
    chunks = [
        [score_cache.ImageChunks(records) for records in part]
        for part in (images.pool, images.tested)
    ]
    rows, correct = [], {}
    for form in forms:
        vectors, seconds = _compute_vectors(form, chunks, pool, folder)
        results = form_results.evaluate_form(
            vectors, images.labels, splits, images.test_start, f"Heads for {form.name} images"
        )
        chosen = [setting._asdict() for setting in results.chosen]
        by_name = {form.name: (results.correct, 1, seconds["train"] + seconds["test"])}
        if results.correct_by_ten:
            by_name[_TEN] = (results.correct_by_ten, 10, seconds["train"] + seconds["ten"])
        for name, (right, views, cpu_seconds) in by_name.items():
            correct[name] = right
            interval = _measure(right, images, splits)
            rows.append(
                {
                    "form": name,
                    "accuracy": interval.mean,
                    "interval": [max(0.0, interval.low), min(1.0, interval.high)],
                    "accuracies": [float(np.mean(of_seed)) for of_seed in right],
                    "views": views,
                    "cpu_seconds": round(cpu_seconds, 1),
                    "chosen": chosen,
                }
            )
    per_class = compared_images.count_images_per_class(
        [split.test for split in splits], images.labels
    )
    differences = _compare(correct, images, splits, per_class)
    return {
        "sentence": verdicts.summarize(
            str(data),
            [difference["verdict"] for difference in differences[:2]],
            [
                paired_intervals.Interval(difference["difference"], *difference["interval"])
                for difference in differences[:2]
            ],
            per_class,
        ),
        "note": NOTE,
        "data": str(data),
        "images": len(images.labels),
        "classes": list(images.classes),
        "splits": _describe_splits(images, splits, per_class),
        "recipe": {
            "network": network,
            "weights": weights,
            "levels": list(levels),
            "mode": mode,
            "short_side": short_side,
            "forms": {form.name: form.settings for form in forms},
            "views_in_training": int(vectors.train.shape[1]),
            "grid": [setting._asdict() for setting in form_results.GRID],
            "steps": form_results.count_steps(len(splits[0].train)),
            "batch_size": form_results.BATCH_SIZE,
            "seeds": seeds,
        },
        "rows": rows,
        "differences": differences,
        **result_format.describe_versions(),
    }


def _compute_vectors(
    form: SizeForm,
    chunks: Sequence[Sequence[score_cache.ImageChunks]],
    pool: Callable[[Any], Any],
    folder: Path,
) -> tuple[FormVectors, dict[str, float]]:
    """All vectors of a form, and the processor's seconds that each kind of views took."""
    seconds = {"train": 0.0, "test": 0.0, "ten": 0.0}

    def compute(kind: str, parts: Sequence[score_cache.ImageChunks], text: str) -> np.ndarray:
        computed = [
            compute_vectors(part, getattr(form, kind), pool, folder, f"{form.name.title()}{text}")
            for part in parts
        ]
        seconds[kind] = sum(of_part for _, of_part in computed)
        return np.concatenate([vectors for vectors, _ in computed])

    pooled, tested = chunks
    train = compute("train", pooled, " images")
    test = compute("test", tested, " images to test on")[:, 0] if tested else train[:, 0]
    ten = None if form.ten is None else compute("ten", tested or pooled, ", 10 views")
    return FormVectors(train, test, ten), seconds


def _measure(
    values: Sequence[np.ndarray], images: ComparedImages, splits: Sequence[ImageSplit]
) -> paired_intervals.Interval:
    if images.tested:
        return paired_intervals.fixed_test_interval(values)
    train_images = float(np.mean([len(part.train) + len(part.validation) for part in splits]))
    return paired_intervals.resampled_interval(values, train_images)


def _compare(
    correct: dict[str, list[np.ndarray]],
    images: ComparedImages,
    splits: Sequence[ImageSplit],
    per_class: float,
) -> list[dict[str, Any]]:
    """Differences of whole images from the others."""
    differences = []
    for other in ("warp", "crop", _TEN):
        pairs = zip(correct["whole"], correct[other], strict=True)
        values = [whole.astype(float) - right for whole, right in pairs]
        interval = _measure(values, images, splits)
        differences.append(
            {
                "forms": ["whole", other],
                "difference": interval.mean,
                "interval": [interval.low, interval.high],
                "differences": [float(np.mean(of_seed)) for of_seed in values],
                "verdict": verdicts.judge(interval, per_class),
            }
        )
    return differences


def _describe_splits(
    images: ComparedImages, splits: Sequence[ImageSplit], per_class: float
) -> dict[str, Any]:
    def name(records: Sequence[Records]) -> list[str]:
        return [part.name for part in records]

    return {
        "train": name(images.pool),
        "test": name(images.tested) or "a quarter of each class, another for each seed",
        "images": [[len(part) for part in split] for split in splits],
        "test_images_per_class": per_class,
        "copies": int(len(images.copies) - len(np.unique(images.copies))),
    }
