"""Small scenes with boxes, a small network and what a detector learns from them."""

import keras
import numpy as np
import pytest
import run_folder
from scenes import CLASSES, scene, windows_of, write_voc

from spp_keras import zoo
from spp_keras.data import records
from spp_keras.detection import maps, proposal_files, variants
from spp_keras.detection.examples import Examples
from spp_keras.zoo import boxes as cutting
from spp_keras.zoo import recipes


@pytest.fixture(scope="session")
def voc(tmp_path_factory):
    """A tree of VOC with two classes: 12 images to learn from, 6 to be tested on."""
    root = tmp_path_factory.mktemp("voc")
    rng = np.random.default_rng(0)
    write_voc(root, "train", [scene(rng) for _ in range(12)])
    write_voc(root, "val", [scene(rng) for _ in range(6)])
    return root


@pytest.fixture(scope="session")
def learning(voc):
    found = records.load(voc, "train")
    windows = windows_of(found, np.random.default_rng(1))
    return Examples(found, windows, learning=True)


@pytest.fixture(scope="session")
def validation(voc):
    found = records.load(voc, "val")
    return Examples(found, windows_of(found, np.random.default_rng(2)))


@pytest.fixture
def halves():
    return cutting.halves_of(zoo.zf5_spp(classes=3, width=0.0625, levels=(2, 1), dropout=0.0))


@pytest.fixture
def detector(halves):
    """Of random weights, with its head that is still to be trained."""
    return variants.untrained(halves, CLASSES, scales=(120,), side=48)


@pytest.fixture
def known(detector, learning, tmp_path):
    return maps.Maps(detector[0], learning, tmp_path / "maps")


@pytest.fixture(scope="session")
def run_and_windows(voc, tmp_path_factory):
    """Paths of a run folder, and of a file with windows for all images of `voc`."""
    folder = tmp_path_factory.mktemp("run_and_windows")
    keras.utils.set_random_seed(0)
    recipe = recipes.Recipe(width=0.0625, levels=(2, 1), dropout=0.0)
    run_folder.make_run(folder / "run", recipe)
    ids, windows = [], []
    for split in ("train", "val"):
        found = records.load(voc, split)
        ids += found.ids.tolist()
        windows += windows_of(found, np.random.default_rng(5))
    proposal_files.write(folder / "proposals.jsonl", ids, windows)
    return folder / "run", folder / "proposals.jsonl"
