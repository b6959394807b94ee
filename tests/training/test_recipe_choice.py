import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_records import make_records

from spp_keras import recipes
from spp_keras.recipes import size_policies
from spp_keras.training import choose_recipe
from spp_keras.training.recipe_choice import format_choice
from spp_keras.zoo import networks, weight_packages

VALIDATION = make_records([0, 1])
# Of images that are not refused: a side is at most 16 times the other.
SIZES = st.tuples(st.integers(16, 3000), st.integers(16, 3000)).filter(
    lambda size: max(size) <= 16 * min(size)
)


def images(count, **options):
    return make_records(np.arange(count) % 2, **options)


def choose(count=400, model=None, *, sizes=(300, 400), **overrides):
    return choose_recipe(images(count, sizes=sizes), VALIDATION, model, **overrides)


def test_a_network_with_installed_weights_is_fine_tuned_on_whole_images():
    recipe = choose(data="photos").recipe
    assert (recipe.model, recipe.weights) == ("efficientnet_lite0", "imagenet")
    assert (recipe.size_policy, recipe.short_side) == ("whole", 192)
    assert recipe.top_epochs > 0
    assert recipe.trunk_multiplier < 1
    assert recipe.early_stopping
    assert recipe.data == "photos"


def test_without_weights_a_quarter_of_zf5_learns_from_images_at_their_own_sizes(monkeypatch):
    monkeypatch.setattr(weight_packages, "is_installed", lambda network: False)
    choice = choose()
    recipe = choice.recipe
    assert (recipe.model, recipe.width, recipe.weights) == ("zf5_spp", 0.25, "")
    assert (recipe.size_policy, recipe.image_sizes, recipe.top_epochs) == ("native", (), 0)
    assert "extra `weights`" in choice.reasons["model"]


@pytest.mark.parametrize("name", networks.list_networks())
def test_every_network_has_a_recipe_that_its_sizes_allow(name):
    recipe = choose(model=name).recipe
    assert recipe.model == name
    if recipe.has_pyramid:
        assert recipe.size_policy in ("whole", "native")
    else:
        assert (recipe.size_policy, recipe.image_sizes) == ("fixed", (224,))


@pytest.mark.parametrize(("count", "batch_size"), [(20, 8), (100, 8), (160, 16), (320, 32)])
def test_few_images_make_small_batches(count, batch_size):
    assert choose(count).recipe.batch_size == batch_size


def test_many_images_need_fewer_epochs_and_all_filters():
    few, many = choose(400, "zf5_spp").recipe, choose(50_000, "zf5_spp").recipe
    assert few.epochs > many.epochs
    assert (few.width, many.width) == (0.25, 1.0)


def test_images_smaller_than_the_network_maps_are_enlarged():
    recipe = choose(model="zf5_spp", sizes=(24, 40)).recipe
    assert recipe.size_policy == "whole"
    assert recipe.short_side >= recipe.min_image_size


@pytest.mark.parametrize(("counts", "expected"), [((30, 12), ""), ((30, 10), "balanced")])
def test_skewed_classes_are_weighed(counts, expected):
    labels = np.repeat([0, 1], counts)
    choice = choose_recipe(make_records(labels), VALIDATION)
    assert choice.recipe.class_weight == expected
    assert ("class_weight" in choice.reasons) == bool(expected)


def test_images_of_several_classes_are_not_weighed():
    labels = np.eye(2)[np.repeat([0, 1], (30, 2))]
    assert choose_recipe(make_records(labels), VALIDATION).recipe.class_weight == ""


def test_what_is_given_is_taken_and_said():
    choice = choose(epochs=3, batch_size=64)
    assert (choice.recipe.epochs, choice.recipe.batch_size) == (3, 64)
    assert choice.reasons["epochs"] == "given"


def test_another_size_policy_drops_what_only_the_chosen_one_has():
    recipe = choose(size_policy="warped", image_sizes=(160,)).recipe
    assert (recipe.size_policy, recipe.longest_side, recipe.max_pixels) == ("warped", 0, 0)


def test_a_key_that_is_wrong_is_named():
    with pytest.raises(ValueError, match="`epochs` must be"):
        choose(epochs=0)


def test_every_key_that_differs_from_its_default_has_a_reason():
    for model in (None, "zf5_spp", "zf5", "MobileNetV3Small"):
        choice = choose(model=model, data="photos")
        for field in dataclasses.fields(choice.recipe):
            if getattr(choice.recipe, field.name) != field.default:
                assert choice.reasons[field.name], field.name


def test_the_printed_choice_is_a_recipe_with_comments(tmp_path):
    choice = choose(20, data="photos")
    text = format_choice(*choice)
    lines = text.splitlines()
    assert all(" # " in line for line in lines if not line.startswith("Warning: "))
    assert any(line.startswith("Warning: 20 images make 3 steps") for line in lines)
    file = tmp_path / "chosen.toml"
    file.write_text(recipes.recipe_to_toml(choice.recipe, choice.reasons))
    assert recipes.read_recipe(file) == choice.recipe


@settings(max_examples=30, deadline=None)
@given(
    st.lists(SIZES, min_size=1, max_size=40),
    st.sampled_from(["zf5_spp", "alexnet5_spp", "overfeat7_spp", "Xception", None]),
)
def test_no_image_of_any_folder_is_too_small_for_its_recipe(sizes, model):
    choice = choose_recipe(make_records(np.arange(len(sizes)) % 2, sizes), VALIDATION, model)
    sent = size_policies.make_training_policy(choice.recipe).output_sizes(np.array(sizes))
    # One in a hundred may be left out.
    assert np.mean(sent.min(axis=1) < choice.recipe.min_image_size) <= 0.01
    assert sent.prod(axis=1).max() <= choice.recipe.max_pixels
