"""The training and validation images of a recipe."""

import dataclasses
import sys
from typing import Any

import numpy as np

from spp_keras import run_folder
from spp_keras.data import records, splits
from spp_keras.data.pipeline import Pipeline
from spp_keras.data.records import Records
from spp_keras.data.sources import Skipped
from spp_keras.recipes import Recipe, size_policies


def build_pipelines(recipe: Recipe) -> tuple[Pipeline, Pipeline]:
    """The pipelines of a recipe, for training and for validation.

    Args:
        recipe: The recipe.

    Returns:
        A pair of `Pipeline`s.
    """
    training, validation = (
        _drop_small_images(images, recipe) for images in load_recipe_records(recipe)
    )
    if training.classes != validation.classes:
        raise ValueError(
            f"`validation_split` must have the classes of `train_split`. {training.name} has "
            f"{list(training.classes)[:10]}, {validation.name} has {list(validation.classes)[:10]}."
        )
    options: dict[str, Any] = {
        "batch_size": recipe.batch_size,
        "max_pixels": recipe.max_pixels or None,
    }
    return (
        Pipeline(
            training,
            size_policies.make_training_policy(recipe),
            flip=recipe.flip,
            color_jitter=recipe.color_jitter,
            seed=recipe.seed,
            class_weight=recipe.class_weight or None,
            **options,
        ),
        Pipeline(
            validation, size_policies.make_validation_policy(recipe), shuffle=False, **options
        ),
    )


def load_recipe_records(recipe: Recipe) -> tuple[Records, Records]:
    """The images that a recipe names, to train on and to validate on.

    Args:
        recipe: The recipe, of which the keys about data count.
    """
    data_dir = recipe.data_dir or None
    train_split, validation_split = splits.choose_splits(recipe.data, data_dir)
    training, validation = (
        records.load_records(
            recipe.data,
            split,
            data_dir,
            on_error=recipe.on_error,
            max_skipped_fraction=recipe.max_skipped_fraction,
            orientation=recipe.orientation,
        )
        for split in (
            recipe.train_split or train_split,
            recipe.validation_split or validation_split,
        )
    )
    return training, validation


def print_summary(*pipelines: Pipeline) -> None:
    """Prints how many images there are and which are skipped, on standard error.

    Args:
        *pipelines: The pipelines.
    """
    for pipeline in pipelines:
        images = pipeline.records
        parts = [f"{images.name}: {len(images):,} images of {len(images.classes)} classes"]
        if images.converted:
            kinds = (f"{count} {kind}" for kind, count in images.converted.items())
            parts.append(f"converted to RGB: {', '.join(kinds)}")
        if pipeline.mixed:
            parts.append(f"fill {pipeline.fill():.2f} in padded batches")
        if images.skipped:
            parts.append(f"skipped {len(images.skipped)}:")
        print("; ".join(parts), file=sys.stderr)
        for image in images.skipped[:10]:
            print(f"  {image.id}: {image.reason}", file=sys.stderr)
        if len(images.skipped) > 10:
            more = len(images.skipped) - 10
            print(f"  and {more} more, see {run_folder.SKIPPED}", file=sys.stderr)


def _drop_small_images(images: Records, recipe: Recipe) -> Records:
    """Leaves out the images that the network cannot map at the size that they are sent."""
    sizes = size_policies.make_training_policy(recipe).output_sizes(images.sizes)
    if sizes is None:
        return images
    min_size = recipe.min_image_size
    is_small = sizes.min(axis=1) < min_size
    if not is_small.any():
        return images
    if is_small.mean() > recipe.max_skipped_fraction or recipe.on_error == "fail":
        first = int(np.flatnonzero(is_small)[0])
        raise ValueError(
            f"{images.name} has {is_small.sum()} images, {is_small.mean():.1%}, with a side below "
            f"{min_size} pixels, the smallest that {recipe.model} can map, such as "
            f"{str(images.ids[first])!r} of {sizes[first].tolist()}: take size_policy='whole', "
            "which enlarges them, or raise `max_skipped_fraction` and have on_error='skip'."
        )
    reason = f"a side is below {min_size} pixels, the smallest that {recipe.model} can map"
    skipped = tuple(Skipped(str(name), reason) for name in images.ids[is_small])
    return dataclasses.replace(images.select(~is_small), skipped=images.skipped + skipped)
