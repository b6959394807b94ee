"""Photographs in folders, and runs that could have been trained on them."""

import keras
import numpy as np
import photographs
import pytest
import small_runs

from spp_keras import recipes

SIDE = 64
COUNT = 21


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """More images than are kept in one file, of every size."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split, count in (("train", 3), ("validation", COUNT)):
        for index in range(count):
            path = folder / split / small_runs.LABELS[index % 3] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            height, width = rng.integers(40, 120, 2)
            path.write_bytes(photographs.encoded(photographs.photograph(height, width, index)))
    return folder


@pytest.fixture(scope="session")
def make_run(data, tmp_path_factory):
    """A run folder with weights of its own, of crops unless the recipe says otherwise."""

    def make(seed=0, *, multi_label=False, **changes):
        keras.utils.set_random_seed(seed)
        given = {
            "size_policy": "fixed",
            "image_sizes": (SIDE,),
            "short_side": 73,
            "data": str(data),
        }
        recipe = recipes.Recipe(**{"width": 0.0625, "levels": (2, 1), **given, **changes})
        folder = tmp_path_factory.mktemp("runs") / f"run{seed}"
        small_runs.make_run(folder, recipe, multi_label=multi_label)
        return folder

    return make


@pytest.fixture(scope="session")
def run(make_run):
    return make_run()
