"""One pass of a model over the windows of all examples."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spp_keras.detection.feature_cache import FeatureMapCache


def make_feature_function(
    maps: FeatureMapCache, model: keras.Model | None = None
) -> Callable[..., np.ndarray]:
    """A function from an example's number to what a model makes of its windows.

    Args:
        maps: Maps of the examples.
        model: From pooled vectors to what is wanted. Defaults to `None`, the
            vectors themselves.

    Returns:
        A function of the number of an example and, if not of all, the numbers of
        the windows; it gives `(n, length)`.
    """

    @tf.function(
        input_signature=[
            maps.specification(),
            tf.TensorSpec((None, 4)),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((2,), tf.int32),
        ],
        autograph=False,
    )
    def features(encoded: Any, windows: Any, which: Any, size: Any) -> Any:
        vectors = maps.detector.vectors(encoded, windows, which, size)
        return vectors if model is None else model(vectors, training=False)

    def of_example(number: int, which: np.ndarray | None = None) -> np.ndarray:
        example = maps.examples[number]
        which = np.arange(len(example.windows)) if which is None else which
        found = features(
            maps[number], example.windows, which.astype("int32"), np.array(example.size, "int32")
        ).numpy()
        if not np.isfinite(found).all():
            raise ValueError(
                f"The features of the image {example.id!r} are not finite: the weights of the "
                "network or of its head are broken."
            )
        return found

    return of_example


def list_unmirrored(maps: FeatureMapCache) -> list[int]:
    """Numbers of the examples that are images as they are."""
    return [number for number in range(len(maps)) if not maps.examples[number].mirrored]
