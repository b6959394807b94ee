"""Recipes that train the top first, and the trunk more slowly."""

import keras
import numpy as np
import pytest

from spp_keras import recipes, run_folder, training

TOP = ("fc6", "fc7", "predictions")


def split_weights(network):
    """Weights of the trunk, and of the top."""
    parts = [[], []]
    for layer in network.layers:
        parts[layer.name in TOP] += [np.array(weight) for weight in layer.weights]
    return parts


@pytest.fixture(scope="module")
def untrained(recipe):
    keras.utils.set_random_seed(0)
    return split_weights(run_folder.build_model(recipe(), 3, multi_label=False))


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    return training.train_model(
        recipe(top_epochs=5, trunk_multiplier=0.0, dropout=0.0, epochs=1),
        tmp_path_factory.mktemp("runs") / "run",
    )


def test_a_factor_of_zero_keeps_the_trunk_exactly(run, untrained):
    trunk, top = split_weights(run.model)
    for one, other in zip(trunk, untrained[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert all((one != other).any() for one, other in zip(top, untrained[1], strict=True))
    assert run.run.recipe.top_epochs == 5


@pytest.mark.integration
def test_a_factor_scales_the_way_of_the_trunk(recipe, undisturbed, untrained, tmp_path):
    # One step, so that both see the same gradients.
    options = {"epochs": 1, "dropout": 0.0, "batch_size": 64, "max_pixels": 0}
    fast = split_weights(undisturbed(**options).model)[0]
    slow = training.train_model(recipe(trunk_multiplier=0.25, **options), tmp_path / "run").model
    for full, part, begun in zip(fast, split_weights(slow)[0], untrained[0], strict=True):
        np.testing.assert_allclose(part - begun, 0.25 * (full - begun), rtol=1e-3, atol=1e-6)


@pytest.mark.integration
def test_the_top_is_trained_first_and_once(recipe, run, capsys):
    options = {"top_epochs": 5, "trunk_multiplier": 0.0, "epochs": 2, "dropout": 0.0}
    training.train_model(recipe(**options), run.run.path)
    assert "The layers behind" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({"top_epochs": -1}, "`top_epochs` must be an int >= 0"),
        ({"trunk_multiplier": -1.0}, "`trunk_multiplier` must be a number >= 0"),
    ],
)
def test_keys_are_checked(key, message):
    with pytest.raises(ValueError, match=message):
        recipes.Recipe(**key)
