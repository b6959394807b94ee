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

FOLDER = Path(__file__).parents[2] / "benchmarks"


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
def test_views_from_pixels_are_those_of_the_protocol(benchmark, network, batch):
    image = photographs.encoded(photographs.photograph(60, 83))
    parts = Scorer(network, "10-view-map", side=64).parts
    found = benchmark.FromPixels(network, parts, batch).each(image, (60, 83))
    expected = Scorer(network, "10-view", side=64).each(image)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_all_98_are_asked_about(benchmark, network):
    image = photographs.encoded(photographs.photograph(60, 83))
    scorer = Scorer(network, "96-view+full", side=64)
    found = benchmark.FromPixels(network, scorer.parts, 18).each(image, (60, 83))
    assert found.shape == scorer.each(image).shape == (98, 7)


def test_pixels_that_are_convolved_are_counted(benchmark, network):
    parts = Scorer(network, "96-view+full").parts((375, 500))
    whole = 2 * 256 * 341
    assert benchmark._pixels(parts, on_maps=False) == 96 * 224 * 224 + whole
    widths = {224: 299, 256: 341, 300: 400, 360: 480, 448: 597, 560: 747}
    expected = sum(2 * height * width for height, width in widths.items())
    assert benchmark._pixels(parts, on_maps=True) == expected
