"""A converted network is a Keras model like its original: layers, variables, files, training."""

import any_size_cases
import keras
import numpy as np
import pytest
import small_networks
import tensorflow as tf
from keras import layers

from spp_keras import any_size
from spp_keras.models.graph_run import find_entrance

SIZES = ((40, 58), (62, 34), (50, 50))


class Case:
    """A network with random weights, its converted form, and batches in every form."""

    def __init__(self, original, sizes=SIZES, filler=any_size_cases.FILLER):
        self.original = any_size_cases.randomize(original)
        self.model = any_size(original)
        self.images = any_size_cases.make_images(sizes)
        self.alone = [any_size_cases._flatten(original(image[None])) for image in self.images]
        self.padded = any_size_cases.pad(self.images, filler=filler)
        rules = find_entrance(self.model).canvas_rules
        self.packed, self.order = any_size_cases.pack(self.images, rules, filler=filler)

    def assert_answers(self, call, tolerance=1e-5):
        """That a function gives every image its answer alone, in a padded batch and packed."""
        order = range(len(self.images))
        assert any_size_cases._measure(self.alone, call(self.padded), order) <= tolerance
        assert any_size_cases._measure(self.alone, call(self.packed), self.order) <= tolerance


@pytest.fixture(scope="module")
def case():
    return Case(small_networks.every_rule())


@pytest.fixture
def own_case():
    """One that a test may change."""
    return Case(small_networks.every_rule())


# Layers.


def test_layers_keep_their_names_and_settings(case):
    for layer in case.original.layers[1:]:
        same = case.model.get_layer(layer.name)
        inner = getattr(same, "layer", same)
        assert type(inner).__name__ == type(layer).__name__
        assert inner.get_config() == layer.get_config()


def test_outputs_of_layers_are_there_in_the_original_and_in_the_converted_network(case):
    image = case.images[0][None]
    for layer in case.original.layers[1:]:
        # Built after the conversion: the layers have nodes of their own.
        mine, other = (
            keras.Model(model.input, model.get_layer(layer.name).output)
            for model in (case.model, case.original)
        )
        np.testing.assert_array_equal(np.asarray(mine(image)), np.asarray(other(image)))


def test_a_cut_network_maps_images_of_mixed_sizes(case):
    for name in ("re_lu", "depthwise_conv2d", "unit_normalization"):
        names = [layer.name for layer in case.original.layers]
        name = next(full for full in names if full.startswith(name))
        cut = type(case.model)(case.model.input, case.model.get_layer(name).output)
        maps = np.asarray(cut(case.padded))
        expected = keras.Model(case.original.input, case.original.get_layer(name).output)
        for found, image in zip(maps, case.images, strict=True):
            alone = np.asarray(expected(image[None]))[0]
            assert np.abs(alone).max() > 0
            found = found[: alone.shape[0], : alone.shape[1]]
            np.testing.assert_allclose(found, alone, atol=1e-5 * np.abs(alone).max())


def test_a_summary_is_printed(case):
    lines = []
    case.model.summary(print_fn=lambda text, **_: lines.append(text))
    text = "\n".join(lines)
    for layer in case.original.layers[1:]:
        assert layer.name[:12] in text
    assert f"{case.original.count_params():,}" in text


# Variables.


def test_training_the_converted_network_changes_the_original_and_its_files(own_case, tmp_path):
    model, original = own_case.model, own_case.original
    assert all(a is b for a, b in zip(model.weights, original.weights, strict=True))
    before = original.get_weights()
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.train_on_batch(own_case.packed, np.ones((3, 3)))
    for weight, value in zip(original.weights, before, strict=True):
        # Biases before a normalization have no effect; `Normalization` learns nothing.
        constant = weight.name == "bias" or weight.path.startswith("normalization")
        assert (np.asarray(weight) != value).any() or constant
    original.save_weights(tmp_path / "after.weights.h5")
    again = small_networks.every_rule()
    again.load_weights(tmp_path / "after.weights.h5")
    for mine, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_frozen_layer_does_not_learn_and_normalizes_as_in_inference(own_case):
    model = own_case.model
    frozen = [layer.name for layer in model.layers if "batch_norm" in layer.name]
    frozen += [layer.name for layer in model.layers if layer.name.startswith("depthwise")]
    assert len(frozen) == 2
    learning_nothing = [x.name for x in model.layers if isinstance(x, layers.Normalization)]
    for name in frozen:
        model.get_layer(name).trainable = False
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.train_on_batch(own_case.packed, np.ones((3, 3)))
    for layer in model.layers:
        pairs = zip(layer.get_weights(), before[layer.name], strict=True)
        stays = layer.name in frozen + learning_nothing
        assert all((a == b).all() == stays for a, b in pairs), layer.name


def test_a_frozen_normalization_has_the_same_answers_in_training():
    images = keras.Input((None, None, 3))
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3)(images))
    case = Case(keras.Model(images, layers.GlobalMaxPooling2D()(x)))
    with pytest.raises(AssertionError):
        case.assert_answers(lambda batch: case.model(batch, training=True))
    case = Case(keras.Model(images, layers.GlobalMaxPooling2D()(x)))
    case.model.get_layer("norm").trainable = False
    case.assert_answers(lambda batch: case.model(batch, training=True))


# Copies and files.


def test_a_saved_network_loads_in_safe_mode_with_the_same_answers(case, tmp_path):
    case.model.save(tmp_path / "any.keras")
    again = keras.models.load_model(tmp_path / "any.keras", safe_mode=True)
    case.assert_answers(again)
    for inputs in (case.padded, case.packed):
        np.testing.assert_array_equal(np.asarray(again(inputs)), np.asarray(case.model(inputs)))


def test_clones_and_configurations_make_the_same_network(case, tmp_path):
    case.original.save_weights(tmp_path / "old.weights.h5")
    for copy in (
        keras.models.clone_model(case.model),
        type(case.model).from_config(case.model.get_config()),
    ):
        assert not any(a is b for a, b in zip(copy.weights, case.model.weights, strict=True))
        copy.load_weights(tmp_path / "old.weights.h5")
        case.assert_answers(copy)


# Precision and compilers.


@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [("mixed_bfloat16", 0.03), pytest.param("mixed_float16", 0.005, marks=pytest.mark.integration)],
)
def test_mixed_precision_is_close_to_float32(case, policy, tolerance, tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        original = small_networks.every_rule()
    finally:
        keras.config.set_dtype_policy(before)
    model = any_size(original)
    case.original.save_weights(tmp_path / "float32.weights.h5")
    model.load_weights(tmp_path / "float32.weights.h5")
    assert model.compute_dtype == "float32" or model.outputs[0].dtype == policy[6:]
    case.assert_answers(lambda batch: tf.cast(model(batch), "float32"), tolerance)


def test_xla_is_used_on_request_alone_also_behind_a_file(case, tmp_path):
    model = keras.models.clone_model(case.model)
    model.compile("sgd", "mse")
    assert not model.jit_compile
    model.compile("sgd", "mse", jit_compile=True)
    assert model.jit_compile
    model.save(tmp_path / "compiled.keras")
    again = keras.models.load_model(tmp_path / "compiled.keras")
    assert again.compiled
    assert again.jit_compile
    again.compile("sgd", "mse", jit_compile=False)
    assert not again.jit_compile


@pytest.mark.exhaustive
@pytest.mark.integration
@pytest.mark.parametrize("form", ["padded", "packed"])
def test_xla_compiles_it_for_a_fixed_size(case, form):
    inputs = {name: tf.constant(value) for name, value in getattr(case, form).items()}
    answers = tf.function(case.model, jit_compile=True)(inputs)
    order = case.order if form == "packed" else range(3)
    assert any_size_cases._measure(case.alone, answers, order) < 1e-5


@pytest.mark.exhaustive
@pytest.mark.integration
@pytest.mark.parametrize("form", ["padded", "packed"])
def test_a_training_that_xla_compiles_learns_the_same(own_case, form):
    model, inputs = own_case.model, getattr(own_case, form)
    # Random draws are others.
    next(x for x in model.layers if hasattr(x, "layer")).layer.rate = 0
    before, results = model.get_weights(), []
    for jit_compile in (False, True):
        model.set_weights(before)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        assert model.jit_compile == jit_compile
        loss = model.train_on_batch(inputs, np.ones((3, 3)))
        results.append([loss, *model.get_weights()])
    assert (results[0][-1] != before[-1]).any()
    for plain, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-4)
