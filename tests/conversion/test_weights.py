"""Weights and the state of optimizers go from originals to converted networks, and back."""

import any_size_cases
import keras
import numpy as np
import pytest
from keras import layers
from tiers import mark_rest

from spp_keras import any_size


def branched():
    """Two branches with weights of one shape.

    A mask before `b2` makes the right branch longer in the converted graph, where Keras lists
    `b1` before `a1` then.
    """
    images = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 1, name="stem")(images)
    a = layers.Conv2D(4, 1, name="a2")(layers.Conv2D(4, 1, name="a1")(x))
    b = layers.Conv2D(4, 3, padding="same", name="b2")(layers.Conv2D(4, 1, name="b1")(x))
    x = layers.BatchNormalization(name="norm")(layers.Add()([a, b]))
    return keras.Model(images, layers.Dense(2, name="top")(layers.GlobalMaxPooling2D()(x)))


def block(name):
    """A model whose layers have the names that those of other ones have."""
    images = keras.Input((None, None, 4))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(images)
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(images, layers.ReLU(name="relu")(x), name=name)


def nested():
    """Two parallel models and a layer of the names that are in both, and a head as a model."""
    images = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 1, name="conv")(images)
    x = layers.Add()([block("first")(x), block("second")(x)])
    head = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, name="hidden"), layers.Dense(2, name="top")],
        name="head",
    )
    return keras.Model(images, head(layers.GlobalAveragePooling2D()(x)))


def automatic():
    """Layers that Keras names."""
    images = keras.Input((None, None, 3))
    x = images
    for _ in range(12):
        x = layers.Conv2D(3, 1)(x)
    return keras.Model(images, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))


class Block(layers.Layer):
    """A layer without a rule, which is opened."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Conv2D(4, 1, name="inner_first")
        self.second = layers.Conv2D(4, 1, name="inner_second")

    def build(self, shape):
        self.first.build(shape)
        self.second.build((*shape[:-1], 4))

    def call(self, x):
        return self.second(keras.ops.relu(self.first(x)))


def composite():
    images = keras.Input((None, None, 3))
    x = Block(name="block")(images)
    return keras.Model(images, layers.Dense(2, name="top")(layers.GlobalMaxPooling2D()(x)))


def normalized():
    images = keras.Input((None, None, 3))
    normalization = layers.Normalization(name="pixels")
    x = layers.Conv2D(2, 3, name="conv")(normalization(images))
    normalization.adapt(np.random.default_rng(0).normal(5, 3, (4, 9, 9, 3)))
    return keras.Model(images, layers.GlobalMaxPooling2D()(x))


MODELS = {
    "branched": branched,
    "nested": nested,
    "automatic names": automatic,
    "composite": composite,
    "normalized": normalized,
}
IMAGES = np.stack(any_size_cases.make_images([(9, 12)] * 2))


def randomized(make, seed=0):
    model = make()
    if make is not normalized:
        any_size_cases.randomize(model, seed)
    return model


def assert_same_answers(model, original):
    expected = np.asarray(original(IMAGES))
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(np.asarray(model(IMAGES)), expected, rtol=1e-5, atol=1e-6)


def other(make):
    """A converted network with weights of its own, from a model that was built anew."""
    model = any_size(any_size_cases.randomize(make(), seed=9))
    assert np.abs(np.asarray(model(IMAGES))).max() > 0
    return model


@pytest.mark.parametrize("name", MODELS)
def test_weights_have_one_order_and_are_the_same_objects(name):
    original = MODELS[name]()
    model = any_size(original)
    assert all(a is b for a, b in zip(model.weights, original.weights, strict=True))
    assert [id(w) for w in model.trainable_weights] == [id(w) for w in original.trainable_weights]


def test_the_order_of_the_branched_graph_alone_is_another_one():
    """What these tests are about: without this there would be nothing to find."""
    model = any_size(branched())
    plain = keras.Model(model.input, model.output)
    names = [layer.name for layer in plain.layers if layer.weights]
    assert names[:3] == ["stem", "b1", "a1"]
    assert [layer.name for layer in model.layers if layer.weights][:3] == ["stem", "a1", "b1"]


def saved_again(model, tmp_path):
    model.save(tmp_path / "again.keras")
    return keras.models.load_model(tmp_path / "again.keras", custom_objects={"Block": Block})


COPIES = {
    "saved and loaded": saved_again,
    "cloned": lambda model, _: keras.models.clone_model(model),
    "from its configuration": lambda model, _: type(model).from_config(model.get_config()),
    "of its inputs and outputs": lambda model, _: type(model)(model.input, model.output),
}


@pytest.mark.integration
@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("name", ["branched", "nested"])
def test_copies_keep_the_order(name, copy, tmp_path):
    original = randomized(MODELS[name])
    model = COPIES[copy](any_size(original), tmp_path)
    model.set_weights(original.get_weights())
    assert_same_answers(model, original)


@pytest.mark.parametrize(
    "suffix", [".weights.h5", pytest.param(".keras", marks=pytest.mark.integration)]
)
@pytest.mark.parametrize("name", MODELS)
def test_a_file_of_the_original_loads(name, suffix, tmp_path):
    original = randomized(MODELS[name])
    path = tmp_path / f"old{suffix}"
    (original.save if suffix == ".keras" else original.save_weights)(path)
    model = other(MODELS[name])
    model.load_weights(path)
    assert_same_answers(model, original)


def test_a_normalization_that_is_adapted_or_loaded_in_one_model_is_in_the_other(tmp_path):
    original = normalized()
    model = any_size(original)
    assert_same_answers(model, original)
    source = normalized()
    source.get_layer("pixels").adapt(np.random.default_rng(1).normal(-3, 2, (4, 9, 9, 3)))
    source.save_weights(tmp_path / "other.weights.h5")
    # The original is loaded, the converted network is, the original is adapted.
    original.load_weights(tmp_path / "other.weights.h5")
    assert_same_answers(original, source)
    assert_same_answers(model, source)
    normalized().save_weights(tmp_path / "first.weights.h5")
    model.load_weights(tmp_path / "first.weights.h5")
    assert np.abs(np.asarray(model(IMAGES)) - np.asarray(source(IMAGES))).max() > 0.01
    assert_same_answers(original, model)
    original.get_layer("pixels").adapt(np.random.default_rng(2).normal(9, 4, (4, 9, 9, 3)))
    assert_same_answers(model, original)


@pytest.mark.integration
@pytest.mark.parametrize("name", MODELS)
def test_a_file_of_the_converted_network_loads(name, tmp_path):
    original = randomized(MODELS[name])
    any_size(original).save_weights(tmp_path / "new.weights.h5")
    model = other(MODELS[name])
    model.load_weights(tmp_path / "new.weights.h5")
    assert_same_answers(model, original)


@pytest.mark.integration
@pytest.mark.parametrize("name", ["branched", "automatic names", "normalized"])
def test_a_file_of_the_converted_network_loads_into_the_original_by_keras(name, tmp_path):
    original = randomized(MODELS[name])
    any_size(original).save_weights(tmp_path / "new.weights.h5")
    again = any_size_cases.randomize(MODELS[name](), seed=9)
    again.load_weights(tmp_path / "new.weights.h5")
    assert_same_answers(again, original)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("name", ["nested", "composite"])
def test_where_the_original_has_models_inside_keras_refuses_that_file(name, tmp_path):
    any_size(MODELS[name]()).save_weights(tmp_path / "new.weights.h5")
    with pytest.raises(ValueError, match="expected 2 variables, but received 0"):
        MODELS[name]().load_weights(tmp_path / "new.weights.h5")


def test_a_file_in_another_order_loads_by_name_where_positions_would_be_wrong(tmp_path):
    original = randomized(branched)
    converted = any_size(original)
    plain = keras.Model(converted.input, converted.output)
    plain.save_weights(tmp_path / "plain.weights.h5")
    model = other(branched)
    keras.Model.load_weights(model, tmp_path / "plain.weights.h5")
    assert np.abs(np.asarray(model(IMAGES)) - np.asarray(original(IMAGES))).max() > 0.01
    model.load_weights(tmp_path / "plain.weights.h5")
    assert_same_answers(model, original)


def test_a_part_of_a_network_loads_a_file_of_the_whole(tmp_path):
    original = randomized(branched)
    original.save_weights(tmp_path / "whole.weights.h5")
    model = other(branched)
    part = type(model)(model.input, model.get_layer("norm").output)
    part.load_weights(tmp_path / "whole.weights.h5")
    expected = keras.Model(original.input, original.get_layer("norm").output)
    assert_same_answers(part, expected)


# What does not fit is said, and nothing is loaded.


def with_units(units):
    images = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="conv")(images)
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(units, 1, name="wide")(x))
    return any_size_cases.randomize(keras.Model(images, layers.Dense(units, name="top")(x)))


def test_what_differs_is_listed_and_nothing_is_loaded(tmp_path):
    path = tmp_path / "four.weights.h5"
    with_units(4).save_weights(path)
    model = any_size(with_units(5))
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"`filepath` must be a file with the weights") as caught:
        model.load_weights(path)
    message = str(caught.value)
    assert message.endswith(
        f"Received: filepath={str(path)!r}, with these differences:"
        "\n  wide: (1, 1, 4, 5) and (5,) in the network, (1, 1, 4, 4) and (4,) in the file"
        "\n  top: (5, 5) and (5,) in the network, (4, 4) and (4,) in the file"
    )
    assert "shares its variables with its original, which can load the file" in message
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_skip_mismatch_loads_what_fits_and_warns_of_the_rest(tmp_path):
    source = with_units(4)
    source.save_weights(tmp_path / "four.weights.h5")
    model = any_size(with_units(5))
    before = model.get_layer("top").get_weights()
    with pytest.warns(UserWarning, match=r"left as they are.*\n  wide: .*\n  top: ") as records:
        model.load_weights(tmp_path / "four.weights.h5", skip_mismatch=True)
    assert records[0].filename == __file__
    for mine, theirs in zip(
        model.get_layer("conv").get_weights(), source.get_layer("conv").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    for now, then in zip(model.get_layer("top").get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_layer_that_the_file_does_not_have_is_named(tmp_path):
    branched().save_weights(tmp_path / "branched.weights.h5")
    with pytest.raises(ValueError, match=r"\n  wide: .* in the network, 0 layers of that name in"):
        any_size(with_units(4)).load_weights(tmp_path / "branched.weights.h5")


def test_a_name_that_is_in_the_file_twice_is_said(tmp_path):
    images = keras.Input((None, None, 4))
    both = keras.Model(images, block("first")(block("second")(images)))
    both.save_weights(tmp_path / "both.weights.h5")
    with pytest.raises(ValueError, match=r"\n  conv: .* network, 2 layers of that name in the f"):
        any_size(block("third")).load_weights(tmp_path / "both.weights.h5")


@pytest.mark.parametrize("name", ["gone.weights.h5", "text.weights.h5", "text.keras"])
def test_what_is_no_weight_file_is_refused(name, tmp_path):
    if name.startswith("text"):
        (tmp_path / name).write_text("no weights")
    with pytest.raises(ValueError, match=r"`filepath` must be .* Received: filepath='.*" + name):
        any_size(with_units(4)).load_weights(tmp_path / name)


# The state of the optimizer.


def compiled(model):
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def train(model, seeds):
    """Steps of the optimizer, with a gradient of its own for each weight."""
    for seed in seeds:
        random = np.random.default_rng(seed)
        shapes = [weight.shape for weight in model.trainable_variables]
        model.optimizer.apply(
            [keras.ops.convert_to_tensor(random.normal(size=s), "float32") for s in shapes]
        )


@pytest.mark.parametrize("name", ["branched", "nested"])
def test_a_training_of_the_original_goes_on(name, tmp_path):
    original = compiled(randomized(MODELS[name]))
    train(original, range(3))
    original.save_weights(tmp_path / "trained.weights.h5")
    model = compiled(other(MODELS[name]))
    model.load_weights(tmp_path / "trained.weights.h5")
    assert int(model.optimizer.iterations) == 3
    train(original, range(3, 5))
    train(model, range(3, 5))
    for mine, theirs in zip(model.get_weights(), original.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_the_state_of_an_optimizer_with_layers_in_another_order_is_left_out(tmp_path):
    converted = any_size(randomized(branched))
    plain = compiled(keras.Model(converted.input, converted.output))
    train(plain, range(1))
    plain.save_weights(tmp_path / "plain.weights.h5")
    model = compiled(other(branched))
    model.optimizer.build(model.trainable_variables)
    with pytest.warns(UserWarning, match=r"optimizer .* is not loaded: .* in another order"):
        model.load_weights(tmp_path / "plain.weights.h5")
    assert int(model.optimizer.iterations) == 0
    assert_same_answers(model, plain)


FAMILIES = {
    # It crops by the size that it is built for.
    "NASNetMobile": {"input_shape": (97, 97, 3)},
    "InceptionV3": {},
    "ResNet50": {},
    "ConvNeXtTiny": {"include_preprocessing": False},
}


@pytest.mark.integration
@pytest.mark.parametrize("family", mark_rest(FAMILIES, "ResNet50"))
def test_weights_of_families_of_keras_load(family, tmp_path):
    def make(seed):
        options = {"include_top": False, "weights": None, "input_shape": (None, None, 3)}
        model = getattr(keras.applications, family)(**{**options, **FAMILIES[family]})
        random = np.random.default_rng(seed)
        model.set_weights([random.normal(size=weight.shape) for weight in model.weights])
        return model

    original = make(seed=0)
    original.save_weights(tmp_path / "old.weights.h5")
    # Built anew: names that Keras gives are others.
    model = any_size(make(seed=1))
    model.load_weights(tmp_path / "old.weights.h5")
    for mine, theirs in zip(model.get_weights(), original.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
