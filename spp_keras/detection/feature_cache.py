"""What a network makes of images, kept on disk: convolved once, learned from many times."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _cache, _files, _progress
from spp_keras.detection.detector import Detector
from spp_keras.detection.training_images import TrainingImages


class FeatureMapCache:
    """The maps of examples, in half precision, as files of a folder.

    A file is known by what is in the image and by the network's weights and
    scales, so one of another image or of other weights is never taken; what is
    there is not made again.

    Args:
        detector: Whose trunk is used. Of a `RegionDetector` it is the vectors of all
            windows that are kept.
        examples: The examples.
        folder: Where to keep the files.
    """

    def __init__(self, detector: Detector, examples: TrainingImages, folder: str | Path):
        self.detector, self.examples = detector, examples
        _check_weights(detector)
        self._cache = _cache.ArrayCache(Path(folder) / cache_key(detector))
        self._keys: dict[int, str] = {}
        self._encode = tf.function(
            detector.encode,
            [tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4))],
            autograph=False,
        )

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, number: int) -> list[np.ndarray]:
        """The maps of an example, float32."""
        arrays = self._cache.load(self._key(number))
        if arrays is None:
            arrays = self._make(number)
        return [arrays[name].astype("float32") for name in sorted(arrays, key=int)]

    def specification(self) -> list[tf.TensorSpec]:
        """What `__getitem__` gives, for a graph."""
        if self.detector.encodes_windows:
            return [tf.TensorSpec((None, None))]
        return [tf.TensorSpec((1, None, None, None))] * len(self.detector.scales)

    def make(self, progress: bool = True) -> None:
        """Makes all that are missing, with a bar on standard error.

        A killed run goes on where it was. Says before it starts if the disk is too small.
        """
        missing = [number for number in range(len(self)) if not self.path(number).exists()]
        _files.check_free_space(
            self.folder,
            sum(self.bytes_needed(number) for number in missing),
            "Free some space, name another folder, or take fewer scales.",
        )
        for number in _progress.create_bar(missing, "Convolving", disable=not progress):
            self._make(number)

    @property
    def folder(self) -> Path:
        """Folder of the files."""
        return self._cache.folder

    def path(self, number: int) -> Path:
        """Path of the file of an example, there or not."""
        return self._cache.path(self._key(number))

    def bytes_needed(self, number: int) -> int:
        """Size of the file of an example."""
        example = self.examples[number]
        return 2 * self.detector.numbers_encoded(example.size, len(example.windows)) + 1000

    def _make(self, number: int) -> dict[str, np.ndarray]:
        example = self.examples[number]
        pixels = self.examples.pixels(number).astype("float32")
        feature_maps = [array.numpy() for array in self._encode(pixels, example.windows)]
        with np.errstate(over="ignore"):
            arrays = {str(i): array.astype("float16") for i, array in enumerate(feature_maps)}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError(
                f"The network's maps of the image {example.id!r} are not finite in half "
                "precision: its weights are broken, or scaled beyond 65504."
            )
        self._cache.save(self._key(number), arrays)
        return arrays

    def _key(self, number: int) -> str:
        if number not in self._keys:
            windows = b""
            if self.detector.encodes_windows:
                windows = np.asarray(self.examples[number].windows, "float32").tobytes()
            self._keys[number] = _cache.make_key(self.examples.content(number), windows)
        return self._keys[number]


def _check_weights(detector: Detector) -> None:
    # What is no number in a convolution is zero behind its activation, and nobody would see it.
    for weight in detector.trunk.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise ValueError(
                "`detector` must have finite weights: take the network of an earlier epoch. "
                f"Received: others in {weight.path!r}."
            )


def cache_key(detector: Detector) -> str:
    """Names a network's trunk, its weights and scales: equal where all of these are."""
    return _cache.make_key(
        tf.__version__,
        keras.__version__,
        type(detector).__name__,
        None if detector.encodes_windows else detector.scales,
        detector.input_size if detector.encodes_windows else None,
        detector.roi_spp.levels if detector.encodes_windows else None,
        [
            (type(layer).__name__, layer.count_params(), layer.compute_dtype)
            for layer in detector.trunk.layers
        ],
        *(keras.ops.convert_to_numpy(weight).tobytes() for weight in detector.trunk.weights),
    )
