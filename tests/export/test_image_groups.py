import numpy as np
import pytest
import tensorflow as tf

from spp_keras.export.tf_serving import image_groups

MAX_PIXELS = 10


@tf.function(input_signature=[tf.TensorSpec((None,), tf.int32)])
def group(pixels):
    """For each image its own pixels, the images of its group and their pixels in all."""

    def describe(members):
        own = tf.gather(pixels, members)
        whole = tf.stack([tf.size(members), tf.reduce_sum(own)])
        rows = tf.concat([own[:, None], tf.tile(whole[None], [tf.size(members), 1])], axis=1)
        return tf.cast(rows, tf.float32)

    return image_groups.map_in_groups(describe, pixels, MAX_PIXELS, 3)


def test_images_of_a_group_are_within_the_budget_or_one():
    pixels = np.random.default_rng(0).integers(1, 14, 60)
    own, count, total = group(tf.constant(pixels, tf.int32)).numpy().T
    np.testing.assert_array_equal(own, pixels)
    assert ((total <= MAX_PIXELS) | (count == 1)).all()
    assert count.max() > 3
    np.testing.assert_array_equal(count[pixels > MAX_PIXELS], 1)


@pytest.mark.parametrize(
    ("pixels", "counts"),
    [
        ([3, 20, 4, 2, 5, 10], [3, 1, 3, 3, 1, 1]),
        ([20, 30], [1, 1]),
        ([5, 5, 1], [2, 1, 2]),
        ([7], [1]),
        ([], []),
    ],
)
def test_smaller_images_come_first_and_results_in_the_order_of_the_images(pixels, counts):
    found = group(tf.constant(pixels, tf.int32)).numpy()
    np.testing.assert_array_equal(found[:, 0], pixels)
    np.testing.assert_array_equal(found[:, 1], counts)
