"""A cache on disk of the feature maps of images, which are computed once and trained on often."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _cache, _files, _progress
from spp_keras.detection.detector import Detector
from spp_keras.detection.training_images import TrainingImages


class FeatureMapCache:
    """The feature maps of images, in half precision, as files of a folder.

    A file's name depends on the content of the image, and on the trunk's weights and
    the scales: feature maps of other images or weights are never used.

    Args:
        detector: The detector whose trunk computes the feature maps.
        images: The images.
        folder: Folder of the files.
    """

    def __init__(self, detector: Detector, images: TrainingImages, folder: str | Path):
        self.detector, self.images = detector, images
        _check_weights(detector)
        self._cache = _cache.ArrayCache(Path(folder) / make_cache_key(detector))
        self._keys: dict[int, str] = {}
        self._compute_feature_maps = tf.function(
            detector.compute_feature_maps, [tf.TensorSpec((None, None, 3))], autograph=False
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> list[np.ndarray]:
        """The feature maps of an image, float32, one for each scale."""
        arrays = self._cache.load(self._key(index))
        if arrays is None:
            arrays = self._compute(index)
        return [arrays[name].astype("float32") for name in sorted(arrays, key=int)]

    @property
    def folder(self) -> Path:
        """Folder of the files of this trunk and these scales."""
        return self._cache.folder

    def path(self, index: int) -> Path:
        """Path of the file of an image, there or not."""
        return self._cache.path(self._key(index))

    def tensor_specs(self) -> list[tf.TensorSpec]:
        """Specifications of an image's feature maps, for `tf.function`."""
        return [tf.TensorSpec((1, None, None, None))] * len(self.detector.scales)

    def fill(self, progress: bool = True) -> None:
        """Computes all feature maps that are missing.

        Args:
            progress: Whether to show a progress bar. Defaults to `True`.
        """
        missing = [index for index in range(len(self)) if not self.path(index).exists()]
        _files.check_free_space(
            self.folder,
            sum(self.estimate_bytes(index) for index in missing),
            "Free some space, name another folder, or take fewer scales.",
        )
        for index in _progress.create_bar(missing, "Convolving", disable=not progress):
            self._compute(index)

    def estimate_bytes(self, index: int) -> int:
        """Size of the file of an image."""
        detector, size = self.detector, self.images[index].size
        cells = 0
        for scale in detector.scales:
            rows, columns = detector.grid.map_size(detector.scale_image_size(size, scale))
            cells += int(rows) * int(columns)
        return 2 * cells * detector.trunk.output_shape[-1] + 1000

    def _compute(self, index: int) -> dict[str, np.ndarray]:
        pixels = self.images.read_pixels(index).astype("float32")
        feature_maps = [array.numpy() for array in self._compute_feature_maps(pixels)]
        with np.errstate(over="ignore"):
            arrays = {str(i): array.astype("float16") for i, array in enumerate(feature_maps)}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError(
                f"The feature maps of the image {self.images[index].id!r} are not finite in half "
                "precision: the network's weights are broken, or its values exceed 65504."
            )
        self._cache.save(self._key(index), arrays)
        return arrays

    def _key(self, index: int) -> str:
        if index not in self._keys:
            self._keys[index] = _cache.make_key(self.images.digest_content(index))
        return self._keys[index]


def make_cache_key(detector: Detector) -> str:
    """Digest of all that feature maps depend on besides the image: trunk, weights and scales."""
    return _cache.make_key(
        tf.__version__,
        keras.__version__,
        detector.scales,
        [
            (type(layer).__name__, layer.count_params(), layer.compute_dtype)
            for layer in detector.trunk.layers
        ],
        *(keras.ops.convert_to_numpy(weight).tobytes() for weight in detector.trunk.weights),
    )


def _check_weights(detector: Detector) -> None:
    # ReLU makes zeros of NaN, so that broken weights would go unnoticed.
    for weight in detector.trunk.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise ValueError(
                "`detector` must have finite weights: take the network of an earlier epoch. "
                f"Received: others in {weight.path!r}."
            )
