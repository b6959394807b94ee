"""A trained network from its run folder, and what a recipe says of network and images."""

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import keras

from spp_keras import _files, runs, zoo
from spp_keras.data import sizes
from spp_keras.zoo import recipes

# Where neither recipe nor training says how large images may be, memory must.
_LONGEST_SIDE = 1024


class Trained(NamedTuple):
    """What a run folder holds for those who use the network.

    Args:
        network: The network with its best weights.
        labels: Name of each class.
        view: What it should see of an image.
    """

    network: keras.Model
    labels: tuple[str, ...]
    view: sizes.Crops | sizes.Whole


def load(run: str | Path) -> Trained:
    """The network of a run folder, as it was best.

    Weights are in float32, whatever the precision of the training was.

    Args:
        run: Folder that `spp_keras.training.train` made.

    Returns:
        A `Trained`.
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
    recipe = recipes.read(run / runs.RECIPE)
    labels = tuple((run / runs.LABELS).read_text(encoding="utf-8").splitlines())
    facts = json.loads((run / runs.FACTS).read_text(encoding="utf-8"))
    recipe = dataclasses.replace(recipe, weights=str(run / runs.BEST))
    network = build(recipe, len(labels), facts["multi_label"])
    return Trained(network, labels, view(recipe, facts["longest_side"]))


def write_facts(run: Path, *, multi_label: bool, longest_side: int | None) -> None:
    """Keeps what a training found out about its data and `load` must know.

    Args:
        run: The run folder.
        multi_label: Whether an image has any number of classes.
        longest_side: Pixels of the longest side that was sent to the network,
            `None` for crops.
    """
    facts = {"multi_label": multi_label, "longest_side": longest_side}
    _files.write(run / runs.FACTS, json.dumps(facts) + "\n")


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


def view(recipe: recipes.Recipe, longest_side: int | None = None) -> sizes.Crops | sizes.Whole:
    """What a network trained by a recipe should see of an image: all of it, where it can.

    A network with pyramid that learned from crops sees whole images of the short
    side that they were cut from, the best single view in the paper; one without
    gets the crop at the centre. Images that are larger than any in training are
    scaled down.

    Args:
        recipe: The recipe.
        longest_side: Pixels of the longest side seen in training. Defaults to
            `None`, not known.
    """
    if recipe.sizes == "native":
        return sizes.Whole(longest_side=recipe.longest_side or longest_side or _LONGEST_SIDE)
    if recipe.sizes == "whole" or recipe.model.endswith("_spp"):
        return sizes.Whole(short_side=recipe.short_side, longest_side=recipe.longest_side or None)
    return sizes.Crops(sides=recipe.image_sizes, short_side=recipe.short_side, positions="centre")
