"""Outputs of layers are those of each image alone, whatever form the batch has."""

import any_size_cases as cases
import keras
import numpy as np
import pytest
import small_networks
import tensorflow as tf

import spp_keras
from spp_keras import zoo
from spp_keras.models.graph_run import find_canvas_rules

SIZES = [(64, 96), (96, 64), (64, 64), (96, 32)]


def make_batch(form, images, rules):
    """A batch, and the order of the images in it."""
    order = range(len(images))
    padded = cases.pad(images)
    if form == "ragged":
        return tf.ragged.stack([tf.constant(image) for image in images]), order
    if form == "padded":
        return padded, order
    if form == "list":
        return [padded["images"], padded["sizes"]], order
    return cases.pack(images, rules)


def to_arrays(maps):
    if isinstance(maps, tf.RaggedTensor):
        return [x.to_tensor().numpy() for x in maps]
    return list(np.asarray(maps))


@pytest.fixture(scope="module")
def every_rule():
    original = cases.randomize(small_networks.every_rule())
    return original, spp_keras.any_size(original)


def list_layers(model):
    return [x.name for x in model.layers if not isinstance(x, keras.layers.InputLayer)]


def compare(original, names, found, images):
    outputs = [original.get_layer(name).output for name in names]
    alone = tf.function(keras.Model(original.input, outputs), reduce_retracing=True)
    found = {name: to_arrays(found[name]) for name in names}
    for number, image in enumerate(images):
        for name, expected in zip(names, alone(image[np.newaxis]), strict=True):
            output, expected = found[name][number], np.asarray(expected)[0]
            assert output.shape == expected.shape, name
            np.testing.assert_allclose(output, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    "form",
    [
        "packed",
        # The same network is traced again.
        *(
            pytest.param(form, marks=pytest.mark.integration)
            for form in ("ragged", "padded", "list")
        ),
    ],
)
def test_every_layer_gives_each_image_what_it_gets_alone(every_rule, form):
    original, converted = every_rule
    names, images = list_layers(original), cases.make_images(SIZES)
    batch, order = make_batch(form, images, find_canvas_rules(converted))
    found = spp_keras.features(converted, names)(batch)
    assert list(found) == names
    compare(original, names, found, [images[i] for i in order])


def test_the_same_function_takes_other_sizes_and_other_weights():
    model = zoo.zf5_spp(classes=3, width=0.02)
    names = ["conv3", "fc6"]
    extract = spp_keras.features(model, names)
    for seed, sizes in enumerate([SIZES, [(64, 64)] * 2, [(32, 64), (64, 32)]]):
        cases.randomize(model, seed)
        images = cases.make_images(sizes, seed=seed, pixels=True)
        found = extract(tf.ragged.stack([tf.constant(image) for image in images]))
        compare(model, names, found, images)


def test_maps_of_different_sizes_are_ragged_and_of_one_size_dense():
    model = zoo.zf5_spp(classes=3, width=0.02)
    extract = spp_keras.features(model, "conv5")
    padded = np.zeros((2, 120, 120, 3), "float32")
    mixed = extract({"images": padded, "sizes": np.array([[120, 90], [64, 96]])})
    assert isinstance(mixed, tf.RaggedTensor)
    assert mixed.shape.as_list() == [2, None, None, model.get_layer("conv5").filters]
    assert [x.to_tensor().shape[:2] for x in mixed] == [(6, 4), (3, 5)]
    equal = extract({"images": padded, "sizes": np.array([[90, 90], [91, 91]])})
    assert tuple(equal.shape)[:3] == (2, 4, 4)
    assert tuple(extract(padded).shape)[:3] == (2, 6, 6)


def test_vectors_of_a_pyramid_are_those_of_its_images_alone():
    model = zoo.zf5_spp(classes=3, width=0.02)
    images = cases.make_images(((97, 130), (70, 75), (75, 60)), pixels=True)
    ragged = tf.ragged.stack([tf.constant(image) for image in images])
    vectors = spp_keras.features(model, "spp")(ragged)
    for vector, image in zip(vectors, images, strict=True):
        alone = keras.Model(model.input, model.get_layer("spp").output)(image[np.newaxis])
        np.testing.assert_allclose(vector, alone[0], rtol=1e-5, atol=1e-4)


def test_layers_run_in_inference_mode():
    images = keras.Input((None, None, 3))
    x = keras.layers.Dropout(0.9)(keras.layers.Conv2D(4, 1, name="conv")(images))
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = spp_keras.any_size(keras.Model(images, pooled))
    found = spp_keras.features(model, ["conv", "dropout"])(np.ones((1, 5, 6, 3), "float32"))
    np.testing.assert_array_equal(found["conv"], found["dropout"])


@pytest.mark.parametrize("layers", ["conv9", ["conv5", "mixed_sizes"], "images"])
def test_a_layer_without_an_output_is_refused(layers):
    model = zoo.zf5_spp(classes=3, width=0.02)
    with pytest.raises(ValueError, match=r"`layers` must be names of layers.*conv5.*Received: '"):
        spp_keras.features(model, layers)


def test_a_network_for_one_size_takes_this_size():
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.Conv2D(1, 1, name="conv")(images))
    extract, batch = spp_keras.features(model, "conv"), np.ones((2, 8, 8, 3), "float32")
    np.testing.assert_allclose(extract(batch), model(batch), rtol=1e-6)
    with pytest.raises(ValueError, match="it does not mix sizes"):
        extract({"images": batch, "sizes": np.array([[8, 8], [4, 4]])})


@pytest.mark.integration
@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetB0"])
def test_layers_of_known_networks_give_each_image_what_it_gets_alone(name):
    original = getattr(keras.applications, name)(
        input_shape=(None, None, 3), include_top=False, weights=None
    )
    cases.randomize(original)
    converted = spp_keras.any_size(original)
    maps = [x for x in list_layers(original) if len(original.get_layer(x).output.shape) == 4]
    names, images = [*maps[::7], maps[-1]], cases.make_images(pixels=True)
    found = spp_keras.features(converted, names)(cases.pad(images))
    compare(original, names, found, images)
