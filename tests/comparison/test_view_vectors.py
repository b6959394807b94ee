import numpy as np
import pytest
import tensorflow as tf
from color_trunk import make_folder, pool_colors

from spp_keras.comparison.size_forms import make_forms
from spp_keras.comparison.view_vectors import compute_vectors
from spp_keras.data import image_ops, load_records
from spp_keras.evaluation import score_cache


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("colors"))
    return score_cache.ImageChunks(load_records(folder, "train", progress=False))


@pytest.fixture(scope="module")
def forms(images):
    return make_forms(images.records.sizes, 48)


@pytest.mark.parametrize("index", range(3))
def test_vectors_are_those_of_each_view_by_itself(images, forms, index, tmp_path):
    form = forms[index]
    vectors, seconds = compute_vectors(images, form.test, pool_colors, tmp_path, form.name)
    assert vectors.dtype == "float16"
    assert seconds > 0
    for number in (0, 17, 40):
        size = tuple(images.records.sizes[number].tolist())
        (scaled,) = form.test(size, 0)
        left, top, right, bottom = scaled.views[0].window
        pixels = image_ops.decode_resized(images.read(number), size, scaled.size)
        expected = pool_colors(pixels[tf.newaxis, top:bottom, left:right])
        np.testing.assert_allclose(vectors[number], expected, atol=1e-3)


def test_the_first_vector_in_training_is_that_of_the_test(images, forms, tmp_path):
    for form in forms:
        train, _ = compute_vectors(images, form.train, pool_colors, tmp_path, form.name)
        test, _ = compute_vectors(images, form.test, pool_colors, tmp_path, form.name)
        assert train.shape[1] == 4
        np.testing.assert_allclose(train[:, :1], test, atol=1e-3)


def pool_corners(images):
    return np.concatenate([images[:, 0, 0], images[:, 0, -1]], axis=1)


def test_a_mirrored_view_is_pooled_from_mirrored_pixels(images, forms, tmp_path):
    vectors, _ = compute_vectors(images, forms[2].train, pool_corners, tmp_path, "warp")
    assert not np.array_equal(vectors[:, 0, :3], vectors[:, 0, 3:])
    assert np.array_equal(vectors[:, 0, :3], vectors[:, 1, 3:])
    assert np.array_equal(vectors[:, 0, 3:], vectors[:, 1, :3])


def test_a_killed_computation_goes_on(images, forms, tmp_path):
    calls = []

    def pool(pixels):
        calls.append(len(pixels))
        if len(calls) == 40:
            raise KeyboardInterrupt
        return pool_colors(pixels)

    crop = forms[1]
    with pytest.raises(KeyboardInterrupt):
        compute_vectors(images, crop.train, pool, tmp_path, "crop")
    vectors, _ = compute_vectors(images, crop.train, pool, tmp_path, "crop")
    # Two chunks of 16 were kept; one image is pooled each time before those that count.
    assert len(calls) == 40 + 1 + len(images.records) - 2 * 16
    fresh, _ = compute_vectors(images, crop.train, pool_colors, tmp_path / "new", "crop")
    assert np.array_equal(vectors, fresh)
    again, _ = compute_vectors(images, crop.train, None, tmp_path, "crop")
    assert np.array_equal(vectors, again)
