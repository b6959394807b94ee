"""Subsets of a directory for training and for validation, by the rules of Keras."""

from collections.abc import Sequence

import numpy as np


def check_subset(
    splits: Sequence[str],
    validation_split: float | None,
    subset: str | None,
    shuffle: bool,
    seed: int | None,
) -> None:
    """Checks the arguments that say which images are wanted.

    Args:
        splits: Names of the splits that a table has the images in; empty if it has none.
        validation_split: Fraction of the images for validation, or `None`.
        subset: Name of a subset, `"both"` or `None`.
        shuffle: Whether images are shuffled.
        seed: The seed, or `None`.
    """
    if splits:
        names = [name for name, split in _list_subsets(splits).items() if split in splits]
        choices = [*names, *(["both"] if {"training", "validation"} <= {*names} else [])]
        if validation_split is not None or subset not in choices:
            raise ValueError(
                f"`subset` must be one of {', '.join(map(repr, choices))}, without "
                "`validation_split`, since the table of labels has a column 'split'. "
                f"Received: subset={subset!r}, validation_split={validation_split!r}."
            )
        return
    if subset not in ("training", "validation", "both", None):
        raise ValueError(
            "`subset` must be 'training', 'validation', 'both' or None. "
            f"Received: subset={subset!r}."
        )
    if (validation_split is None) != (subset is None):
        raise ValueError(
            "`subset` and `validation_split` must be given together. "
            f"Received: subset={subset!r}, validation_split={validation_split!r}."
        )
    if validation_split is not None and not 0 < validation_split < 1:
        raise ValueError(
            "`validation_split` must be a number between 0 and 1. "
            f"Received: validation_split={validation_split!r}."
        )
    if subset is not None and shuffle and seed is None:
        raise ValueError(
            "`seed` must be given with `validation_split`, or `shuffle` be False, so that no "
            "image is in both subsets. Received: seed=None, shuffle=True."
        )


def choose_subsets(
    splits: Sequence[str | None],
    shuffle: bool,
    seed: int,
    validation_split: float | None,
    subset: str | None,
) -> dict[str, list[int]]:
    """Chooses the images of subsets, in their order.

    Images are shuffled by the seed; the last fraction of them is for validation.

    Args:
        splits: The split of each image, `None` where it is in none.
        shuffle: Whether to shuffle the images.
        seed: Seed of the shuffling.
        validation_split: Fraction of the images for validation, or `None`.
        subset: Name of a subset, `"both"` for the first two, or `None` for all images.

    Returns:
        Indices of the images of each subset that is wanted, `"all"` without subsets.

    Example:

    >>> choose_subsets([None] * 5, False, 0, 0.4, "both")
    {'training': [0, 1, 2], 'validation': [3, 4]}
    """
    order = list(range(len(splits)))
    if shuffle:
        np.random.RandomState(seed).shuffle(order)
    if subset is None:
        return {"all": order}
    if validation_split is None:
        chosen = {
            name: [index for index in order if splits[index] == split]
            for name, split in _list_subsets(splits).items()
        }
    else:
        count = len(order) - int(validation_split * len(order))
        chosen = {"training": order[:count], "validation": order[count:]}
    wanted = ("training", "validation") if subset == "both" else (subset,)
    for name in wanted:
        if not chosen[name]:
            raise ValueError(
                f"`validation_split` must leave images for {name}. Received: "
                f"validation_split={validation_split!r} of {len(order)} images."
            )
    return {name: chosen[name] for name in wanted}


def _list_subsets(splits: Sequence[str | None]) -> dict[str, str]:
    """Subsets and the splits that they are."""
    names = {"training": "train", "validation": "validation"}
    return names | {split: split for split in splits if split and split != "train"}
