"""Whether trainings had gone on until their networks stopped learning."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import networks

from spp_keras import runs
from spp_keras.zoo import recipes

# Validation accuracies are means of so many epochs: that of one jumps by several points.
_SMOOTHED = 3
# Points of accuracy; below, a network that goes up and down has gained nothing.
_GAIN = 0.5
RULE = (
    "A network counts as having stopped learning where its learning rate had made all of its "
    f"drops and its validation accuracy, means of {_SMOOTHED} epochs, had risen by no more than "
    f"{_GAIN} points over its last epochs, as many as the patience of its recipe"
)


def has_converged(history: Sequence[Mapping[str, float]], recipe: recipes.Recipe) -> bool:
    """Whether a network had stopped learning, by `RULE`.

    Args:
        history: A row an epoch, with `learning_rate` and `val_accuracy` (0 to 1), as in
            `history.csv` of a run folder.
        recipe: The recipe of the training.
    """
    lowest = recipe.learning_rate * 0.1**recipe.drops
    if history[-1]["learning_rate"] > 1.01 * lowest:
        return False
    accuracies = [100 * row["val_accuracy"] for row in history]
    smoothed = [
        sum(accuracies[end - _SMOOTHED : end]) / _SMOOTHED
        for end in range(_SMOOTHED, len(accuracies) + 1)
    ]
    before, last = smoothed[: -recipe.patience], smoothed[-recipe.patience :]
    return bool(before) and max(last) - max(before) <= _GAIN


def read_history(run: Path) -> list[dict[str, float]]:
    """The rows of a run's `history.csv`."""
    with (run / runs.HISTORY).open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def facts(trained: Mapping[str, Sequence[Path]]) -> dict[str, Any]:
    """How long networks were trained, and how many had stopped learning.

    Args:
        trained: Run folders of each kind of network.

    Returns:
        `"epochs"`, least and most, and `"converged"`: of each kind how many, and of how many.
    """
    epochs, converged = [], {}
    for kind, folders in trained.items():
        every = [(read_history(run), recipes.read(run / runs.RECIPE)) for run in folders]
        epochs += [len(history) for history, _ in every]
        converged[kind] = [sum(has_converged(*one) for one in every), len(every)]
    return {"epochs": [min(epochs), max(epochs)], "converged": converged}


def sentence(known: Mapping[str, Any], again: Mapping[str, Any] | None = None) -> str:
    """What `facts` has found, for a text.

    Args:
        known: The facts of a table. Those of tables made before this was recorded have no
            `"converged"`.
        again: The facts of the table of sizes, whose Overfeat-7 was trained by the same
            recipe. Defaults to `None`.
    """
    least, most = known["epochs"]
    epochs = f"{least}" if least == most else f"{least} to {most}"
    began = f"The networks were trained for {epochs} epochs each; "
    if "converged" in known:
        return began + f"had stopped learning: {_counts(known['converged'])}. {RULE}."
    text = began + "whether they had stopped learning was not recorded."
    if again is not None:
        count = {"single": again["converged"]["single"]}
        text += (
            " Of networks trained again by the same recipes, for the table of sizes, had stopped "
            f"learning: {_counts(count)}. {RULE}."
        )
    return text


def _counts(converged: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(
        f"{count} of {total} ({networks.VARIANTS.get(kind, kind)})"
        for kind, (count, total) in converged.items()
    )
