"""Scores of the networks in small for the images that none of them has seen, kept on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import run_folder
from spp_keras.data import records
from spp_keras.evaluation import run_settings, score_cache
from spp_keras.evaluation.protocol_evaluation import score_protocols, score_with
from spp_keras.metrics import classification

# Asked of a network and one image: its bytes and size in, its scores out.
Ask = Callable[..., np.ndarray]


class Unseen:
    """The test images of `shapes` and what the networks say of them.

    Args:
        data_dir: Where TensorFlow Datasets keeps `shapes`. Defaults to `None`.
    """

    def __init__(self, data_dir: str | None = None):
        self.images = score_cache.ImageChunks(records.load_records("shapes", "test", data_dir))
        self.labels = self.images.records.labels

    def scores(self, run: Path, names: Sequence[str]) -> list[np.ndarray]:
        """By each of some protocols."""
        return score_protocols(run_settings.read_run(run, names), names, self.images, _kept(run))

    def asked(self, run: Path, ways: dict[str, Callable[[Any], Ask]]) -> list[np.ndarray]:
        """In any way that makes an `Ask` of a network; the keys name what is kept."""
        return score_with(run, ways, self.images, _kept(run))

    def errors(self, scores: np.ndarray) -> dict[str, float]:
        """Top-1 and top-5 error in per cent."""
        return {
            f"top-{k}": 100 * (1 - classification.top_k_accuracy(scores, self.labels, k))
            for k in (1, 5)
        }


def _kept(run: Path) -> Path:
    return run / run_folder.EVALUATION / run_folder.SCORE_CACHE
