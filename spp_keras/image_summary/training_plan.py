"""The command that trains on the images, what it will do and how long it will take."""

import shlex
from dataclasses import dataclass
from typing import Any

from spp_keras.image_summary.image_set import ImageSet
from spp_keras.recipes import Recipe

# What a reader wants to know of a recipe; `spp-keras train` prints the rest.
_SHOWN = (
    *("model", "weights", "size_policy", "image_sizes", "short_side", "longest_side"),
    *("batch_size", "top_epochs", "epochs", "class_weight"),
)
_MAX_SKIPPED = Recipe().max_skipped_fraction


@dataclass(frozen=True)
class TrainingPlan:
    """A training on the images, or why there can be none.

    Args:
        command: The command line; `""` if there is nothing to train on.
        recipe: The most important keys of the recipe that it chooses, with their values.
        reasons: Why they have these values.
        warnings: What the images lack, a sentence each.
        seconds: About how long it takes on this machine at most, or `None` if that was not
            asked.
        problem: Why there can be no training, `""` if there can.
    """

    command: str
    recipe: dict[str, Any]
    reasons: dict[str, str]
    warnings: tuple[str, ...]
    seconds: float | None
    problem: str


def plan_training(
    images: ImageSet, data: str, data_dir: str | None, *, estimate: bool = True
) -> tuple[TrainingPlan, Recipe | None]:
    """Plans a training, and returns the recipe that it has.

    Args:
        images: The images.
        data: How the user named them.
        data_dir: Folder of prepared data sets, or `None`.
        estimate: Whether to measure how quick this machine is. Defaults to `True`.
    """
    problem = _find_problem(images)
    if problem:
        return TrainingPlan("", {}, {}, (), None, problem), None
    from spp_keras.training import recipe_choice, time_estimate

    training, validation = images.parts
    overrides: dict[str, Any] = {"data": data}
    if data_dir is not None:
        overrides["data_dir"] = data_dir
    needed = _choose_max_skipped(images)
    if needed is not None:
        overrides["max_skipped_fraction"] = needed
    try:
        choice = recipe_choice.choose_recipe(training, validation, **overrides)
    except ValueError as error:
        return TrainingPlan("", {}, {}, (), None, str(error)), None
    flags = (
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in overrides.items()
    )
    seconds = None
    if estimate:
        seconds = time_estimate.estimate_seconds(choice.recipe, training, validation)
    command = f"spp-keras train {' '.join(flags)}"
    keys = [name for name in _SHOWN if name in choice.reasons]
    plan = TrainingPlan(
        command,
        recipe={name: getattr(choice.recipe, name) for name in keys},
        reasons={name: choice.reasons[name] for name in keys},
        warnings=choice.warnings,
        seconds=seconds,
        problem="",
    )
    return plan, choice.recipe


def _find_problem(images: ImageSet) -> str:
    if images.problem is not None:
        return images.problem
    for name, part in zip(images.splits, images.parts, strict=True):
        if not len(part):
            return f"No image of the split {name!r} can be used."
    return ""


def _choose_max_skipped(images: ImageSet) -> float | None:
    """The `max_skipped_fraction` that a training needs, `None` for the default."""
    shares = [len(part.skipped) / (len(part) + len(part.skipped)) for part in images.parts]
    # The next percent above.
    return None if max(shares) <= _MAX_SKIPPED else min(0.99, int(100 * max(shares) + 1) / 100)
