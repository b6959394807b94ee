"""Predictions of a run for validation images."""

import sys
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from spp_keras import run_folder
from spp_keras.data import image_ops
from spp_keras.data.records import Records
from spp_keras.evaluation import protocols, run_settings, score_cache
from spp_keras.run_folder import RunFolder


class Predictions(NamedTuple):
    """A network and its scores for some images.

    Args:
        run: The run.
        network: Its network.
        images: The images.
        scores: float32 `(images, classes)`.
        total: Number of images in the split.
    """

    run: run_settings.EvaluatedRun
    network: keras.Model
    images: score_cache.ImageChunks
    scores: np.ndarray
    total: int

    @property
    def records(self) -> Records:
        """The images as records."""
        return self.images.records

    @property
    def classes(self) -> np.ndarray:
        """Index of the predicted class of each image."""
        return self.scores.argmax(axis=1)

    @property
    def correct(self) -> np.ndarray:
        """Whether each prediction is the class of the image, or one of them."""
        labels, indices = self.records.labels, np.arange(len(self.scores))
        if self.records.multi_label:
            return labels[indices, self.classes] > 0
        return labels == self.classes

    def describe_classes(self, index: int) -> str:
        """The true class of an image, or all of them."""
        label = self.records.labels[index]
        class_indices = np.flatnonzero(label) if self.records.multi_label else [label]
        return ", ".join(self.run.folder.labels[i] for i in class_indices) or "nothing"

    def read_pixels(self, index: int) -> np.ndarray:
        """Pixels of an image, upright."""
        return image_ops.decode_image(*self._read_file(index), self.records.background).numpy()

    def read_network_input(self, index: int) -> np.ndarray:
        """Pixels of an image as the network gets it."""
        window, target = self.run.views.whole.window_and_size(self.records.sizes[index])
        encoded, orientation = self._read_file(index)
        size = self.records.sizes[index]
        return image_ops.decode_window(
            encoded, size, window, target, orientation, self.records.background
        ).numpy()

    def _read_file(self, index: int) -> tuple[bytes, int]:
        return self.images.read(index), int(self.records.orientations[index])


def predict_validation_images(
    run: Path, count: int, data: str = "", data_dir: str = "", split: str = ""
) -> Predictions:
    """Predicts validation images of a run as `spp-keras predict` does.

    Args:
        run: The run folder.
        count: Number of images; of more, some that are spread evenly over the split.
        data: Image folder or data set. Defaults to that of the training.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `""`.
        split: Split of the data. Defaults to that for validation.
    """
    protocol = "full" if RunFolder(run).recipe.has_pyramid else "crop"
    evaluated = run_settings.read_run(run, [protocol])
    records, _ = run_settings.load_evaluation_records(
        [evaluated], [protocol], data, data_dir, split
    )
    total = len(records)
    if count < total:
        records = records.select(np.arange(count) * total // count)
    network, images = RunFolder(run).model, score_cache.ImageChunks(records)
    scores = score_cache.compute_scores(
        images,
        lambda: protocols.Scorer(network, protocol, **evaluated.views._asdict()),
        run
        / run_folder.EVALUATION
        / run_folder.SCORE_CACHE
        / run_settings.cache_key(evaluated, protocol),
        f"{run.name}, {protocol}",
    )
    if count < total:
        print(f"{records.name}: predicted {count} of {total} images.", file=sys.stderr)
    return Predictions(evaluated, network, images, scores, total)
