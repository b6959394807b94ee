"""The size policies that follow from a recipe: in training, in validation and afterwards."""

import dataclasses
from typing import cast

from spp_keras.data import size_policies
from spp_keras.data.size_policies import Crop, SizePolicy, Warp, Whole
from spp_keras.recipes.recipe import Recipe


def make_training_policy(recipe: Recipe) -> SizePolicy:
    """The size policy of training images.

    Args:
        recipe: The recipe.

    Returns:
        A `Crop`, `Whole` or `Warp`.

    Example:

    >>> make_training_policy(Recipe(size_policy="whole", short_side=200))
    Whole(short_side=200, longest_side=None)
    """
    if recipe.size_policy == "warped":
        return Warp(image_size=recipe.image_sizes[0])
    if recipe.size_policy in ("whole", "native"):
        return Whole(
            short_side=recipe.short_side if recipe.size_policy == "whole" else None,
            longest_side=recipe.longest_side or None,
        )
    return Crop(
        image_sizes=recipe.image_sizes,
        schedule="range" if recipe.size_policy == "range" else "cycle",
        short_side=recipe.short_side,
        position=cast(size_policies.CropPosition, recipe.crop),
    )


def make_validation_policy(recipe: Recipe) -> SizePolicy:
    """The size policy of validation images: the center crop of the largest size in training.

    Whole and warped images are validated as they are in training.

    Args:
        recipe: The recipe.
    """
    policy = make_training_policy(recipe)
    if not isinstance(policy, Crop):
        return policy
    return dataclasses.replace(
        policy, image_sizes=(max(policy.image_sizes),), schedule="cycle", position="center"
    )


def make_prediction_policy(recipe: Recipe, longest_side: int | None = None) -> SizePolicy:
    """The size policy of a trained network: whole images where it can take them.

    A network with a pyramid that was trained on crops sees whole images of the short
    side that the crops were cut from, the best single view in the paper; one without
    a pyramid sees the center crop; one trained on warped images sees warped images.
    Images larger than any in training are scaled down.

    Args:
        recipe: The recipe.
        longest_side: Longest side in pixels of the training images. Defaults to `None`,
            not known.
    """
    if recipe.size_policy == "warped":
        return Warp(image_size=recipe.image_sizes[0])
    if recipe.size_policy == "native":
        limit = recipe.longest_side or longest_side or size_policies.DEFAULT_LONGEST_SIDE
        return Whole(longest_side=limit)
    if recipe.size_policy == "whole" or recipe.has_pyramid:
        return Whole(short_side=recipe.short_side, longest_side=recipe.longest_side or None)
    return Crop(image_sizes=recipe.image_sizes, short_side=recipe.short_side, position="center")
