"""What a network makes of images, kept on disk: convolved once, learned from many times."""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tqdm

from spp_keras import _files
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
        self.folder = Path(folder) / cache_key(detector)
        self._paths: dict[int, Path] = {}
        self._encode = tf.function(
            detector.encode,
            [tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4))],
            autograph=False,
        )

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, number: int) -> list[np.ndarray]:
        """The maps of an example, float32."""
        path = self._path(number)
        if not path.exists():
            self._make(number)
        with np.load(path, allow_pickle=False) as stored:
            return [stored[name].astype("float32") for name in sorted(stored.files, key=int)]

    def specification(self) -> list[tf.TensorSpec]:
        """What `__getitem__` gives, for a graph."""
        if self.detector.encodes_windows:
            return [tf.TensorSpec((None, None))]
        return [tf.TensorSpec((1, None, None, None))] * len(self.detector.scales)

    def make(self, progress: bool = True) -> None:
        """Makes all that are missing, with a bar on standard error.

        A killed run goes on where it was. Says before it starts if the disk is too small.
        """
        missing = [number for number in range(len(self)) if not self._path(number).exists()]
        self._check_space(missing)
        for number in tqdm.tqdm(
            missing,
            desc="Convolving",
            unit=" images",
            delay=1.0,
            disable=not progress,
            file=sys.stderr,
        ):
            self._make(number)

    def bytes_needed(self, number: int) -> int:
        """Size of the file of an example."""
        example = self.examples[number]
        return 2 * self.detector.numbers_encoded(example.size, len(example.windows)) + 1000

    def _make(self, number: int) -> None:
        example = self.examples[number]
        pixels = self.examples.pixels(number).astype("float32")
        arrays = [one.numpy() for one in self._encode(pixels, example.windows)]
        with np.errstate(over="ignore"):
            arrays = [one.astype("float16") for one in arrays]
        if not all(np.isfinite(one).all() for one in arrays):
            raise ValueError(
                f"The network's maps of the image {example.id!r} are not finite in half "
                "precision: its weights are broken, or scaled beyond 65504."
            )
        with _files.replace_file(self._path(number)) as beside, beside.open("wb") as file:
            np.savez(file, **{str(i): one for i, one in enumerate(arrays)})

    def _path(self, number: int) -> Path:
        if number not in self._paths:
            name = self.examples.content(number)
            if self.detector.encodes_windows:
                windows = np.ascontiguousarray(self.examples[number].windows, "float32")
                name += "-" + hashlib.sha256(windows.tobytes()).hexdigest()[:16]
            self._paths[number] = self.folder / f"{name}.npz"
        return self._paths[number]

    def _check_space(self, missing: list[int]) -> None:
        needed = sum(self.bytes_needed(number) for number in missing)
        above = next(path for path in self.folder.resolve().parents if path.exists())
        free = shutil.disk_usage(above).free
        if needed > free:
            raise OSError(
                f"The maps of {len(missing)} images take {needed / 1e9:,.1f} GB in "
                f"{self.folder}, and {free / 1e9:,.1f} GB are free there: make room, name another "
                "folder, or take fewer scales."
            )


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
    what: dict[str, Any] = {
        "kind": type(detector).__name__,
        "scales": () if detector.encodes_windows else detector.scales,
        "side": detector.side if detector.encodes_windows else None,
        "levels": detector.roi_spp.levels if detector.encodes_windows else None,
        "trunk": [
            (type(layer).__name__, layer.count_params(), layer.compute_dtype)
            for layer in detector.trunk.layers
        ],
        "versions": (tf.__version__, keras.__version__),
    }
    digest = hashlib.sha256(json.dumps(what).encode())
    for weight in detector.trunk.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return digest.hexdigest()[:16]
