"""Settings of the runs to evaluate, checked before their networks are loaded."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _cache, _checks, run_folder
from spp_keras.data import size_policies, splits
from spp_keras.data.records import Records, load_records
from spp_keras.data.size_policies import Crop, Warp, Whole
from spp_keras.evaluation import protocols
from spp_keras.evaluation.protocols import ViewSettings
from spp_keras.metrics import classification
from spp_keras.recipes import Recipe
from spp_keras.recipes.size_policies import make_prediction_policy, make_training_policy
from spp_keras.run_folder import RunFolder
from spp_keras.zoo import imagenet

# Part of cache keys: another number when scores mean something else.
_FORMAT = "2"


class EvaluatedRun(NamedTuple):
    """A run to evaluate, alone or in an ensemble.

    Args:
        folder: Its folder.
        views: Sizes of the views that the network sees.
    """

    folder: RunFolder
    views: ViewSettings

    @property
    def name(self) -> str:
        """Path of the folder."""
        return str(self.folder.path)

    @property
    def recipe(self) -> Recipe:
        """Recipe of the training."""
        recipe: Recipe = self.folder.recipe
        return recipe


def read_run(
    path: Path, protocol_names: Sequence[str], view_size: int | None = None
) -> EvaluatedRun:
    """Reads a run that can be evaluated by some protocols.

    Args:
        path: Its folder.
        protocol_names: Names of the protocols.
        view_size: Size of the views. Defaults to `None`, that of the training.
    """
    folder = RunFolder(path)
    folder.check_is_trained()
    recipe: Recipe = folder.recipe
    for name in protocol_names:
        if not recipe.has_pyramid and name not in protocols.FIXED_SIZE_PROTOCOLS:
            raise ValueError(
                f"`protocol` must be {' or '.join(map(repr, protocols.FIXED_SIZE_PROTOCOLS))} for "
                f"{recipe.model}, a network without a pyramid, which takes images of one size: "
                f"take a run of {recipe.model}_spp. Received: protocol={name!r} for {str(path)!r}."
            )
    training_size, short_side = _read_training_view(recipe)
    if view_size is None:
        view_size = training_size
    elif view_size != training_size:
        _check_built_size(folder, view_size)
        short_side = size_policies.short_side_for(view_size)
    if view_size is not None:
        _check_min_size(folder, "view_size", view_size)
    elif set(protocol_names) != {"full"}:
        raise ValueError(
            "`view_size` must be given for a network trained on images of their own sizes, for "
            "all protocols but 'full': take that of a typical object or image. "
            f"Received: view_size=None for {str(path)!r}."
        )
    whole = make_prediction_policy(recipe, folder.longest_side)
    if not isinstance(whole, Whole):
        whole = Whole(short_side=short_side)
    return EvaluatedRun(folder, ViewSettings(view_size, short_side, whole))


def read_run_for_features(
    path: Path, view_size: int | None = None, short_side: int | None = None
) -> tuple[EvaluatedRun, str]:
    """Reads a run for features of one view, and chooses the protocol of that view.

    Args:
        path: Its folder.
        view_size: Size of the square at the center. Defaults to `None`, whole images, or what
            a network without a pyramid was built for.
        short_side: Short side that images are scaled to. Defaults to `view_size`, or that of
            the training.
    """
    folder = RunFolder(path)
    folder.check_is_trained()
    recipe: Recipe = folder.recipe
    if view_size is not None:
        _check_built_size(folder, view_size)
    elif not recipe.has_pyramid:
        view_size = recipe.image_sizes[0]
    if short_side is None:
        short_side = view_size or (None if recipe.size_policy == "native" else recipe.short_side)
    if short_side is None:
        raise ValueError(
            "`short_side` must be given for a network trained on images of their own sizes. "
            f"Received: short_side=None for {str(path)!r}."
        )
    if view_size is not None:
        _check_min_size(folder, "view_size", view_size)
    _check_min_size(folder, "short_side", short_side)
    if view_size is not None and view_size > short_side:
        raise ValueError(
            "`view_size` must be at most `short_side`, which the square is cropped from. "
            f"Received: view_size={view_size}, short_side={short_side}."
        )
    settings = ViewSettings(
        view_size, None if view_size is None else short_side, Whole(short_side=short_side)
    )
    return EvaluatedRun(folder, settings), "full" if view_size is None else "crop"


def choose_protocol(paths: Sequence[Path]) -> str:
    """The protocol that sends what prediction sends: `"full"`, `"crop"` or `"warp"`.

    Args:
        paths: The run folders.
    """
    policies = [RunFolder(path).size_policy for path in paths]
    names = {Whole: "full", Crop: "crop", Warp: "warp"}
    chosen = sorted({names[type(policy)] for policy in policies})
    if len(chosen) > 1:
        raise ValueError(
            "`protocol` must be given for runs whose usual protocols differ: "
            f"{' and '.join(map(repr, chosen))}. Received: protocol=None."
        )
    return chosen[0]


def cache_key(run: EvaluatedRun, name: str) -> str:
    """A folder name for scores or features: depends on all that they depend on but the image.

    Args:
        run: The run.
        name: Protocol, and layer of features.
    """
    recipe = run.recipe
    key = _cache.make_key(
        _FORMAT,
        tf.__version__,
        keras.__version__,
        run.folder.multi_label,
        run.views,
        (recipe.model, recipe.width, recipe.levels, recipe.mode, recipe.units),
        _cache.digest_file(run.folder / run_folder.BEST_WEIGHTS),
    )
    return f"{name}-{key[:16]}"


def load_evaluation_records(
    runs: Sequence[EvaluatedRun],
    protocol_names: Sequence[str],
    data: str,
    data_dir: str,
    split: str,
) -> tuple[Records, int]:
    """Loads the images that all runs can be evaluated on.

    Args:
        runs: The runs.
        protocol_names: Names of the protocols.
        data: Folder or data set. Defaults to the training data of the first run.
        data_dir: Folder of prepared TensorFlow Datasets.
        split: Split of the data. Defaults to that for validation.

    Returns:
        The records, and the number of images that were skipped since they are too small.
    """
    first = runs[0].recipe
    for run in runs:
        for key in ("orientation", "background"):
            values = getattr(first, key), getattr(run.recipe, key)
            if values[0] != values[1]:
                raise ValueError(
                    f"`run` must be runs of one {key}, which decides how images are read: "
                    f"evaluate them one by one. Received: {runs[0].name!r} with "
                    f"{values[0]!r} and {run.name!r} with {values[1]!r}."
                )
    if not data:
        data, data_dir = first.data, data_dir or first.data_dir
        split = split or first.validation_split
    records = load_records(
        data,
        split or splits.choose_splits(data, data_dir or None)[1],
        data_dir or None,
        on_error=first.on_error,
        max_skipped_fraction=first.max_skipped_fraction,
        orientation=first.orientation,
        background=first.background,
    )
    if records.multi_label:
        # A missing package is reported now and not after the evaluation.
        classification.import_average_precision()
    for run in runs:
        _check_classes(run.folder, records)
    large = np.all([_find_large_images(run, protocol_names, records) for run in runs], axis=0)
    if not large.any():
        raise ValueError(
            "`data` must have images that are large enough to be sent whole: leave out the "
            f"protocols with `full`. Received: {records.name}, where all are too small."
        )
    skipped = records.ids[~large]
    if len(skipped):
        print(
            f"{records.name}: {len(skipped)} of {len(records)} images are too small to be sent "
            f"whole and skipped, such as {str(skipped[0])!r}.",
            file=sys.stderr,
        )
        records = records.select(large)
    return records, len(skipped)


def count_views(run: EvaluatedRun, protocol: str, records: Records) -> float:
    """Average number of views of an image."""
    sizes, counts = np.unique(records.sizes, axis=0, return_counts=True)
    views = [
        sum(
            len(scaled.views)
            for scaled in protocols.list_scaled_views(protocol, tuple(size), *run.views)
        )
        for size in sizes.tolist()
    ]
    return float(np.average(views, weights=counts))


def _read_training_view(recipe: Recipe) -> tuple[int | None, int | None]:
    """View size and short side of the training; `None` for images of their own sizes."""
    policy = make_training_policy(recipe)
    if isinstance(policy, Crop):
        return max(policy.image_sizes), policy.short_side
    if isinstance(policy, Warp):
        side = max(policy.size)
        return side, size_policies.short_side_for(side)
    if policy.short_side is None:
        return None, None
    return size_policies.image_size_for(policy.short_side), policy.short_side


def _find_large_images(
    run: EvaluatedRun, protocol_names: Sequence[str], records: Records
) -> np.ndarray:
    """Mask of the images that are large enough for the network as the protocols send them."""
    if not {"full", "96-view+full"} & set(protocol_names):
        return np.ones(len(records), bool)
    min_size = run.recipe.min_image_size
    sizes: np.ndarray = run.views.whole.output_sizes(records.sizes)
    return sizes.min(axis=1) >= min_size


def _check_built_size(folder: RunFolder, view_size: int) -> None:
    recipe: Recipe = folder.recipe
    if not recipe.has_pyramid and view_size != recipe.image_sizes[0]:
        raise ValueError(
            f"`view_size` must be what {recipe.model} was built for, {recipe.image_sizes[0]}. "
            f"Received: view_size={view_size} for {str(folder.path)!r}."
        )


def _check_min_size(folder: RunFolder, name: str, value: int) -> None:
    _checks.at_least(value, 1, name)
    model, min_size = folder.recipe.model, folder.recipe.min_image_size
    if value < min_size:
        raise ValueError(
            f"`{name}` must be at least {min_size}, the smallest image size of {model}. "
            f"Received: {name}={value} for {str(folder.path)!r}."
        )


def _check_classes(folder: RunFolder, records: Records) -> None:
    # TensorFlow Datasets names ImageNet's classes by their synsets.
    classes = imagenet.name_synsets(records.classes)
    if folder.labels == classes and folder.multi_label == records.multi_label:
        return
    kinds = {True: "any number of classes", False: "one class"}
    raise ValueError(
        "`data` must have the classes that the network was trained on. "
        f"Received: {records.name} with {list(records.classes)[:10]}, "
        f"{kinds[records.multi_label]} to an image; {str(folder.path)!r} was trained on "
        f"{list(folder.labels)[:10]}, {kinds[folder.multi_label]} to an image."
    )
