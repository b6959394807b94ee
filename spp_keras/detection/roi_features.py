"""Features of RoIs, pooled from cached feature maps."""

from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras.detection.feature_cache import FeatureMapCache


class RoIFeatures:
    """Pooled feature vectors of the RoIs of training images.

    Args:
        cache: Feature maps of the images.

    Attributes:
        images: The images.
        vector_length: Length of the vectors.
    """

    def __init__(self, cache: FeatureMapCache):
        self.images, self.vector_length = cache.images, cache.detector.vector_length
        self._cache = cache

        @tf.function(
            input_signature=[
                cache.tensor_specs(),
                tf.TensorSpec((None, 4)),
                tf.TensorSpec((2,), tf.int32),
            ],
            autograph=False,
        )
        def pool(feature_maps: Any, rois: Any, image_size: Any) -> Any:
            vectors, rows = cache.detector.pool_rois(feature_maps, rois, image_size)
            return tf.cast(tf.gather(vectors, rows), tf.float32)

        self._pool = pool

    def __len__(self) -> int:
        return len(self.images)

    def __call__(self, index: int, roi_indices: np.ndarray | None = None) -> np.ndarray:
        """Features `(n, vector_length)` of RoIs of an image.

        Args:
            index: Index of the image.
            roi_indices: Indices of its RoIs. Defaults to `None`, all of them.
        """
        image = self.images[index]
        rois = image.rois if roi_indices is None else image.rois[roi_indices]
        vectors = self._pool(self._cache[index], rois, np.array(image.size, "int32")).numpy()
        return check_finite(vectors, image.id)


def check_finite(features: np.ndarray, image_id: str) -> np.ndarray:
    """The features; raises a `ValueError` that names the image if they are not finite."""
    if not np.isfinite(features).all():
        raise ValueError(
            f"The features of the image {image_id!r} are not finite: the weights of the "
            "network or of its head are broken."
        )
    return features
