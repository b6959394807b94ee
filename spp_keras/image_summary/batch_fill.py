"""How much of a batch would be image, padded and on canvases."""

import functools
from typing import NamedTuple

from spp_keras.canvas_rules import CanvasRules
from spp_keras.data.pipeline import Pipeline
from spp_keras.data.records import Records
from spp_keras.data.size_policies import DEFAULT_LONGEST_SIDE, Whole
from spp_keras.image_summary.image_set import ImageSet
from spp_keras.models.graph_run import find_canvas_rules
from spp_keras.recipes import Recipe, size_policies
from spp_keras.training import time_estimate
from spp_keras.zoo import registry

BATCH_SIZE = 32


class BatchFill(NamedTuple):
    """Shares of the pixels of an epoch that are no image, in batches of 32.

    Args:
        short_side: Length that the shorter side is scaled to; `None` for images at their own
            size, larger ones scaled down.
        longest_side: Length that larger images are scaled down to, or `None`.
        padded: Share of padding, in batches of similar sizes.
        packed: The same with several images on a canvas, where that takes less time.
    """

    short_side: int | None
    longest_side: int | None
    padded: float
    packed: float


def measure_batch_fill(images: ImageSet, recipe: Recipe | None) -> tuple[BatchFill, ...]:
    """Measures training batches of images at their own size, and of the size of a recipe.

    Args:
        images: The images.
        recipe: The recipe, whose network has rules for canvases. Defaults to that of zf5_spp
            where there is none.
    """
    records = images.parts[0]
    if not len(records):
        return ()
    policies = [Whole(longest_side=DEFAULT_LONGEST_SIDE)]
    if recipe is not None:
        policy = size_policies.make_training_policy(recipe)
        if isinstance(policy, Whole) and policy not in policies:
            policies.append(policy)
    takes_any_size = recipe is not None and recipe.has_pyramid
    rules = _find_rules(recipe.model if recipe and takes_any_size else "zf5_spp")
    return tuple(_measure(records, policy, rules) for policy in policies)


@functools.lru_cache
def _find_rules(model: str) -> CanvasRules | None:
    """The rules of a network, for which it has to be built; its width does not matter."""
    recipe = Recipe(model=model, width=0.125 if model in registry.NETWORKS else 1.0)
    return find_canvas_rules(time_estimate.build_network(recipe, 2))


def _measure(records: Records, policy: Whole, rules: CanvasRules | None) -> BatchFill:
    pipeline = Pipeline(records, policy, batch_size=BATCH_SIZE)
    padded, packed = (1 - pipeline.fill(canvas_rules=one) for one in (None, rules))
    return BatchFill(policy.short_side, policy.longest_side, padded, packed)
