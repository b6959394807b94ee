"""Images of `shapes` with their boxes and proposals."""

import numpy as np

from spp_keras.data import records
from spp_keras.detection import proposals
from spp_keras.detection.examples import Examples


def examples(split: str, count: int, data_dir: str | None, *, learning: bool) -> Examples:
    """The first images of a split, to learn from or to be tested on."""
    found = records.load("shapes", split, data_dir)
    found = found.select(np.arange(min(count, len(found))))
    return Examples(found, proposals.propose(found), learning=learning)
