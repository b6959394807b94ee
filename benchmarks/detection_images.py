"""Images of `shapes` with ground truth and proposals."""

import numpy as np

from spp_keras.data.records import load_records
from spp_keras.detection.proposals import propose_boxes
from spp_keras.detection.training_images import TrainingImages


def load_images(split: str, count: int, data_dir: str | None, *, training: bool) -> TrainingImages:
    """The first images of a split."""
    records = load_records("shapes", split, data_dir)
    records = records.select(np.arange(min(count, len(records))))
    return TrainingImages(records, propose_boxes(records), training=training)
