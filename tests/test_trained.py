import keras
import numpy as np
import pytest
from photographs import encoded, photograph
from small_runs import make_run

from spp_keras import data, recipes, run_folder, trained
from spp_keras.run_folder import RunFolder


def test_the_network_of_a_run_is_the_one_it_was_trained_to_in_float32(tmp_path):
    recipe = recipes.Recipe(width=0.0625, levels=(2, 1), precision="mixed_bfloat16")
    network = make_run(tmp_path, recipe)
    found = trained.load(tmp_path)
    assert found.labels == ("cat", "dog", "red car")
    images = np.full((1, 40, 50, 3), 99.0)
    np.testing.assert_array_equal(found.network(images), network(images))
    assert found.network.dtype_policy.name == "float32"


@pytest.mark.parametrize(("multi_label", "sums_to_one"), [(False, True), (True, False)])
def test_scores_are_those_of_one_class_or_of_any_number(tmp_path, multi_label, sums_to_one):
    make_run(tmp_path, multi_label=multi_label)
    scores = RunFolder(tmp_path).model(np.full((1, 40, 50, 3), 99.0))
    assert (abs(float(keras.ops.sum(scores)) - 1) < 1e-5) == sums_to_one


def test_a_file_that_the_recipe_started_from_is_not_needed_any_more(tmp_path):
    make_run(tmp_path)
    recipe = recipes.Recipe(width=0.0625, levels=(2, 1), weights="gone.weights.h5")
    (tmp_path / run_folder.RECIPE).write_text(recipes.recipe_to_toml(recipe))
    assert RunFolder(tmp_path).model.name == "zf5_spp"


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
        ({"sizes": "warped", "image_sizes": (224,)}, None, data.Warp(image_size=224)),
        (
            {"model": "zf5", "sizes": "fixed", "image_sizes": (224,)},
            None,
            data.Crop(image_sizes=(224,), position="center"),
        ),
    ],
)
def test_a_network_sees_all_of_an_image_where_it_can(keys, longest, expected):
    assert trained.view(recipes.Recipe(**keys), longest) == expected


@pytest.mark.parametrize(
    "name", [run_folder.RECIPE, run_folder.LABELS, run_folder.DATA_INFO, run_folder.BEST_WEIGHTS]
)
def test_what_a_folder_lacks_is_named(tmp_path, name):
    make_run(tmp_path)
    (tmp_path / name).unlink()
    remedy = (
        "until the first epoch has ended"
        if name == run_folder.BEST_WEIGHTS
        else "that `spp-keras train`"
    )
    with pytest.raises(ValueError, match=f"{name} is missing: .*{remedy}"):
        trained.load(tmp_path)


def test_a_sample_is_of_what_the_run_learned_from_as_the_network_sees_it(tmp_path):
    for split in ("train", "val"):
        for name, gray in (("cat", 40), ("dog", 200)):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = np.full((40 + number, 60, 3), gray + (split == "val"), "uint8")
                content = encoded(pixels)
                (tmp_path / "data" / split / name / f"{number}.png").write_bytes(content)
    recipe = recipes.Recipe(width=0.0625, levels=(2, 1), data=str(tmp_path / "data"))
    make_run(tmp_path / "run", recipe, ("cat", "dog"))
    view = data.Whole(longest_side=60)
    images = trained.sample(tmp_path / "run", view, count=6)
    assert len({id(image) for image in images}) == 6
    assert {image.shape[1:] for image in images} == {(60, 3)}
    assert {int(value) for image in images for value in np.unique(image)} == {40, 200}
    assert len(trained.sample(tmp_path / "run", view)) == 8
    crops = trained.sample(tmp_path / "run", data.Crop(image_sizes=(32,), short_side=40), count=2)
    assert [crop.shape for crop in crops] == 2 * [(32, 32, 3)]


def test_a_sample_can_be_of_other_images(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "other" / "train" / name).mkdir(parents=True)
        (tmp_path / "other" / "train" / name / "0.png").write_bytes(encoded(photograph(40, 50)))
    make_run(tmp_path / "run")
    images = trained.sample(tmp_path / "run", data.Whole(), str(tmp_path / "other"))
    assert [image.shape for image in images] == 2 * [(40, 50, 3)]
