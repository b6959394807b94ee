"""The command that trains on the images, what it will do and how long it will take."""

import shlex
from dataclasses import dataclass
from typing import Any

from spp_keras.image_summary.image_set import ImageSet
from spp_keras.recipes import Recipe

_MAX_SKIPPED = 0.05


@dataclass(frozen=True)
class TrainingPlan:
    """A training on the images, or why there can be none.

    Args:
        command: The command line; `""` if there is nothing to train on.
        model: Name of the network; `""` likewise.
        reasons: What the recipe has and why, by the keys of recipes.
        warnings: What may go wrong.
        seconds: About how long it takes on this machine, or `None` if that was not asked.
        problem: Why there can be no training, `""` if there can.
    """

    command: str
    model: str
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
        return TrainingPlan("", "", {}, (), None, problem), None
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
        return TrainingPlan("", "", {}, (), None, str(error)), None
    flags = (
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in overrides.items()
    )
    seconds = None
    if estimate:
        seconds = time_estimate.estimate_seconds(choice.recipe, training, validation)
    command = f"spp-keras train {' '.join(flags)}"
    plan = TrainingPlan(command, choice.recipe.model, choice.reasons, choice.warnings, seconds, "")
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
