"""The networks for `shapes` that come with the package, each tested in its own form."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spp_keras import evaluation
from spp_keras.evaluation import result_format
from spp_keras.zoo.zoo_folder import find_zoo_folder

RESULTS = "zf5_spp/shapes_weights.json"
# Trained by these recipes, and tested by these protocols.
_NETWORKS = {
    "zf5_spp/shapes": ("full",),
    "zf5_spp/shapes_warped": ("warp",),
    "zf5_spp/shapes_cropped": ("crop", "10-view"),
}
_FORMS = {
    "full": "whole",
    "warp": "warped to a square",
    "crop": "cropped to a square",
    "10-view": "cropped, ten views",
}


class NetworkRow(NamedTuple):
    """A network's accuracy in its form.

    Args:
        network: Its name.
        form: How it sees images.
        accuracy: Fraction of the images that it names correctly.
        images: Number of the images.
    """

    network: str
    form: str
    accuracy: float
    images: int


def evaluate_networks(fine_tuned: Path, data_dir: str, output: Path) -> list[NetworkRow]:
    """Evaluates the network that was fine-tuned, and those that come with the package.

    Args:
        fine_tuned: Its run folder.
        data_dir: Where `shapes` lies.
        output: Folder for the results, in which scores are cached.
    """
    rows = []
    for network, protocols in {**_NETWORKS, str(fine_tuned): ("full",)}.items():
        name = "zf5_spp/shapes, fine-tuned" if network == str(fine_tuned) else network
        results = evaluation.evaluate(
            network,
            protocols,
            data="shapes",
            data_dir=data_dir,
            split="test",
            output=output / re.sub(r"\W+", "-", name),
        )
        rows += [
            NetworkRow(name, _FORMS[row["protocol"]], row["top1"], results["images"])
            for row in results["rows"]
        ]
    return rows


def format_rows(rows: Sequence[NetworkRow]) -> str:
    """The rows as a table in Markdown."""
    lines = [["network", "images", "accuracy"]]
    lines += [[row.network, row.form, f"{100 * row.accuracy:.1f}%"] for row in rows]
    return result_format.format_markdown(lines)


def describe_interval() -> str:
    """What three trainings of each network say, which is more than one can."""
    results = _read_results()
    parts = [
        f"{100 * row['mean']:+.1f} points [{100 * row['interval'][0]:+.1f}, "
        f"{100 * row['interval'][1]:+.1f}] over {_FORMS[row['protocol']]}"
        for row in results["differences"]
    ]
    return (
        f"Of {results['seeds']} trainings each, to the end of learning: whole images are "
        f"{', '.join(parts)}. In brackets 95% intervals: one that contains 0 shows no difference. "
        f"Made by `{results['machine']['command']}`."
    )


def _read_results() -> dict[str, Any]:
    results: dict[str, Any] = json.loads((find_zoo_folder() / RESULTS).read_text(encoding="utf-8"))
    return results
