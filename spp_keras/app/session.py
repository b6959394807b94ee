"""A session of the app: one model, the last images with their feature maps, one request a time."""

import collections
import hashlib
import threading
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import pretrained
from spp_keras.app import box_input, image_decoding
from spp_keras.app.classifier_view import ClassifierView
from spp_keras.app.detector_view import DetectorView
from spp_keras.app.image_result import ImageResult
from spp_keras.run_folder import RunFolder

_CACHE_SIZE = 8
# A feature map has about as many bytes as its image has pixels, at full width.
_MAX_BYTES = 256_000_000


class UnknownImage(LookupError):
    """An image that was never sent, or whose feature map is no longer cached."""


class Session:
    """Predicts images, and caches the feature maps of the last ones for their boxes.

    Args:
        view: A `ClassifierView` or a `DetectorView`.
        cache_size: Number of images in the cache. Defaults to 8.
        max_bytes: Memory that their feature maps may take in all; the last image is always
            kept. Defaults to 256 million.
    """

    def __init__(
        self,
        view: ClassifierView | DetectorView,
        cache_size: int = _CACHE_SIZE,
        max_bytes: int = _MAX_BYTES,
    ):
        self.view, self._cache_size, self._max_bytes = view, cache_size, max_bytes
        self._cache: collections.OrderedDict[str, ImageResult] = collections.OrderedDict()
        # One prediction keeps all cores busy; two at once would both be late.
        self._lock = threading.Lock()

    def describe_model(self) -> dict[str, Any]:
        """The model's name, number of classes and kind."""
        return {
            "name": self.view.name,
            "num_classes": len(self.view.labels),
            "is_detector": isinstance(self.view, DetectorView),
            "score_threshold": self.view.score_threshold,
            "orientation": self.view.orientation,
        }

    def predict(self, image: bytes) -> dict[str, Any]:
        """Results for an image, which is cached under their `id`.

        Args:
            image: Bytes of a file. `UnusableImage` is raised if they are no image.
        """
        image_id = hashlib.sha256(image).hexdigest()[:32]
        with self._lock:
            result = self.view.predict(image)
            self._add_to_cache(image_id, result)
        (height, width), decoded_size = result.size, result.decoded_size
        decoded = {"height": decoded_size[0], "width": decoded_size[1]}
        sizes = {"height": height, "width": width, "decoded": decoded}
        return {"id": image_id, **sizes, **result.values}

    def predict_box(self, image_id: str, box: Any) -> dict[str, Any]:
        """Results for a box, from the cached feature maps of its image.

        Args:
            image_id: The image's `id`. `UnknownImage` is raised if it is not cached.
            box: A dictionary of left, top, right and bottom, in pixels of the image.
        """
        with self._lock:
            result = self.get_result(image_id)
            edges = box_input.check_box(box, result.size)
            self._cache.move_to_end(image_id)
            values = self.view.predict_box(result, edges)
        return {"box": dict(zip(box_input.EDGES, edges, strict=True)), **values}

    def get_result(self, image_id: str) -> ImageResult:
        """The cached result for an image.

        Args:
            image_id: The image's `id`. `UnknownImage` is raised if it is not cached.
        """
        if image_id not in self._cache:
            raise UnknownImage("This image is no longer cached; send it again.")
        return self._cache[image_id]

    def clear(self) -> None:
        """Removes all images from the cache."""
        with self._lock:
            self._cache.clear()

    def _add_to_cache(self, image_id: str, result: ImageResult) -> None:
        self._cache.pop(image_id, None)
        self._cache[image_id] = result
        while len(self._cache) > 1 and (
            len(self._cache) > self._cache_size
            or sum(cached.bytes for cached in self._cache.values()) > self._max_bytes
        ):
            self._cache.popitem(last=False)


def load_session(
    run: str | Path | RunFolder, max_pixels: int = image_decoding.MAX_PIXELS
) -> Session:
    """Loads the model of a run for the app.

    Args:
        run: The run, or its folder, of a network with a pyramid or of a detector.
        max_pixels: Pixels that an image may have. Defaults to
            `image_decoding.MAX_PIXELS`.
    """
    run = run if isinstance(run, RunFolder) else RunFolder(pretrained.find_run(run))
    view: ClassifierView | DetectorView
    view = DetectorView(run, max_pixels) if run.is_detector else ClassifierView(run, max_pixels)
    # Graphs are traced when they are first called: not while a user waits for an image.
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), "uint8")
    result = view.predict(tf.io.encode_png(pixels).numpy())
    view.predict_box(result, (0.0, 0.0, 96.0, 64.0))
    return Session(view)
