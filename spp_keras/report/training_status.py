"""A sentence on how long networks were trained, and whether they had stopped learning."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from spp_keras.run_folder import RunFolder
from spp_keras.training import history_file, plateau

# What `sizes` of a recipe makes of an image; all others are crops.
_POLICIES = {"warped": "warped", "whole": "whole", "native": "whole"}


def describe_training(runs: Sequence[Path]) -> str:
    """How many epochs runs were trained and whether they had stopped learning, in words.

    It is computed from their `history.csv`, by `spp_keras.training.has_stopped_learning`; a run
    without one is left out.

    Args:
        runs: Run folders.

    Returns:
        The sentence and the rule behind it; nothing if no run has a history.
    """
    statuses = []
    for run in runs:
        history, recipe = history_file.read_history(run), RunFolder(run).recipe
        if history:
            has_stopped = plateau.has_stopped_learning(history, recipe)
            policy = _POLICIES.get(recipe.size_policy, "cropped")
            name, epochs = run.resolve().name, int(history[-1]["epoch"])
            statuses.append(_Status(name, epochs, has_stopped, policy))
    if not statuses:
        return ""
    sentence = f"{_describe(statuses)}{_describe_consequence(statuses)}"
    return f"{sentence}. {plateau.STOPPED_LEARNING_RULE}."


class _Status(NamedTuple):
    name: str
    epochs: int
    has_stopped: bool
    policy: str


def _describe(statuses: Sequence[_Status]) -> str:
    first = statuses[0]
    are_alike = len({(status.epochs, status.has_stopped) for status in statuses}) == 1
    if len(statuses) > 1 and are_alike:
        subject = "Both trainings" if len(statuses) == 2 else f"All {len(statuses)} trainings"
        if first.has_stopped:
            return f"{subject} had stopped learning after {_count(first.epochs)}"
        return (
            f"{subject} were broken off after {_count(first.epochs)} while they were still learning"
        )
    clauses = "; ".join(
        f"the training of {status.name} had stopped learning after {_count(status.epochs)}"
        if status.has_stopped
        else f"the training of {status.name} was broken off after {_count(status.epochs)} while "
        "it was still learning"
        for status in statuses
    )
    return clauses[0].upper() + clauses[1:]


def _describe_consequence(statuses: Sequence[_Status]) -> str:
    if all(status.has_stopped for status in statuses):
        return ""
    if len(statuses) == 1:
        return "; more epochs can still change its figures"
    policies = sorted({status.policy for status in statuses})
    if len(policies) == 1:
        return "; their figures can still change"
    return f"; the order of {', '.join(policies[:-1])} and {policies[-1]} images can still change"


def _count(epochs: int) -> str:
    return f"{epochs} epoch{'s' * (epochs != 1)}"
