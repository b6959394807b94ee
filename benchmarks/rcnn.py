"""R-CNN, a baseline: each RoI is cropped, warped to one size and convolved by itself.

R-CNN as published also fine-tunes the convolutions, on warped RoIs; here they stay those of the
network, as they do for `spp_keras.detection.Detector`.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _cache, _progress
from spp_keras.detection import evaluation, roi_features
from spp_keras.detection.detections import Detections
from spp_keras.detection.detector import Detector
from spp_keras.detection.rois import prepare_rois
from spp_keras.detection.training_images import TrainingImages

# RoIs that are convolved at once. More are no faster, and each takes as much memory as an image.
_BATCH_SIZE = 64
# Pixels of context on each side of a warped RoI of 224.
_CONTEXT = 16 / 224


class RCNN:
    """R-CNN with the trunk, the pyramid and the head of a detector.

    A RoI is cropped with 16 pixels of context of 224, gray outside the image, and warped to
    the detector's `input_size`; the pyramid then pools the whole feature map.

    Args:
        detector: The detector; its scales are not used.
    """

    def __init__(self, detector: Detector):
        self.detector = detector

    def compute_vectors(self, image: Any, boxes: Any) -> Any:
        """Pooled vectors of the whole image and of each box, `(1 + n, vector_length)`."""
        image_size = tf.shape(image)[:2]
        whole = tf.cast(tf.concat([[0, 0], image_size[::-1]], axis=0), tf.float32)
        boxes = tf.concat([whole[tf.newaxis], tf.cast(boxes, tf.float32)], axis=0)
        count = tf.shape(boxes)[0]
        batches = (count + _BATCH_SIZE - 1) // _BATCH_SIZE
        batch_size = (count + batches - 1) // batches
        boxes = tf.pad(boxes, [[0, batches * batch_size - count], [0, 0]])
        vectors = tf.map_fn(
            lambda batch: self._compute_batch(image, batch),
            tf.reshape(boxes, (batches, batch_size, 4)),
            fn_output_signature=self.detector.roi_spp.compute_dtype,
            # One batch keeps all cores busy.
            parallel_iterations=1,
        )
        return tf.reshape(vectors, (-1, self.detector.vector_length))[:count]

    def detect(self, image: Any, boxes: Any) -> dict[str, Any]:
        """Detects objects in one image, see `Detector.detect`."""
        image_size = tf.shape(image)[:2]
        vectors = self.compute_vectors(tf.cast(image, tf.float32), boxes)
        candidates = self.predict_candidates(vectors, boxes, image_size)
        return self.detector.select_detections(*candidates, image_size)

    def predict_candidates(self, vectors: Any, boxes: Any, image_size: Any) -> Any:
        """Candidates from the vectors of `compute_vectors`, see `Detector.predict_candidates`."""
        rois, valid = prepare_rois(boxes, image_size)
        rows = tf.range(tf.shape(rois)[0])
        return self.detector.score_rois(vectors, rows, rois, valid, image_size)

    def _compute_batch(self, image: Any, boxes: Any) -> Any:
        crops = warp_boxes(image, boxes, self.detector.input_size)
        feature_maps = self.detector.trunk(crops, training=False)
        count, rows, columns, _ = tf.unstack(tf.shape(feature_maps))
        whole = tf.repeat([[0, 0, rows, columns]], count, axis=0)
        return self.detector.roi_spp.pool(feature_maps, whole, tf.range(count))


class RegionFeatures:
    """Vectors of the RoIs of images, cached on disk: for R-CNN what `RoIFeatures` is for SPP.

    Args:
        rcnn: Computes the vectors.
        images: The images.
        folder: Folder of the cache.
    """

    def __init__(self, rcnn: RCNN, images: TrainingImages, folder: str | Path):
        detector = rcnn.detector
        self.rcnn, self.images, self.vector_length = rcnn, images, detector.vector_length
        key = _cache.make_key(
            tf.__version__,
            keras.__version__,
            "R-CNN",
            detector.input_size,
            detector.roi_spp.levels,
            *(keras.ops.convert_to_numpy(weight).tobytes() for weight in detector.trunk.weights),
        )
        self._cache = _cache.ArrayCache(Path(folder) / key)
        self._compute = tf.function(
            rcnn.compute_vectors,
            [tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4))],
            autograph=False,
        )

    def __len__(self) -> int:
        return len(self.images)

    def __call__(self, index: int, roi_indices: np.ndarray | None = None) -> np.ndarray:
        """Vectors of RoIs of an image, see `RoIFeatures`."""
        vectors = self.load(index)[1:]
        return vectors if roi_indices is None else vectors[roi_indices]

    def load(self, index: int) -> np.ndarray:
        """Vectors of the whole image and of all its RoIs."""
        image = self.images[index]
        key = _cache.make_key(self.images.digest_content(index), image.rois.tobytes())
        arrays = self._cache.load(key)
        if arrays is None:
            pixels = self.images.read_pixels(index).astype("float32")
            vectors = self._compute(pixels, image.rois).numpy().astype("float16")
            arrays = {"vectors": roi_features.check_finite(vectors, image.id)}
            self._cache.save(key, arrays)
        return arrays["vectors"].astype("float32")


def detect_images(rcnn: RCNN, features: RegionFeatures, progress: bool = True) -> list[Detections]:
    """Detects objects in every image, see `spp_keras.detection.evaluation`."""
    predict_candidates = tf.function(
        rcnn.predict_candidates,
        [tf.TensorSpec((None, None)), tf.TensorSpec((None, 4)), tf.TensorSpec((2,), tf.int32)],
        autograph=False,
    )
    select_detections = evaluation.make_selection_function(rcnn.detector)
    results = []
    for index in _progress.create_bar(range(len(features)), "Detecting", disable=not progress):
        image = features.images[index]
        size = np.array(image.size, "int32")
        candidates = predict_candidates(features.load(index), image.rois, size)
        results.append(select_detections(*candidates, image.size))
    return results


def warp_boxes(image: Any, boxes: Any, size: int) -> Any:
    """Boxes of an image `(height, width, 3)`, cropped with context: `(n, size, size, 3)`."""
    extents = tf.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    margin = extents * (_CONTEXT / (1 - 2 * _CONTEXT))
    low, high = boxes[:, :2] - margin, boxes[:, 2:] + margin
    # Centers of the outermost pixels, as fractions of the way between those of the image.
    half = (high - low) / (2 * size)
    between = tf.cast(tf.shape(image)[1::-1] - 1, tf.float32)
    low, high = ((edge - 0.5) / tf.maximum(between, 1.0) for edge in (low + half, high - half))
    return tf.image.crop_and_resize(
        image[tf.newaxis],
        tf.concat([low[:, ::-1], high[:, ::-1]], axis=1),
        tf.zeros_like(boxes[:, 0], tf.int32),
        (size, size),
        extrapolation_value=128.0,
    )
