"""What cannot be converted, and images that a network cannot take, are refused by name."""

import re

import any_size_cases
import keras
import numpy as np
import pytest
from keras import layers, ops

from spp_keras import any_size, conversion, register_rule
from spp_keras.models.graph_run import find_entrance


def network(*calls, size=None, images=None):
    """A model that applies layers and functions to images, one after the other."""
    images = keras.Input((size, size, 4)) if images is None else images
    x = images
    for call in calls:
        x = call(x)
    return keras.Model(images, x, name="net")


class OwnWeights(layers.Layer):
    """Weights that belong to no layer inside."""

    def build(self, shape):
        self.inner = layers.Conv2D(4, 1)
        self.inner.build(shape)
        self.scale = self.add_weight(shape=(4,), name="scale")

    def call(self, x):
        return self.inner(x) * self.scale


class OtherInTraining(layers.Layer):
    def build(self, shape):
        self.inner = layers.Conv2D(4, 1)
        self.inner.build(shape)

    def call(self, x, training=None):
        return ops.relu(self.inner(x)) if training else self.inner(x)


class Subclassed(keras.Model):
    def call(self, x):
        return x


def attention(x):
    return layers.MultiHeadAttention(2, 4, name="attention")(x, x)


def nested(x):
    inner = keras.Input((None, None, 4))
    outputs = layers.Conv2DTranspose(4, 3, name="transposed")(inner)
    return keras.Model(inner, outputs, name="decoder")(x)


def two_inputs():
    inputs = [keras.Input((None, None, 4), name=name) for name in ("left", "right")]
    return keras.Model(inputs, layers.Add()(inputs), name="net")


def channels_first(layer, size=None):
    return network(layer, images=keras.Input((4, size, size)))


ONE_BY_ONE = r"by `any_size\(model, per_image=True\)`"
# A model, what is said of it, and the remedy.
REFUSED = {
    "a reshape for one size": (
        lambda: network(layers.Reshape((64, 4), name="tokens"), size=8),
        "Layer 'tokens' reshapes a map, which ties it to one size",
        r"Leave it out, or cut the model in front of it",
    ),
    "a reshape by an operation": (
        lambda: network(lambda x: ops.reshape(x, (-1, 32, 8)), size=8),
        "Layer 'reshape.*' reshapes a map, which ties it to one size",
        r"Leave it out, or cut the model in front of it",
    ),
    "a Lambda": (
        lambda: network(layers.Lambda(lambda x: x, name="mine")),
        "Layer 'mine' of class Lambda has no rule. A Lambda may do anything to neighboring cells",
        ONE_BY_ONE,
    ),
    "attention": (
        lambda: network(attention),
        "Layer 'attention' of class MultiHeadAttention has no rule. Attention reads all cells",
        ONE_BY_ONE,
    ),
    "a layer in a nested model": (
        lambda: network(nested),
        "Layer 'transposed' of class Conv2DTranspose has no rule. .* of model 'decoder'",
        "Register a rule by `spp_keras.register_rule`",
    ),
    "weights outside of inner layers": (
        lambda: network(OwnWeights(name="mine")),
        "Layer 'mine' of class OwnWeights has no rule. It has weights of its own outside of its l",
        "Register a rule by `spp_keras.register_rule`",
    ),
    "other things in training": (
        lambda: network(OtherInTraining(name="mine")),
        "Layer 'mine' of class OtherInTraining has no rule. It does other things in training",
        "Register a rule by `spp_keras.register_rule`",
    ),
    "code that is no operations": (
        lambda: network(layers.Resizing(8, 8, name="resized")),
        "Layer 'resized' of class Resizing has no rule. Its call cannot be followed on symbolic",
        "Register a rule by `spp_keras.register_rule`",
    ),
    "an operation without a rule": (
        lambda: network(lambda x: ops.transpose(x, (0, 2, 1, 3))),
        "Layer 'transpose.*' of class Transpose has no rule",
        "Register a rule by `spp_keras.register_rule`",
    ),
    "a flattened map of unknown size": (
        lambda: network(layers.Flatten(name="vector")),
        "Layer 'vector' flattens a map of unknown size",
        "Build the model for the one size that it was made for, or put a `SpatialPyramidPooling`",
    ),
    "interpolation": (
        lambda: network(layers.UpSampling2D(2, interpolation="bilinear", name="larger")),
        "Layer 'larger' interpolates between cells",
        'Give it interpolation="nearest"',
    ),
    "moments across devices": (
        lambda: network(layers.BatchNormalization(synchronized=True, name="norm")),
        "Layer 'norm' has synchronized=True",
        "Give it False for both",
    ),
    "slopes of cells": (
        lambda: network(layers.PReLU(name="slopes"), size=8),
        "Layer 'slopes' has a slope for each cell",
        r"Give it shared_axes=\[1, 2\]",
    ),
    "weights of cells": (
        lambda: network(layers.LayerNormalization(axis=(1, 2, 3), name="norm"), size=8),
        "Layer 'norm' has weights for each cell",
        r"Give it axis=-1, or center=False and scale=False",
    ),
    "noise for one size": (
        lambda: network(layers.Dropout(0.1, noise_shape=(None, 8, 1, 1), name="drop"), size=8),
        r"Layer 'drop' has noise_shape=\(None, 8, 1, 1\), which depends on the size of images",
        "Its entries for rows and columns have to be 1",
    ),
    "maps that never have one size": (
        lambda: network(
            lambda x: layers.Add(name="sum")([layers.Conv2D(4, 1)(x), layers.Conv2D(4, 3)(x)])
        ),
        "Layer 'sum' merges maps that have one size for no image",
        "",
    ),
    "channels first": (
        lambda: channels_first(layers.Conv2D(4, 1, data_format="channels_first", name="conv"), 4),
        "Layer 'conv' has data_format=\"channels_first\"",
        "Build the model with channels last",
    ),
    "noise with channels first": (
        lambda: network(layers.SpatialDropout2D(0.1, data_format="channels_first", name="drop")),
        "Layer 'drop' has data_format=\"channels_first\"",
        "Build the model with channels last",
    ),
    "images with channels first": (
        lambda: channels_first(layers.ReLU()),
        r"Received: model='net' with an input of the shape \(None, 4, None, None\)",
        "`model` must take images with channels last, and state how many",
    ),
    "two inputs": (
        two_inputs,
        r"Received: model='net' with inputs of the shapes \[\(None, None, None, 4\), \(None,",
        "Of a model with more inputs convert the part that maps images",
    ),
    "no images": (
        lambda: keras.Sequential([keras.Input((7,)), layers.Dense(2)], name="net"),
        r"Received: model='net' with inputs of the shapes \[\(None, 7\)\]",
        r"`model` must have one input, images \(batch, height, width, channels\)",
    ),
    "no input": (
        lambda: keras.Sequential([layers.Conv2D(4, 1)], name="net"),
        "Received: model='net' of class Sequential",
        "give it a `keras.Input` with the shape of its images",
    ),
    "a subclass without a graph": (
        lambda: Subclassed(name="net"),
        "Received: model='net' of class Subclassed",
        "`model` must be functional, or sequential and built",
    ),
    "no model": (lambda: 3, "Received: model=3", "`model` must be a `keras.Model`"),
    "a converted network": (
        lambda: any_size(network(layers.ReLU())),
        "Received: model='net', a network of `any_size` or of the zoo",
        "`model` takes images of any size already",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_is_refused_with_the_layer_and_the_remedy(case):
    make, reason, remedy = REFUSED[case]
    with pytest.raises(ValueError, match="(?s)" + reason) as caught:
        any_size(make())
    assert re.search(remedy, str(caught.value)), caught.value


# Images.


def strided():
    """5x5 at stride 4, behind which 2 cells have to be free."""
    return any_size(
        network(
            layers.Conv2D(4, 7, strides=4, name="first"),
            layers.Conv2D(4, 5, padding="same"),
            layers.GlobalMaxPooling2D(),
        )
    )


def test_images_below_the_least_size_are_refused_with_that_size():
    model = any_size(
        network(
            layers.Conv2D(4, 5, strides=2),
            layers.MaxPooling2D(3, 2),
            layers.Conv2D(4, 3),
            layers.GlobalMaxPooling2D(),
        )
    )
    # 1 cell of 3x3 is 3 of pooling: 7 of the first convolution: 17 pixels.
    assert find_entrance(model).min_size == 17
    assert model(np.zeros((1, 17, 17, 4))).shape == (1, 4)
    for inputs in (
        np.zeros((1, 16, 40, 4)),
        {"images": np.zeros((2, 40, 40, 4)), "sizes": np.array([[17, 17], [40, 16]])},
    ):
        with pytest.raises(ValueError, match=r"at least 17 pixels high and wide.*enlarge or drop"):
            model(inputs)


def test_a_size_at_which_branches_do_not_meet_is_refused_with_the_layer():
    def hourglass(x):
        half = layers.Conv2D(4, 3, strides=2, padding="same")(x)
        return layers.Add(name="sum")([x, layers.UpSampling2D(2)(half)])

    model = any_size(network(hourglass))
    assert model(np.zeros((1, 8, 10, 4))).shape == (1, 8, 10, 4)
    with pytest.raises(ValueError, match=r"height for which layer 'sum' gets maps of one size; c"):
        model({"images": np.zeros((1, 8, 8, 4)), "sizes": np.array([[7, 8]])})


RULES = find_entrance(strided()).canvas_rules
FIRST = [0, 0, 0, 23, 23]
# 5 x 5 cells of stride 4, and 2 more: 28 pixels.
PLACEMENTS = {
    "too close": ([FIRST, [0, 0, 24, 23, 23]], r"so far apart .*footprint.*23\] of image 0"),
    "overlapping": ([FIRST, [0, 4, 4, 23, 23]], r"so far apart .*footprint.*\] of image 0"),
    "misaligned": (
        [FIRST, [0, 0, 30, 23, 23]],
        r"multiples of 4, .*\[0, 0, 30, 23, 23\] of im.* 1",
    ),
    "beyond the canvas": (
        [FIRST, [0, 0, 80, 23, 23]],
        r"inside a canvas\. .*80, 23, 23\] of im.* 1",
    ),
    "before the canvas": ([[0, -4, 0, 23, 23]], r"inside a canvas\. Received: .*-4, 0, 23, 23\]"),
    "on no canvas": ([[2, 0, 0, 23, 23]], r"inside a canvas\. Received: placements=\[2, 0, 0, 23"),
    "no height": ([[0, 0, 0, 0, 23]], r"inside a canvas\. Received: placements=\[0, 0, 0, 0, 23"),
    "too small": ([[0, 0, 0, 6, 23]], r"at least 7 pixels high and wide.*\[6, 23\] of image 0"),
    "four numbers": ([[0, 0, 0, 23]], r"integers of the shape \(images, 5\).*shape \(1, 4\)"),
    "fractions": ([[0, 0, 0.5, 23, 23]], r"integers of the shape \(images, 5\).*float"),
}


@pytest.mark.parametrize("case", PLACEMENTS)
def test_placements_that_do_not_fit_are_refused_with_the_rule_and_the_image(case):
    placements, message = PLACEMENTS[case]
    inputs = {"images": np.zeros((2, 60, 100, 4)), "placements": np.array(placements)}
    with pytest.raises(ValueError, match=message):
        strided()(inputs)


def test_placements_as_close_as_the_rules_allow_are_taken():
    assert RULES.stride == 4
    assert RULES.footprint(23, 23) == (28, 28)
    placements = np.array([FIRST, [0, 0, 28, 23, 23], [1, 0, 0, 23, 23]])
    answers = strided()({"images": np.zeros((2, 60, 100, 4)), "placements": placements})
    assert answers.shape == (3, 4)


@pytest.mark.tensorflow
def test_a_graph_refuses_placements_too():
    import tensorflow as tf

    model = strided()
    model.compile("sgd", "mse")
    placements, _ = PLACEMENTS["too close"]
    inputs = {"images": np.zeros((2, 60, 100, 4)), "placements": np.array(placements)}
    with pytest.raises(tf.errors.InvalidArgumentError, match="so far apart that none begins in"):
        model.predict_on_batch(inputs)


# Rules of one's own, one image at a time, layers that are opened.


def make_halving():
    class Halving(layers.Layer):
        """Maps each cell on its own, by code that is no operations of Keras."""

        def build(self, shape):
            self.share = self.add_weight(shape=(), initializer="ones", name="share")

        def call(self, x):
            return x * self.share / 2 + 1

    return Halving


def test_a_registered_rule_lets_a_layer_be_converted():
    halving = make_halving()
    model = network(halving(name="mine"), layers.Conv2D(3, 3, padding="same"))
    with pytest.raises(ValueError, match="Layer 'mine' of class Halving has no rule"):
        any_size(model)
    register_rule(halving, conversion.convert_cellwise)
    any_size_cases.randomize(model)
    converted = any_size(model)
    images = any_size_cases.make_images(((9, 12), (14, 7), (8, 8)), channels=4)
    rules = find_entrance(converted).canvas_rules
    assert max(any_size_cases.compare(model, converted, images, rules)) < 1e-5
    # Subclasses need rules of their own.
    with pytest.raises(ValueError, match="Layer 'other' of class Other has no rule"):
        any_size(network(type("Other", (halving,), {})(name="other")))


@pytest.mark.parametrize(
    ("layer_class", "rule", "message"),
    [
        ("Halving", conversion.convert_cellwise, "`layer_class` must be a class of Keras layers"),
        (make_halving()(), conversion.convert_cellwise, "`layer_class` must be a class of Keras"),
        (dict, conversion.convert_cellwise, "`layer_class` must be a class of Keras layers"),
        (make_halving(), "cellwise", "`rule` must be a function. Received: rule='cellwise'"),
    ],
    ids=["a name", "a layer", "another class", "the name of a rule"],
)
def test_wrong_arguments_of_register_rule_are_refused(layer_class, rule, message):
    with pytest.raises(ValueError, match=message):
        register_rule(layer_class, rule)


def test_on_request_a_model_runs_on_one_image_at_a_time():
    model = any_size_cases.randomize(
        network(layers.Conv2DTranspose(4, 3, strides=2), layers.GlobalMaxPooling2D())
    )
    converted = any_size(model, per_image=True)
    images = any_size_cases.make_images(((9, 12), (14, 7), (8, 8)), channels=4)
    rules = find_entrance(converted).canvas_rules
    assert max(any_size_cases.compare(model, converted, images, rules)) == 0


def test_a_model_that_can_be_converted_is_with_per_image_too():
    converted = any_size(network(layers.Conv2D(4, 3)), per_image=True)
    assert [layer.name for layer in converted.layers if "per_image" in layer.name] == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: network(layers.Conv2DTranspose(4, 3)),
        lambda: network(layers.Conv2DTranspose(4, 3), layers.GlobalMaxPooling2D(), size=9),
        lambda: network(layers.Conv2DTranspose(4, 3), lambda x: {"a": ops.max(x, axis=(1, 2))}),
    ],
    ids=["maps", "one size", "a dictionary"],
)
def test_one_image_at_a_time_needs_any_size_and_a_vector(make):
    message = (
        r"`per_image=True` needs a model that takes images of any size.*Conv2DTranspose has no"
    )
    with pytest.raises(ValueError, match=message):
        any_size(make(), per_image=True)


class Residual(layers.Layer):
    """A layer of layers, as of a library."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Conv2D(4, 3, strides=2, padding="same")
        self.norm = layers.BatchNormalization()
        self.second = layers.DepthwiseConv2D(3, padding="same")
        self.shortcut = layers.Conv2D(4, 1, strides=2)

    def build(self, shape):
        for layer in (self.first, self.norm, self.second, self.shortcut):
            layer.build((*shape[:-1], 4))

    def call(self, x, training=None):
        y = self.second(ops.relu(self.norm(self.first(x), training=training)))
        return y + self.shortcut(x)


def test_a_layer_of_layers_is_opened():
    model = any_size_cases.randomize(
        network(Residual(name="one"), Residual(name="two"), layers.GlobalAveragePooling2D())
    )
    converted = any_size(model)
    assert not any(isinstance(layer, Residual) for layer in converted.layers)
    assert all(a is b for a, b in zip(converted.weights, model.weights, strict=True))
    images = any_size_cases.make_images(((19, 22), (24, 17), (18, 18)), channels=4)
    rules = find_entrance(converted).canvas_rules
    assert max(any_size_cases.compare(model, converted, images, rules)) < 1e-5


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore")
def test_a_block_of_keras_hub_is_opened():
    import keras_hub

    backbone = keras_hub.models.EfficientNetBackbone(
        stackwise_width_coefficients=[0.25],
        stackwise_depth_coefficients=[1.0],
        stackwise_kernel_sizes=[3],
        stackwise_num_repeats=[2],
        stackwise_input_filters=[32],
        stackwise_output_filters=[16],
        stackwise_expansion_ratios=[6],
        stackwise_strides=[2],
        stackwise_squeeze_and_excite_ratios=[0.25],
        stackwise_block_types=["unfused"],
        stackwise_force_input_filters=[0],
        stackwise_nores_option=[False],
        image_shape=(None, None, 3),
        stem_conv_padding="same",
        depth_divisor=8,
        min_depth=8,
    )
    block_class = next(layer for layer in backbone.layers if "MBConv" in type(layer).__name__)
    images = keras.Input((None, None, 8))
    config = {**block_class.get_config(), "input_filters": 8, "name": "block"}
    model = keras.Model(images, type(block_class).from_config(config)(images))
    any_size_cases.randomize(model)
    converted = any_size(model)
    assert not any("MBConv" in type(layer).__name__ for layer in converted.layers)
    assert all(a is b for a, b in zip(converted.weights, model.weights, strict=True))
    pictures = any_size_cases.make_images(((19, 22), (24, 17), (18, 18)), channels=8)
    rules = find_entrance(converted).canvas_rules
    assert max(any_size_cases.compare(model, converted, pictures, rules)) < 1e-5
