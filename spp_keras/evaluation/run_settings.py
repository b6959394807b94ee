"""What is known of a run without its network, to be checked before hours of work."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _cache, _checks, recipes, run_folder
from spp_keras.data import records, size_policies, splits
from spp_keras.evaluation import protocols, views
from spp_keras.metrics import classification
from spp_keras.recipes.size_policies import make_prediction_policy
from spp_keras.run_folder import RunFolder
from spp_keras.zoo import tables

# Part of the name of what is kept: another number when scores mean something else.
_FORMAT = "1"


class EvaluatedRun(NamedTuple):
    """A run that is evaluated, alone or in an ensemble.

    Args:
        run: Its folder.
        recipe: How it was trained.
        labels: Name of each class.
        multi_label: Whether an image has any number of classes.
        settings: `side`, `short_side` and `whole` of a `Scorer`.
    """

    run: Path
    recipe: recipes.Recipe
    labels: tuple[str, ...]
    multi_label: bool
    settings: dict[str, Any]


def read_run(run: Path, asked: Sequence[str], side: int | None = None) -> EvaluatedRun:
    """A run that can be asked by some protocols.

    Args:
        run: Its folder.
        asked: Names of the protocols.
        side: Side of the views. Defaults to `None`, what the recipe says.
    """
    run_files = RunFolder(run)
    run_files.check_is_trained()
    recipe, labels, multi_label = run_files.recipe, run_files.labels, run_files.multi_label
    longest_side = run_files.longest_side
    settings = _settings(run, recipe, longest_side, asked, side)
    return EvaluatedRun(run, recipe, labels, multi_label, settings)


def read_for_features(
    run: Path, side: int | None = None, short_side: int | None = None
) -> tuple[EvaluatedRun, str]:
    """A run that is asked for features of one view, and the protocol of that.

    Args:
        run: Its folder.
        side: Side of the square that is seen. Defaults to `None`, whole images, or what a
            network without a pyramid was built for.
        short_side: Short side that images are brought to. Defaults to `side`, or what the
            recipe says.
    """
    run_files = RunFolder(run)
    run_files.check_is_trained()
    recipe, labels, multi_label = run_files.recipe, run_files.labels, run_files.multi_label
    pyramid = recipe.model.endswith("_spp")
    if not pyramid:
        own = recipe.image_sizes[0]
        if side not in (None, own):
            raise ValueError(
                f"`side` must be what {recipe.model} was built for, {own}. "
                f"Received: side={side} for {str(run)!r}."
            )
        side = own
    if short_side is None:
        short_side = side or (None if recipe.size_policy == "native" else recipe.short_side)
    if short_side is None:
        raise ValueError(
            "`short_side` must be given for a network that learned from images of their own "
            f"sizes. Received: short_side=None for {str(run)!r}."
        )
    least = tables.get_trunk(recipe.model).min_size
    seen = {"short_side": short_side} if side is None else {"side": side, "short_side": short_side}
    for name, value in seen.items():
        _checks.at_least(value, 1, name)
        if value < least:
            raise ValueError(
                f"`{name}` must be at least {least}, the least that {recipe.model} can map. "
                f"Received: {name}={value} for {str(run)!r}."
            )
    if side is not None and side > short_side:
        raise ValueError(
            "`side` must be at most `short_side`, which the square is cut from. "
            f"Received: side={side}, short_side={short_side}."
        )
    settings = {
        "side": side,
        "short_side": None if side is None else short_side,
        "whole": size_policies.Whole(short_side=short_side),
    }
    protocol = "full" if side is None else "crop"
    return EvaluatedRun(run, recipe, labels, multi_label, settings), protocol


def cache_key(member: EvaluatedRun, protocol: str) -> str:
    """Names everything but the image that scores, or features, follow from."""
    recipe = member.recipe
    key = _cache.make_key(
        _FORMAT,
        tf.__version__,
        keras.__version__,
        member.multi_label,
        sorted(member.settings.items()),
        (recipe.model, recipe.width, recipe.levels),
        _cache.digest_file(member.run / run_folder.BEST_WEIGHTS),
    )
    return f"{protocol}-{key[:16]}"


def find_usable(member: EvaluatedRun, asked: Sequence[str], found: records.Records) -> np.ndarray:
    """Which images are large enough for the network as the protocols send them: `(n,)` bool."""
    if not {"full", "96-view+full"} & set(asked):
        return np.ones(len(found), bool)
    least = tables.get_trunk(member.recipe.model).min_size
    return member.settings["whole"].output_sizes(found.sizes).min(axis=1) >= least


def load_evaluation_records(
    ensemble: Sequence[EvaluatedRun], names: Sequence[str], data: str, data_dir: str, split: str
) -> tuple[records.Records, int]:
    """The images that all can be asked about, and how many were left out.

    Args:
        ensemble: The runs.
        names: Names of the protocols.
        data: Folder or data set. Defaults to what the first run learned from.
        data_dir: Where TensorFlow Datasets keeps its data.
        split: Split of the data. Defaults to that for validation.
    """
    first = ensemble[0]
    for member in ensemble:
        if member.recipe.orientation != first.recipe.orientation:
            raise ValueError(
                "`run` must be runs of one orientation, which decides how images are read. "
                f"{first.run} has {first.recipe.orientation!r}, "
                f"{member.run} {member.recipe.orientation!r}: measure them one by one."
            )
    if not data:
        data, data_dir = first.recipe.data, data_dir or first.recipe.data_dir
        split = split or first.recipe.validation_split
    found = records.load_records(
        data,
        split or splits.choose_splits(data, data_dir or None)[1],
        data_dir or None,
        on_error=first.recipe.on_error,
        max_skipped_fraction=first.recipe.max_skipped_fraction,
        orientation=first.recipe.orientation,
    )
    if found.multi_label:
        # Before the work, not behind it.
        classification.import_average_precision()
    for member in ensemble:
        if member.labels != found.classes or member.multi_label != found.multi_label:
            kinds = {True: "any number of classes", False: "one class"}
            raise ValueError(
                "`data` must have the classes that the networks learned. "
                f"{found.name} has {list(found.classes)[:10]}, {kinds[found.multi_label]} to an "
                f"image; {member.run} learned {list(member.labels)[:10]}, "
                f"{kinds[member.multi_label]} to an image."
            )
    large = np.all([find_usable(member, names, found) for member in ensemble], axis=0)
    if not large.any():
        raise ValueError(
            "`data` must have images that the networks can map whole: leave out the protocols "
            f"with `full`. Received: {found.name}, where all are too small."
        )
    if not large.all():
        left = found.ids[~large]
        print(
            f"{found.name}: {len(left)} of {len(found)} images are too small to be sent whole and "
            f"left out, such as {str(left[0])!r}.",
            file=sys.stderr,
        )
        found = found.select(large)
    return found, int(np.sum(~large))


def count_views(member: EvaluatedRun, protocol: str, found: records.Records) -> float:
    """Views of an image, on average."""
    kinds, counts = np.unique(found.sizes, axis=0, return_counts=True)
    of_kind = [
        sum(
            len(part.views)
            for part in protocols.list_scaled_views(protocol, tuple(size), **member.settings)
        )
        for size in kinds.tolist()
    ]
    return float(np.average(of_kind, weights=counts))


def _settings(
    run: Path,
    recipe: recipes.Recipe,
    longest_side: int | None,
    asked: Sequence[str],
    side: int | None,
) -> dict[str, Any]:
    pyramid = recipe.model.endswith("_spp")
    for name in asked:
        if not pyramid and name not in protocols.FIXED_SIZE_PROTOCOLS:
            raise ValueError(
                f"`protocol` must be {' or '.join(map(repr, protocols.FIXED_SIZE_PROTOCOLS))} for "
                f"{recipe.model}, a network without a pyramid, which takes images of one size: "
                f"take a run of {recipe.model}_spp. Received: protocol={name!r} for {str(run)!r}."
            )
    own, short = _own_side(recipe)
    if side is not None and side != own:
        if not pyramid:
            raise ValueError(
                f"`side` must be what {recipe.model} was built for, {own}. "
                f"Received: side={side} for {str(run)!r}."
            )
        own, short = side, views.short_side_for(side)
    if own is None and set(asked) != {"full"}:
        raise ValueError(
            "`side` must be given for a network that learned from images of their own sizes, "
            "whose views could be of any: that of a typical object or image. 'full' alone needs "
            f"none. Received: side=None for {str(run)!r}."
        )
    least = tables.get_trunk(recipe.model).min_size
    if own is not None and own < least:
        raise ValueError(
            f"`side` must be at least {least}, the least that {recipe.model} can map. "
            f"Received: side={own} for {str(run)!r}."
        )
    whole = make_prediction_policy(recipe, longest_side)
    if not isinstance(whole, size_policies.Whole):
        whole = size_policies.Whole(short_side=short)
    return {"side": own, "short_side": short, "whole": whole}


def _own_side(recipe: recipes.Recipe) -> tuple[int | None, int | None]:
    """Side and short side of the views that a network learned from."""
    if recipe.size_policy == "native":
        return None, None
    if recipe.size_policy == "whole":
        return views.view_size(recipe.short_side), recipe.short_side
    side = max(recipe.image_sizes)
    return side, views.short_side_for(side) if recipe.size_policy == "warped" else recipe.short_side
