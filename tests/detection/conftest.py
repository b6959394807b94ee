"""Small scenes with boxes, a small network, and a head that was trained on them once."""

import keras
import numpy as np
import pytest
import small_runs
from scenes import draw_proposals, scene, write_voc
from trained_detectors import TrainedHead, make_detector, make_network

from spp_keras import recipes
from spp_keras.data import records
from spp_keras.detection import proposal_files
from spp_keras.detection.feature_cache import FeatureMapCache
from spp_keras.detection.training_images import TrainingImages


@pytest.fixture(scope="session")
def voc(tmp_path_factory):
    """A tree of VOC with two classes: 12 training images, 6 validation images."""
    root = tmp_path_factory.mktemp("voc")
    rng = np.random.default_rng(0)
    write_voc(root, "train", [scene(rng) for _ in range(12)])
    write_voc(root, "val", [scene(rng) for _ in range(6)])
    return root


@pytest.fixture(scope="session")
def training_images(voc):
    loaded = records.load_records(voc, "train")
    proposals = draw_proposals(loaded, np.random.default_rng(1))
    return TrainingImages(loaded, proposals, training=True)


@pytest.fixture(scope="session")
def validation_images(voc):
    loaded = records.load_records(voc, "val")
    return TrainingImages(loaded, draw_proposals(loaded, np.random.default_rng(2)))


@pytest.fixture
def network():
    return make_network()


@pytest.fixture
def untrained(network):
    return make_detector(network)


@pytest.fixture
def cache(untrained, training_images, tmp_path):
    return FeatureMapCache(untrained[0], training_images, tmp_path / "maps")


@pytest.fixture(scope="session")
def trained(training_images, tmp_path_factory):
    keras.utils.set_random_seed(0)
    return TrainedHead(make_network(), training_images, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def validation_cache(trained, validation_images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("validation")
    return FeatureMapCache(trained.detector, validation_images, folder)


@pytest.fixture(scope="session")
def run_and_proposals(voc, tmp_path_factory):
    """Paths of a run folder, and of a file with proposals for all images of `voc`."""
    folder = tmp_path_factory.mktemp("run_and_proposals")
    keras.utils.set_random_seed(0)
    recipe = recipes.Recipe(width=0.0625, levels=(2, 1), dropout=0.0)
    small_runs.make_run(folder / "run", recipe)
    ids, proposals = [], []
    for split in ("train", "val"):
        loaded = records.load_records(voc, split)
        ids += loaded.ids.tolist()
        proposals += draw_proposals(loaded, np.random.default_rng(5))
    proposal_files.write_proposals(folder / "proposals.jsonl", ids, proposals)
    return folder / "run", folder / "proposals.jsonl"
