"""Whether trainings had gone on until their networks stopped learning."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import networks

from spp_keras import recipes, run_folder
from spp_keras.training import history_file, plateau


def facts(trained: Mapping[str, Sequence[Path]]) -> dict[str, Any]:
    """How long networks were trained, and how many had stopped learning.

    Args:
        trained: Run folders of each kind of network.

    Returns:
        `"epochs"`, least and most, and `"converged"`: of each kind how many, and of how many.
    """
    epochs, converged = [], {}
    for kind, folders in trained.items():
        every = [
            (history_file.read_history(run), recipes.read_recipe(run / run_folder.RECIPE))
            for run in folders
        ]
        epochs += [len(history) for history, _ in every]
        converged[kind] = [sum(plateau.has_stopped_learning(*one) for one in every), len(every)]
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
        return (
            began
            + f"had stopped learning: {_counts(known['converged'])}. "
            + f"{plateau.STOPPED_LEARNING_RULE}."
        )
    text = began + "whether they had stopped learning was not recorded."
    if again is not None:
        count = {"single": again["converged"]["single"]}
        text += (
            " Of networks trained again by the same recipes, for the table of sizes, had stopped "
            f"learning: {_counts(count)}. {plateau.STOPPED_LEARNING_RULE}."
        )
    return text


def _counts(converged: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(
        f"{count} of {total} ({networks.VARIANTS.get(kind, kind)})"
        for kind, (count, total) in converged.items()
    )
