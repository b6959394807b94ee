"""A sentence on how long networks were trained, and whether they had stopped learning."""

from collections.abc import Sequence
from pathlib import Path

from spp_keras.run_folder import RunFolder
from spp_keras.training import plateau, progress

# What `sizes` of a recipe makes of an image; all others are crops.
_KINDS = {"warped": "warped", "whole": "whole", "native": "whole"}


def describe_training(runs: Sequence[Path]) -> str:
    """How many epochs runs were trained and whether they had stopped learning, in words.

    It is computed from their `history.csv`, by `spp_keras.training.has_stopped_learning`; a run
    without one is left out.

    Args:
        runs: Run folders.

    Returns:
        The sentence and the rule behind it; nothing if no run has a history.
    """
    named, epochs, stopped, kinds = [], [], [], []
    for run in runs:
        history, recipe = progress.read_history(run), RunFolder(run).recipe
        if history:
            named.append(run.resolve().name)
            epochs.append(int(history[-1]["epoch"]))
            stopped.append(plateau.has_stopped_learning(history, recipe))
            kinds.append(_KINDS.get(recipe.size_policy, "cropped"))
    if not named:
        return ""
    status = f"{_words(named, epochs, stopped)}{_consequence(stopped, kinds)}"
    return f"{status}. {plateau.STOPPED_LEARNING_RULE}."


def _words(named: Sequence[str], epochs: Sequence[int], stopped: Sequence[bool]) -> str:
    if len(named) > 1 and len(set(epochs)) == len(set(stopped)) == 1:
        all_of_them = "Both trainings" if len(named) == 2 else f"All {len(named)} trainings"
        if stopped[0]:
            return f"{all_of_them} had stopped learning after {_count(epochs[0])}"
        return (
            f"{all_of_them} were broken off after {_count(epochs[0])} while they were still "
            "learning"
        )
    words = "; ".join(
        f"the training of {name} had stopped learning after {_count(number)}"
        if done
        else f"the training of {name} was broken off after {_count(number)} while it was still "
        "learning"
        for name, number, done in zip(named, epochs, stopped, strict=True)
    )
    return words[0].upper() + words[1:]


def _consequence(stopped: Sequence[bool], kinds: Sequence[str]) -> str:
    if all(stopped):
        return ""
    if len(stopped) == 1:
        return "; more epochs can still change its figures"
    different = sorted(set(kinds))
    if len(different) == 1:
        return "; their figures can still change"
    listed = ", ".join(different[:-1]) + f" and {different[-1]}"
    return f"; the order of {listed} images can still change"


def _count(epochs: int) -> str:
    return f"{epochs} epoch{'s' * (epochs != 1)}"
