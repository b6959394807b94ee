"""Small scenes with boxes, a small network and what a detector learns from them."""

import keras
import numpy as np
import pytest
import small_runs
from scenes import CLASSES, scene, windows_of, write_voc

from spp_keras import recipes, zoo
from spp_keras.data import records
from spp_keras.detection import feature_cache, proposal_files, variants
from spp_keras.detection.training_images import TrainingImages
from spp_keras.zoo import model_parts


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
    found = records.load_records(voc, "train")
    windows = windows_of(found, np.random.default_rng(1))
    return TrainingImages(found, windows, learning=True)


@pytest.fixture(scope="session")
def validation(voc):
    found = records.load_records(voc, "val")
    return TrainingImages(found, windows_of(found, np.random.default_rng(2)))


@pytest.fixture
def halves():
    return model_parts.split_model(zoo.zf5_spp(classes=3, width=0.0625, levels=(2, 1), dropout=0.0))


@pytest.fixture
def detector(halves):
    """Of random weights, with its head that is still to be trained."""
    return variants.create_detector(halves, CLASSES, scales=(120,), side=48)


@pytest.fixture
def known(detector, learning, tmp_path):
    return feature_cache.FeatureMapCache(detector[0], learning, tmp_path / "maps")


@pytest.fixture(scope="session")
def run_and_windows(voc, tmp_path_factory):
    """Paths of a run folder, and of a file with windows for all images of `voc`."""
    folder = tmp_path_factory.mktemp("run_and_windows")
    keras.utils.set_random_seed(0)
    recipe = recipes.Recipe(width=0.0625, levels=(2, 1), dropout=0.0)
    small_runs.make_run(folder / "run", recipe)
    ids, windows = [], []
    for split in ("train", "val"):
        found = records.load_records(voc, split)
        ids += found.ids.tolist()
        windows += windows_of(found, np.random.default_rng(5))
    proposal_files.write_proposals(folder / "proposals.jsonl", ids, windows)
    return folder / "run", folder / "proposals.jsonl"
