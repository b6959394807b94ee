import keras
import numpy as np
import pytest

from spp_keras import data, runs, trained, zoo
from spp_keras.zoo import recipes

RECIPE = recipes.Recipe(width=0.0625, levels=(2, 1), precision="mixed_bfloat16")


@pytest.fixture
def run(tmp_path):
    """A run folder as a training leaves it."""

    def make(recipe=RECIPE, labels=("cat", "dog", "red car"), *, multi_label=False, longest=90):
        network = trained.build(recipe, len(labels), multi_label)
        network.save_weights(tmp_path / runs.BEST)
        (tmp_path / runs.RECIPE).write_text(recipes.write(recipe))
        (tmp_path / runs.LABELS).write_text("".join(f"{label}\n" for label in labels))
        trained.write_facts(tmp_path, multi_label=multi_label, longest_side=longest)
        return network

    make.folder = tmp_path
    return make


def test_the_network_of_a_run_is_the_one_it_was_trained_to(run):
    network = run()
    found = trained.load(run.folder)
    assert found.labels == ("cat", "dog", "red car")
    images = np.full((1, 40, 50, 3), 99.0)
    np.testing.assert_array_equal(found.network(images), network(images))
    assert found.network.dtype_policy.name == "float32"


@pytest.mark.parametrize(("multi_label", "sums_to_one"), [(False, True), (True, False)])
def test_scores_are_those_of_one_class_or_of_any_number(run, multi_label, sums_to_one):
    run(multi_label=multi_label)
    scores = trained.load(run.folder).network(np.full((1, 40, 50, 3), 99.0))
    assert (abs(float(keras.ops.sum(scores)) - 1) < 1e-5) == sums_to_one


def test_a_file_that_the_recipe_started_from_is_not_needed_any_more(run):
    run()
    recipe = recipes.Recipe(width=0.0625, levels=(2, 1), weights="gone.weights.h5")
    (run.folder / runs.RECIPE).write_text(recipes.write(recipe))
    assert trained.load(run.folder).network.name == "zf5_spp"


@pytest.mark.parametrize(
    ("keys", "longest", "expected"),
    [
        ({"sizes": "native"}, 500, data.Whole(longest_side=500)),
        ({"sizes": "native", "longest_side": 160}, 150, data.Whole(longest_side=160)),
        ({"sizes": "native"}, None, data.Whole(longest_side=1024)),
        ({"sizes": "whole"}, 700, data.Whole(short_side=256)),
        (
            {"sizes": "whole", "longest_side": 600},
            600,
            data.Whole(short_side=256, longest_side=600),
        ),
        ({"sizes": "alternating", "image_sizes": (224, 180)}, None, data.Whole(short_side=256)),
        ({"sizes": "fixed", "image_sizes": (224,)}, None, data.Whole(short_side=256)),
        (
            {"model": "zf5", "sizes": "fixed", "image_sizes": (224,)},
            None,
            data.Crops(sides=(224,), positions="centre"),
        ),
    ],
)
def test_a_network_sees_all_of_an_image_where_it_can(keys, longest, expected):
    assert trained.view(recipes.Recipe(**keys), longest) == expected


@pytest.mark.parametrize("name", [runs.RECIPE, runs.LABELS, runs.FACTS, runs.BEST])
def test_what_a_folder_lacks_is_named(run, name):
    run()
    (run.folder / name).unlink()
    remedy = "until the first epoch has ended" if name == runs.BEST else "that `spp-keras train`"
    with pytest.raises(ValueError, match=f"{name} is missing: .*{remedy}"):
        trained.load(run.folder)
