import numpy as np
import pytest
import tensorflow as tf
from image_files import UNUSABLE, USABLE

from spp_keras import data
from spp_keras.data import batch_decoding, image_rules, safe_decoding

POLICY = data.Whole(longest_side=50)
FILES = [
    content
    for pair in zip(list(USABLE.values()), list(UNUSABLE.values()), strict=False)
    for content, *_ in pair
]


@pytest.fixture(scope="module")
def together():
    return tf.function(
        lambda files: batch_decoding.decode_batch(files, POLICY, min_side=2),
        input_signature=[tf.TensorSpec((None,), tf.string)],
    )


@pytest.fixture(scope="module")
def alone():
    return safe_decoding.make_decoder(POLICY, min_side=2)


def test_files_good_and_bad_are_decoded_together_as_each_is_alone(together, alone):
    batch = together(tf.constant(FILES))
    expected = [alone(file) for file in FILES]
    assert batch.codes.numpy().tolist() == [int(image.code) for image in expected]
    assert batch.reasons.numpy().tolist() == [image.reason.numpy() for image in expected]
    assert 0 < np.count_nonzero(batch.codes) < len(FILES)
    for found, size, image in zip(batch.images, batch.sizes, expected, strict=True):
        pixels = tf.io.parse_tensor(found, tf.uint8)
        assert tuple(size.numpy()) == pixels.shape[:2]
        if image.code == image_rules.OK:
            np.testing.assert_array_equal(pixels, image.pixels)


@pytest.mark.parametrize("kind", ["nothing in it", "half a PNG"])
def test_files_may_all_be_bad(kind, together, alone):
    content = UNUSABLE[kind][0]
    batch = together(tf.constant([content] * 2))
    assert batch.codes.numpy().tolist() == [int(alone(content).code)] * 2
    assert batch.sizes.numpy().tolist() == [[1, 1]] * 2


def test_no_files_make_an_empty_batch(together):
    assert together(tf.constant([], tf.string)).images.shape == (0,)
