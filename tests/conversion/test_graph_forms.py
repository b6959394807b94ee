"""Every form of a Keras graph: shared layers, models in models, several outputs."""

import any_size_cases
import keras
import numpy as np
import pytest
from keras import layers

from spp_keras import any_size
from spp_keras.models.graph_run import find_entrance


def images_of(size=None, **options):
    return keras.Input((size, size, 3), **options)


def shared_layers():
    """Each layer is called on two branches, whose maps have different sizes."""
    images = images_of()
    conv = layers.Conv2D(4, 3, padding="same", name="conv")
    norm = layers.BatchNormalization(name="norm")
    drop = layers.SpatialDropout2D(0.2, name="drop")
    pool = layers.GlobalAveragePooling2D(name="pool")
    x = layers.Conv2D(4, 1)(images)
    one = norm(conv(x))
    two = norm(conv(layers.MaxPooling2D(3, 2, padding="same")(one)))
    return keras.Model(images, layers.Concatenate()([pool(drop(one)), pool(drop(two))]))


def shared_flatten():
    images, flatten = images_of(16), layers.Flatten(name="flatten")
    x = layers.Conv2D(4, 3, strides=2, padding="same")(images)
    two = layers.MaxPooling2D()(x)
    return keras.Model(images, layers.Dense(2)(layers.Concatenate()([flatten(x), flatten(two)])))


def block(**options):
    images = keras.Input((None, None, 4))
    x = layers.Conv2D(4, 3, padding="same", strides=2, name="conv")(images)
    return keras.Model(images, layers.BatchNormalization(name="norm")(x), **options)


def nested_in_inference_mode():
    images = images_of()
    x = block(name="first")(layers.Conv2D(4, 1)(images), training=False)
    return keras.Model(images, layers.GlobalAveragePooling2D()(block(name="second")(x)))


def nested_twice():
    images, shared = images_of(), block(name="block")
    x = shared(shared(layers.Conv2D(4, 1)(images)))
    return keras.Model(images, layers.Dense(2)(layers.GlobalMaxPooling2D()(x)))


def nested_in_nested():
    inner = keras.Input((None, None, 4))
    outer = keras.Model(inner, block(name="deep")(block(name="deeper")(inner)), name="outer")
    images = images_of()
    return keras.Model(images, layers.GlobalMaxPooling2D()(outer(layers.Conv2D(4, 1)(images))))


def nested_with_two_outputs():
    inputs = keras.Input((None, None, 4))
    outputs = [layers.Conv2D(4, 3)(inputs), layers.GlobalMaxPooling2D()(inputs)]
    images = images_of()
    maps, vectors = keras.Model(inputs, outputs)(layers.Conv2D(4, 1)(images))
    return keras.Model(images, layers.Concatenate()([layers.GlobalMaxPooling2D()(maps), vectors]))


def nested_without_a_size_before_flatten():
    """The size of the map is known outside of the nested model alone."""
    images = images_of(16)
    backbone = keras.Sequential([images_of(), layers.Conv2D(4, 3)])
    return keras.Model(images, layers.Dense(2)(layers.Flatten()(backbone(images))))


def nested_flatten_without_a_size():
    images = images_of(16)
    top = keras.Sequential([keras.Input((14, 14, 4)), layers.Flatten(), layers.Dense(2)])
    return keras.Model(images, top(layers.Conv2D(4, 3)(images)))


def sequential():
    convolution = layers.Conv2D(4, 3, strides=2, padding="same")
    return keras.Sequential([images_of(), convolution, layers.GlobalMaxPooling2D()])


def nested_sequential():
    inner = keras.Sequential([layers.Conv2D(4, 3), layers.ReLU()])
    trunk = keras.Sequential([layers.Conv2D(4, 3, strides=2, padding="same"), inner])
    head = keras.Sequential([layers.Dense(3), layers.Dense(2)])
    return keras.Sequential([images_of(), trunk, layers.GlobalMaxPooling2D(), head])


def head_called_twice():
    vectors = keras.Input((4,))
    head = keras.Model(vectors, layers.Dense(2)(vectors), name="head")
    images = images_of()
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3)(images))
    return keras.Model(images, layers.Add()([head(x), head(layers.ReLU()(x))]))


def list_of_outputs():
    images = images_of()
    x = layers.Conv2D(4, 3, strides=2, padding="same")(images)
    return keras.Model(images, [x, layers.GlobalMaxPooling2D()(x)])


def dictionary_of_outputs():
    """In another order than that of the alphabet."""
    images = images_of()
    x = layers.Conv2D(4, 3, strides=2, padding="same")(images)
    return keras.Model(images, {"maps": x, "again": [layers.GlobalMaxPooling2D()(x)]})


def images_among_the_outputs():
    images = images_of()
    return keras.Model(images, [images, layers.GlobalMaxPooling2D()(images)])


def operations():
    images = images_of()
    x = layers.Conv2D(4, 3, padding="same")(images)
    x = keras.ops.relu6(x + 3.0) / 6.0 * x
    return keras.Model(images, keras.ops.mean(x, axis=(1, 2)) * 2.0)


def names_of_helpers():
    """A layer and an input that have names of what a conversion puts in."""
    images = images_of(name="images")
    x = layers.Conv2D(4, 3, padding="same", name="cell_placements")(images)
    x = layers.Conv2D(4, 3, padding="same", name="mask_before_cell_placements")(x)
    return keras.Model(images, layers.GlobalMaxPooling2D(name="image_maps")(x))


FORMS = {
    make.__name__: make
    for make in (
        shared_layers,
        shared_flatten,
        nested_in_inference_mode,
        nested_twice,
        nested_in_nested,
        nested_with_two_outputs,
        nested_without_a_size_before_flatten,
        nested_flatten_without_a_size,
        sequential,
        nested_sequential,
        head_called_twice,
        list_of_outputs,
        dictionary_of_outputs,
        images_among_the_outputs,
        operations,
        names_of_helpers,
    )
}


# The others are in the integration tier.
QUICK = ("shared_layers", "nested_in_nested", "nested_sequential", "dictionary_of_outputs")


@pytest.mark.parametrize(
    "form",
    [pytest.param(x, marks=() if x in QUICK else pytest.mark.integration) for x in FORMS],
)
def test_every_form_of_a_graph_answers_as_alone_and_keeps_its_layers(form, tmp_path):
    original = any_size_cases.randomize(FORMS[form](), side=16)
    model = any_size(original)
    sizes = [(16, 16)] * 2 if original.inputs[0].shape[1] else [(17, 22), (31, 19)]
    images = any_size_cases.make_images(sizes)
    rules = find_entrance(model).canvas_rules
    assert max(any_size_cases.compare(original, model, images, rules)) < 1e-5
    for image in images:
        alone, converted = original(image[None]), model(image[None])
        keras.tree.assert_same_structure(alone, converted)
        for mine, other in zip(
            keras.tree.flatten(converted), keras.tree.flatten(alone), strict=True
        ):
            if not original.inputs[0].shape[1]:
                np.testing.assert_array_equal(np.asarray(mine), np.asarray(other))
    names = {layer.name for layer in model.layers}
    kept = [
        layer.name
        for layer in original.layers
        if not isinstance(layer, keras.Model | keras.layers.InputLayer)
    ]
    assert names.issuperset(kept)
    model.save(tmp_path / "any.keras")
    again = keras.models.load_model(tmp_path / "any.keras")
    assert max(any_size_cases.compare(original, again, images, rules)) < 1e-5


@pytest.mark.integration
@pytest.mark.parametrize("training", [None, False, True])
@pytest.mark.parametrize("recorded", [None, False, True])
def test_training_reaches_the_layers_of_a_nested_model_as_in_keras(recorded, training):
    """What the call of a model asks for goes before what was recorded, as in Keras."""
    images = images_of()
    x = block(name="block")(layers.Conv2D(4, 1)(images), training=recorded)
    original = any_size_cases.randomize(keras.Model(images, layers.GlobalMaxPooling2D()(x)))
    batch = np.stack(any_size_cases.make_images([(12, 9)] * 3))
    before = original.get_weights()
    expected = np.asarray(original(batch, training=training))
    after = original.get_weights()
    moves = training or (training is None and recorded)
    assert any((a != b).any() for a, b in zip(before, after, strict=True)) == bool(moves)
    original.set_weights(before)
    model = any_size(original)
    for inputs in (batch, {"images": batch, "sizes": np.full((3, 2), (12, 9))}):
        np.testing.assert_allclose(
            np.asarray(model(inputs, training=training)), expected, rtol=1e-4, atol=1e-5
        )
        for mine, other in zip(model.get_weights(), after, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
        original.set_weights(before)
