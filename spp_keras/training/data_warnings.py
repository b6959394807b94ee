"""What images lack to be learned from, said before a training."""

from collections import Counter

import numpy as np

from spp_keras.data.duplicates import find_duplicates
from spp_keras.data.records import Records

# Fewer steps in an epoch teach little.
MIN_STEPS = 10
_MIN_IMAGES = 5
_SHOWN = 5


def list_data_warnings(training: Records, validation: Records, batch_size: int) -> list[str]:
    """Sentences about too few images, and about pictures that are there twice.

    Args:
        training: Images to train on.
        validation: Images to validate on.
        batch_size: Images in a batch.

    Returns:
        A list of sentences, empty where nothing is wrong.
    """
    return [
        *_warn_of_few_steps(len(training), batch_size),
        *_warn_of_small_classes(training),
        *_warn_of_duplicates(training, validation),
    ]


def _warn_of_few_steps(images: int, batch_size: int) -> list[str]:
    steps = -(-images // batch_size)
    if steps >= MIN_STEPS:
        return []
    return [
        f"{images} images make {steps} steps an epoch, fewer than {MIN_STEPS}: results will "
        "depend on chance. More images help most."
    ]


def _warn_of_small_classes(training: Records) -> list[str]:
    labels = training.labels
    counts = (
        labels.sum(axis=0)
        if training.multi_label
        else np.bincount(labels, minlength=len(training.classes))
    )
    small = [
        f"{name} ({count})"
        for name, count in zip(training.classes, counts.tolist(), strict=True)
        if count < _MIN_IMAGES
    ]
    if not small:
        return []
    return [f"classes with fewer than {_MIN_IMAGES} images to train on: {_shorten(small)}."]


def _warn_of_duplicates(training: Records, validation: Records) -> list[str]:
    parts = (training, validation)
    in_both, in_two_classes = [], []
    for group in find_duplicates(*parts):
        names = " = ".join(str(parts[part].ids[index]) for part, index in group[:3])
        if len({part for part, _ in group}) > 1:
            in_both.append(names)
        if len(Counter(parts[part].labels[index].tobytes() for part, index in group)) > 1:
            in_two_classes.append(names)
    warnings = []
    if in_two_classes:
        warnings.append(
            f"{_count_pictures(in_two_classes)} in two classes, which no network can learn: "
            f"{_shorten(in_two_classes)}."
        )
    if in_both:
        warnings.append(
            f"{_count_pictures(in_both)} in the training and in the validation part, so that the "
            f"validation accuracy is too high: {_shorten(in_both)}."
        )
    return warnings


def _count_pictures(names: list[str]) -> str:
    return "1 picture is" if len(names) == 1 else f"{len(names)} pictures are"


def _shorten(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
