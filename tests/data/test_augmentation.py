import keras
import numpy as np
import pytest
import tensorflow as tf
from photographs import photograph

from spp_keras.data import augmentation

LAYERS = {
    "flip": lambda: keras.layers.RandomFlip("horizontal_and_vertical"),
    "brightness": lambda: keras.layers.RandomBrightness(0.4),
    "rotation": lambda: keras.layers.RandomRotation(0.2),
    "zoom": lambda: keras.layers.RandomZoom(0.3),
    "jitter": lambda: keras.layers.RandomColorJitter(
        brightness_factor=0.3, contrast_factor=0.3, saturation_factor=0.3
    ),
    "erasing": lambda: keras.layers.RandomErasing(1.0),
    "rand_augment": lambda: keras.layers.RandAugment(),
    "noise": lambda: keras.layers.GaussianNoise(1.0),
}


def augment(layer, seeds, image):
    """The image by each seed, in one graph, as the pipeline does it."""
    dataset = tf.data.Dataset.from_tensor_slices(np.array(seeds, "int32")).map(
        lambda seed: augmentation.augment_image(tf.constant(image), [layer], seed)
    )
    return np.stack(list(dataset.as_numpy_iterator()))


@pytest.mark.parametrize("name", LAYERS)
def test_what_a_layer_draws_depends_on_the_seed_alone(name):
    image, seeds = photograph(40, 52), [(3, index) for index in range(12)]
    first = augment(LAYERS[name](), seeds, image)
    assert first.dtype == np.uint8
    assert first.shape == (12, 40, 52, 3)
    # Another layer object, another order, and a layer that has drawn before.
    layer = LAYERS[name]()
    for _ in range(2):
        again = augment(layer, seeds[::-1], image)[::-1]
        np.testing.assert_array_equal(again, first)
    assert len(np.unique(first.reshape(12, -1), axis=0)) > 1


def test_layers_apply_one_after_the_other_by_their_own_numbers():
    image = tf.constant(photograph(30, 30))
    layers = [keras.layers.RandomBrightness(0.5) for _ in range(2)]
    both = augmentation.augment_image(image, layers, [1, 2])
    first = augmentation.augment_image(image, layers[:1], [1, 2])
    assert len({int(np.mean(x)) for x in (image, first, both)}) == 3


def test_a_layer_draws_by_its_own_seed_again_afterwards():
    layer = keras.layers.RandomBrightness(0.5, seed=3)
    same = keras.layers.RandomBrightness(0.5, seed=3)
    image = photograph(20, 20).astype("float32")
    augmentation.augment_image(tf.constant(photograph(20, 20)), [layer], [1, 2])
    np.testing.assert_array_equal(layer(image), same(image))


def test_values_are_rounded_and_clipped():
    image = tf.constant([[[0, 100, 250]]], tf.uint8)
    scale = keras.layers.Rescaling(1.5, offset=0.2)
    assert augmentation.augment_image(image, [scale], [0, 0]).numpy().tolist() == [[[0, 150, 255]]]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.RandomCrop(20, 20), "keep the size of an image; .*a RandomCrop"),
        (keras.layers.Resizing(20, 20), "keep the size of an image; .*a Resizing"),
        (keras.layers.MixUp(), "change one image each; MixUp mixes those of a batch"),
        ("flip", "`augment` must be a list of Keras layers"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        augmentation.check_layers([layer])
