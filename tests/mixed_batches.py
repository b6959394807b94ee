"""Batches of images of different sizes, and what each must answer."""

import numpy as np


def padded(images, filler=np.nan):
    sizes = np.array([image.shape[:2] for image in images])
    batch = np.full((len(images), *sizes.max(axis=0), 3), filler, "float32")
    for i, image in enumerate(images):
        batch[i, : image.shape[0], : image.shape[1]] = image
    return {"images": batch, "sizes": sizes}


def alone(model, images):
    return np.concatenate([np.asarray(model(image[np.newaxis])) for image in images])


def assert_close(found, expected, tolerance=1e-5):
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
