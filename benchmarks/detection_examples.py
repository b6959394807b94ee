"""Images of `shapes` with their boxes and proposals."""

import numpy as np

from spp_keras.data import records
from spp_keras.detection import proposals
from spp_keras.detection.training_images import TrainingImages


def examples(split: str, count: int, data_dir: str | None, *, learning: bool) -> TrainingImages:
    """The first images of a split, to learn from or to be tested on."""
    found = records.load_records("shapes", split, data_dir)
    found = found.select(np.arange(min(count, len(found))))
    return TrainingImages(found, proposals.propose_boxes(found), learning=learning)
