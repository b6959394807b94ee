"""Known networks with random weights: each image of a batch is answered as if it were alone.

*Alone* is the original graph with the input size `None`, on one image.
"""

from functools import partial

import any_size_cases as cases
import keras
import network_families as families
import numpy as np
import pytest
from tiers import mark_rest

from spp_keras import any_size
from spp_keras.layers import SpatialPyramidPooling
from spp_keras.models.graph_run import find_entrance, min_image_size

SMALL_SIZES = ((65, 94), (94, 65), (71, 71), (40, 85))
TOPS = ("MobileNet", "MobileNetV2", "DenseNet121", "ResNet50", "EfficientNetB0", "InceptionV3")


@pytest.mark.parametrize("name", sorted(set(families.SMALL) - {"small ConvNeXt"}))
def test_small_families(name):
    check(families.SMALL[name](), SMALL_SIZES)


@pytest.mark.integration
@pytest.mark.parametrize(
    "name", mark_rest(families.APPLICATIONS, "MobileNetV3Large", "ResNet50V2", "EfficientNetV2B0")
)
def test_families_of_keras_applications(name):
    check(families.build_application(name), cases.SIZES, side=128)


@pytest.mark.integration
@pytest.mark.exhaustive
def test_nasnet_runs_at_the_sizes_of_its_own_graph():
    """It crops by the size that it is built for."""
    sizes = ((97, 129), (130, 98), (99, 99), (68, 100))

    converted = check(families.build_nasnet(), sizes, side=97)

    with pytest.raises(Exception, match=r"height for which layer '.*add.*' gets maps of one size"):
        converted(np.zeros((1, 101, 97, 3), "float32"))


@pytest.mark.integration
def test_nasnet_of_no_size_is_refused_by_the_name_of_a_layer():
    """Keras cannot crop by a size that it does not know: this graph runs at none."""
    with pytest.raises(ValueError, match=r"'.*add.*' merges maps of different strides"):
        any_size(families.build_application("NASNetMobile"))


def test_a_classifier_with_global_pooling():
    check_classifier(families.build_application("MobileNet", 64, **top(alpha=0.25)), SMALL_SIZES)


@pytest.mark.integration
@pytest.mark.parametrize("name", mark_rest(TOPS, "EfficientNetB0"))
def test_classifiers_with_global_pooling(name):
    check_classifier(families.build_application(name, 96, **top()), cases.SIZES)


@pytest.mark.integration
def test_a_classifier_that_flattens():
    """VGG's first dense layer gets 3 x 3 bins of the pyramid where it had 3 x 3 cells."""
    model = cases.randomize(families.build_application("VGG16", 96, **top()))
    converted = any_size(model)
    images = cases.make_images(((96, 96), *cases.SIZES))
    trunk = families.build_application("VGG16")
    trunk.set_weights(model.get_weights()[: len(trunk.weights)])

    def classify(image):
        maps = trunk(image)
        x = SpatialPyramidPooling([(3, 3)])(maps) if maps.shape[1:3] != (3, 3) else maps
        for layer in model.layers[model.layers.index(model.get_layer("flatten")) :]:
            x = layer(x)
        return x

    np.testing.assert_array_equal(converted(images[0][np.newaxis]), model(images[0][np.newaxis]))
    rules = find_entrance(converted).canvas_rules
    assert max(cases.compare(classify, converted, images, rules)) < 1e-5


def test_gradients_are_sums_of_those_of_images_alone(double_precision):
    check_gradients(families.SMALL["small EfficientNet"]())


@pytest.mark.integration
@pytest.mark.parametrize("name", ["VGG16", "DenseNet121", "EfficientNetV2B0"])
def test_gradients_of_families(name, double_precision):
    check_gradients(families.build_application(name))


@pytest.mark.integration
@pytest.mark.exhaustive
def test_gradients_of_convnext(double_precision):
    check_gradients(families.SMALL["small ConvNeXt"]())


@pytest.mark.parametrize("name", ["small Xception"])
def test_training_statistics_are_those_of_a_dense_batch(name, double_precision):
    check_training(families.SMALL[name]())


@pytest.mark.integration
@pytest.mark.parametrize(
    "name",
    mark_rest(
        ["MobileNetV3Small", "small EfficientNet", "ResNet50V2", "DenseNet121"], "MobileNetV3Small"
    ),
)
def test_training_statistics_of_families(name, double_precision):
    build = families.SMALL.get(name) or partial(families.build_application, name)
    check_training(build())


@pytest.fixture
def double_precision():
    """Rounding grows in backward passes: differences then are rounding, or they are faults."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


def top(**settings):
    return {"include_top": True, "classes": 10, "classifier_activation": None, **settings}


def check(original, sizes, side=64):
    cases.randomize(original, side=side)
    converted = any_size(original)
    images = cases.make_images(sizes, pixels=cases.takes_pixels(original))
    least = min_image_size(converted)
    assert all(min(size) >= least for size in sizes)

    assert (
        max(cases.compare(original, converted, images, find_entrance(converted).canvas_rules))
        < 1e-5
    )

    dense = images[0][np.newaxis]
    np.testing.assert_array_equal(converted(dense), original(dense))
    return converted


def check_classifier(built, sizes):
    """A classifier that was built for one size, beside the same graph for every size."""
    inputs = keras.Input((None, None, 3))
    original = keras.models.clone_model(built, input_tensors=inputs)
    cases.randomize(built)
    original.set_weights(built.get_weights())
    for layer in original.layers:
        if isinstance(layer, keras.layers.Normalization):
            # Keras computes its constants when it is adapted or loaded alone.
            layer.finalize_state()
    converted = any_size(built)
    pixels = cases.takes_pixels(built)
    images = cases.make_images(sizes, pixels=pixels)

    assert (
        max(cases.compare(original, converted, images, find_entrance(converted).canvas_rules))
        < 1e-5
    )

    old_size = np.stack(cases.make_images([built.input_shape[1:3]] * 2, pixels=pixels))
    np.testing.assert_array_equal(converted(old_size), built(old_size))


def check_gradients(original):
    cases.randomize(original)
    converted = any_size(original)
    images = cases.make_images(SMALL_SIZES, pixels=cases.takes_pixels(original))
    rules = find_entrance(converted).canvas_rules

    assert max(cases.compare_gradients(original, converted, images, rules)) < 1e-6


def check_training(original):
    cases.randomize(original)
    converted = any_size(original)
    images = cases.make_images([(65, 94)] * 4, pixels=cases.takes_pixels(original))
    rules = find_entrance(converted).canvas_rules

    assert max(cases.compare_training(original, converted, images, rules)) < 1e-6
