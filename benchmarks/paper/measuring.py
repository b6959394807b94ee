"""Scores of the networks in small for the images that none of them has seen, kept on disk."""

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import runs, trained
from spp_keras.data import records
from spp_keras.evaluation import kept, members, protocols, rates

# Asked of a network and one image: its bytes and size in, its scores out.
Ask = Callable[..., np.ndarray]


class Unseen:
    """The test images of `shapes` and what the networks say of them.

    Args:
        folder: With a run folder for each network, see `networks.run`.
        data_dir: Where TensorFlow Datasets keeps `shapes`. Defaults to `None`.
    """

    def __init__(self, folder: Path, data_dir: str | None = None):
        self.folder = folder
        self.images = kept.Images(records.load("shapes", "test", data_dir))
        self.labels = self.images.found.labels

    def scores(self, run: Path, names: Sequence[str]) -> list[np.ndarray]:
        """By each of some protocols, the network loaded at most once."""
        member = members.read(run, names)
        settings = member.settings
        return self.asked(
            run,
            {
                members.key(member, name): lambda network, name=name: protocols.Scorer(
                    network, name, **settings
                )
                for name in names
            },
        )

    def asked(self, run: Path, ways: dict[str, Callable[[Any], Ask]]) -> list[np.ndarray]:
        """In any way that makes an `Ask` of a network; the keys name what is kept."""
        loaded: list[Any] = []

        def network() -> Any:
            if not loaded:
                loaded.append(trained.load(run).network)
            return loaded[0]

        found = [
            kept.scores(
                self.images,
                lambda make=make: make(network()),
                run / runs.EVALUATION / runs.VIEWS / key,
                f"{run.name}, {key.partition('-')[0]}",
            )
            for key, make in ways.items()
        ]
        loaded.clear()
        gc.collect()
        return found

    def errors(self, scores: np.ndarray) -> dict[str, float]:
        """Top-1 and top-5 error in per cent."""
        return {f"top-{k}": 100 * (1 - rates.top(scores, self.labels, k)) for k in (1, 5)}
