"""A trained network from its run folder, and what a recipe says of network and images."""

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _files, recipes, runs, zoo
from spp_keras.data import image_ops, image_reader, records, size_policies, splits


class Trained(NamedTuple):
    """What a run folder holds for those who use the network.

    Args:
        network: The network with its best weights.
        labels: Name of each class.
        view: What it should see of an image.
        orientation: `"exif"` or `"file"`, which way up image files were taken in training.
    """

    network: keras.Model
    labels: tuple[str, ...]
    view: size_policies.SizePolicy
    orientation: str = "exif"


class Described(NamedTuple):
    """What a run folder says of its training.

    Args:
        recipe: How the network was trained.
        labels: Name of each class.
        multi_label: Whether an image has any number of classes.
        longest_side: Pixels of the longest side that was seen, or `None`.
    """

    recipe: recipes.Recipe
    labels: tuple[str, ...]
    multi_label: bool
    longest_side: int | None


def load(run: str | Path) -> Trained:
    """The network of a run folder, as it was best.

    Weights are in float32, whatever the precision of the training was.

    Args:
        run: Folder that `spp_keras.training.train_model` made.

    Returns:
        A `Trained`.
    """
    recipe, labels, multi_label, longest_side = describe(run)
    recipe = dataclasses.replace(recipe, weights=str(Path(run) / runs.BEST))
    network = build(recipe, len(labels), multi_label)
    return Trained(network, labels, view(recipe, longest_side), recipe.orientation)


def describe(run: str | Path) -> Described:
    """What a run folder says, without its network.

    Args:
        run: Folder that `spp_keras.training.train_model` made.

    Returns:
        A `Described`.
    """
    run = Path(run)
    for name in (runs.RECIPE, runs.LABELS, runs.FACTS, runs.BEST):
        if not (run / name).is_file():
            remedy = (
                "train until the first epoch has ended"
                if name == runs.BEST
                else "give the folder that `spp-keras train` printed"
            )
            raise ValueError(
                f"`run` must be the folder of a training; {name} is missing: {remedy}. "
                f"Received: run={str(run)!r}."
            )
    facts = json.loads((run / runs.FACTS).read_text(encoding="utf-8"))
    return Described(
        recipes.read_recipe(run / runs.RECIPE),
        tuple((run / runs.LABELS).read_text(encoding="utf-8").splitlines()),
        facts["multi_label"],
        facts["longest_side"],
    )


def sample(
    run: str | Path,
    view: size_policies.SizePolicy,
    source: str | None = None,
    count: int = 100,
) -> list[np.ndarray]:
    """Some images of those that a run learned from, to measure what goes through a network.

    Args:
        run: The run folder.
        view: What the network sees of an image.
        source: Another folder or data set to take them from. Defaults to `None`.
        count: How many. Defaults to 100, or all if there are fewer.

    Returns:
        uint8 arrays `(height, width, 3)`.
    """
    recipe = recipes.read_recipe(Path(run) / runs.RECIPE)
    data_dir = recipe.data_dir or None
    split = None if source else recipe.train_split
    source = source or recipe.data
    split = split or splits.choose_splits(source, data_dir)[0]
    found = records.load_records(source, split, data_dir, orientation=recipe.orientation)
    chosen = np.random.default_rng(0).choice(len(found), min(count, len(found)), replace=False)
    reader, drawn = image_reader.ImageReader(found.files, found.spans), []
    for number in sorted(chosen):
        encoded = reader.read(reader.row(number))
        window, target = view.window_and_size(tf.constant(found.sizes[number]))
        turn = int(found.orientations[number])
        drawn.append(
            image_ops.decode_window(encoded, found.sizes[number], window, target, turn).numpy()
        )
    return drawn


def write_facts(run: Path, *, multi_label: bool, longest_side: int | None) -> None:
    """Keeps what a training found out about its data and `load` must know.

    Args:
        run: The run folder.
        multi_label: Whether an image has any number of classes.
        longest_side: Pixels of the longest side that was sent to the network,
            `None` for crops.
    """
    facts = {"multi_label": multi_label, "longest_side": longest_side}
    _files.write_file(run / runs.FACTS, json.dumps(facts) + "\n")


def build(recipe: recipes.Recipe, classes: int, multi_label: bool) -> keras.Model:
    """The network of a recipe, with the weights that it starts from."""
    pyramid = recipe.model.endswith("_spp")
    return getattr(zoo, recipe.model)(
        classes=classes,
        classifier_activation="sigmoid" if multi_label else "softmax",
        weights=recipe.weights or None,
        width=recipe.width,
        dropout=recipe.dropout,
        **({"levels": recipe.levels} if pyramid else {"input_shape": (*recipe.image_sizes * 2, 3)}),
    )


def view(recipe: recipes.Recipe, longest_side: int | None = None) -> size_policies.SizePolicy:
    """What a network trained by a recipe should see of an image: all of it, where it can.

    A network with pyramid that learned from crops sees whole images of the short
    side that they were cut from, the best single view in the paper; one without
    gets the crop at the center. One that learned from warped images sees them warped.
    Images that are larger than any in training are scaled down.

    Args:
        recipe: The recipe.
        longest_side: Pixels of the longest side seen in training. Defaults to
            `None`, not known.
    """
    if recipe.size_policy == "warped":
        return size_policies.Warp(image_size=recipe.image_sizes[0])
    if recipe.size_policy == "native":
        return size_policies.Whole(
            longest_side=recipe.longest_side or longest_side or size_policies.DEFAULT_LONGEST_SIDE
        )
    if recipe.size_policy == "whole" or recipe.model.endswith("_spp"):
        return size_policies.Whole(
            short_side=recipe.short_side, longest_side=recipe.longest_side or None
        )
    return size_policies.Crop(
        image_sizes=recipe.image_sizes, short_side=recipe.short_side, position="center"
    )
