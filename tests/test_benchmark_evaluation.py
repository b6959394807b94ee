"""What `benchmarks/evaluation.py` compares must be the same views of the same network."""

import importlib
import sys
from pathlib import Path

import keras
import numpy as np
import photographs
import pytest

from spp_keras import zoo
from spp_keras.evaluation import Scorer

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("evaluation")
    for name in ("evaluation", "evaluation_peers", "machines", "serving_inputs", "worker"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    return zoo.zf5_spp(classes=7, width=0.0625, levels=(2, 1))


@pytest.mark.parametrize("batch", [1, 3, 18])
def test_crop_scores_equal_the_10_view_protocol(benchmark, network, batch):
    image = photographs.encoded(photographs.photograph(60, 83))
    list_views = Scorer(network, "10-view-map", view_size=64).list_views
    scores = benchmark.FromPixels(network, list_views, batch).score_views(image, (60, 83))
    expected = Scorer(network, "10-view", view_size=64).score_views(image)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)


def test_crop_scorer_covers_all_98_views(benchmark, network):
    image = photographs.encoded(photographs.photograph(60, 83))
    scorer = Scorer(network, "96-view+full", view_size=64)
    scores = benchmark.FromPixels(network, scorer.list_views, 18).score_views(image, (60, 83))
    assert scores.shape == scorer.score_views(image).shape == (98, 7)


def test_count_pixels(benchmark, network):
    scaled_views = Scorer(network, "96-view+full").list_views((375, 500))
    whole = 2 * 256 * 341
    assert benchmark._count_pixels(scaled_views, from_maps=False) == 96 * 224 * 224 + whole
    widths = {224: 299, 256: 341, 300: 400, 360: 480, 448: 597, 560: 747}
    expected = sum(2 * height * width for height, width in widths.items())
    assert benchmark._count_pixels(scaled_views, from_maps=True) == expected
