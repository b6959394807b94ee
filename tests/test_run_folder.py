import keras
import numpy as np
import pytest
from photographs import encoded, photograph
from small_runs import make_run

import spp_keras
from spp_keras import data, recipes, run_folder
from spp_keras.export.calibration import sample_images
from spp_keras.recipes.size_policies import make_prediction_policy
from spp_keras.run_folder import RunFolder


def test_the_network_of_a_run_is_the_one_it_was_trained_to_in_float32(tmp_path):
    recipe = recipes.Recipe(width=0.0625, levels=(2, 1), precision="mixed_bfloat16")
    network = make_run(tmp_path, recipe)
    run = spp_keras.load_run(tmp_path)
    assert run.labels == ("cat", "dog", "red car")
    assert run.recipe == recipe
    assert not run.is_detector
    images = np.full((1, 40, 50, 3), 99.0)
    np.testing.assert_array_equal(run.model(images), network(images))
    assert run.model.dtype_policy.name == "float32"


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
        ({"size_policy": "native"}, 500, data.Whole(longest_side=500)),
        ({"size_policy": "native", "longest_side": 160}, 150, data.Whole(longest_side=160)),
        ({"size_policy": "native"}, None, data.Whole(longest_side=1024)),
        ({"size_policy": "whole"}, 700, data.Whole(short_side=256)),
        (
            {"size_policy": "whole", "longest_side": 600},
            600,
            data.Whole(short_side=256, longest_side=600),
        ),
        (
            {"size_policy": "alternating", "image_sizes": (224, 180)},
            None,
            data.Whole(short_side=256),
        ),
        ({"size_policy": "fixed", "image_sizes": (224,)}, None, data.Whole(short_side=256)),
        ({"size_policy": "warped", "image_sizes": (224,)}, None, data.Warp(image_size=224)),
        (
            {"model": "zf5", "size_policy": "fixed", "image_sizes": (224,)},
            None,
            data.Crop(image_sizes=(224,), position="center"),
        ),
    ],
)
def test_a_network_sees_all_of_an_image_where_it_can(keys, longest, expected):
    assert make_prediction_policy(recipes.Recipe(**keys), longest) == expected


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
        RunFolder(tmp_path).load_model()


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
    images = sample_images(RunFolder(tmp_path / "run"), view, count=6)
    assert len({id(image) for image in images}) == 6
    assert {image.shape[1:] for image in images} == {(60, 3)}
    assert {int(value) for image in images for value in np.unique(image)} == {40, 200}
    assert len(sample_images(RunFolder(tmp_path / "run"), view)) == 8
    crops = sample_images(
        RunFolder(tmp_path / "run"), data.Crop(image_sizes=(32,), short_side=40), count=2
    )
    assert [crop.shape for crop in crops] == 2 * [(32, 32, 3)]


def test_a_sample_can_be_of_other_images(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "other" / "train" / name).mkdir(parents=True)
        (tmp_path / "other" / "train" / name / "0.png").write_bytes(encoded(photograph(40, 50)))
    make_run(tmp_path / "run")
    images = sample_images(RunFolder(tmp_path / "run"), data.Whole(), str(tmp_path / "other"))
    assert [image.shape for image in images] == 2 * [(40, 50, 3)]


def test_a_sample_can_be_of_files_without_classes(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(5):
        content = encoded(photograph(40 + number, 80), "JPEG")
        (tmp_path / "photos" / f"{number}.JPG").write_bytes(content)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "photos" / "small.png").write_bytes(encoded(photograph(9, 90)))
    make_run(tmp_path / "run")
    run, view = RunFolder(tmp_path / "run"), data.Whole(longest_side=60)
    images = sample_images(run, view, str(tmp_path / "photos"))
    assert {image.dtype.name for image in images} == {"uint8"}
    assert sorted(image.shape for image in images) == [
        (30, 60, 3),
        (31, 60, 3),
        *[(32, 60, 3)] * 2,
        (33, 60, 3),
    ]
    few = sample_images(run, view, str(tmp_path / "photos"), count=2)
    assert [image.shape for image in few] == [image.shape for image in images[:2]]


def test_a_sample_of_files_of_which_none_can_be_used_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "0.jpg").write_bytes(b"no image")
    make_run(tmp_path / "run")
    with pytest.raises(
        ValueError, match=r"`calibration_data` must be a folder of photographs .*0\.jpg"
    ):
        sample_images(RunFolder(tmp_path / "run"), data.Whole(), str(tmp_path / "photos"))


def test_a_run_predicts_an_image_in_every_form_as_its_model_does(tmp_path):
    network = make_run(tmp_path / "run")
    pixels = photograph(40, 50)
    (tmp_path / "photo.png").write_bytes(encoded(pixels))
    run = spp_keras.load_run(tmp_path / "run")
    prediction = run.predict(tmp_path / "photo.png")
    scores = keras.ops.convert_to_numpy(network(pixels[np.newaxis].astype("float32")))[0]
    assert prediction.labels == tuple(run.labels[i] for i in np.argsort(-scores))
    np.testing.assert_allclose(prediction.scores, np.sort(scores)[::-1], rtol=1e-5)
    assert run.predict(pixels) == prediction
    assert run.predict(encoded(pixels)) == prediction


def test_a_run_can_be_given_wherever_its_path_can(tmp_path):
    make_run(tmp_path)
    run = spp_keras.load_run(tmp_path)
    assert (run / "labels.txt").read_text().splitlines() == list(run.labels)
    assert spp_keras.load_run(run).path == tmp_path
    assert spp_keras.load_predictor(run)(encoded(photograph(40, 50))).error is None


@pytest.mark.parametrize("name", ["facts.json", "last.npz", "settings.json"])
def test_a_run_folder_of_0_1_is_refused_with_the_remedy(tmp_path, name):
    make_run(tmp_path)
    (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=r"of spp_keras 0\.1.*load it with spp_keras 0\.1\.1"):
        spp_keras.load_run(tmp_path)


def test_a_folder_holds_one_training(tmp_path):
    make_run(tmp_path)
    run = RunFolder(tmp_path)
    run.check_can_train(recipes.Recipe(width=0.0625, levels=(2, 1), epochs=1))
    with pytest.raises(ValueError, match=r"another recipe.*seed = 0 there, 1 now"):
        run.check_can_train(recipes.Recipe(width=0.0625, levels=(2, 1), seed=1))
    with pytest.raises(ValueError, match=r"a training for classification, this one is for detect"):
        run.check_can_train(recipes.DetectorRecipe(run="runs/x", data="voc/2007"))
