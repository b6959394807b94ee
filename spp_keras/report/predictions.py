"""What a network answers for validation images, and what these are."""

import sys
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from spp_keras import run_folder
from spp_keras.data import image_ops as image_operations
from spp_keras.data import records
from spp_keras.evaluation import protocols, run_settings, score_cache
from spp_keras.run_folder import RunFolder


class Predictions(NamedTuple):
    """A network and its answers for some images.

    Args:
        member: The run.
        network: Its network.
        images: The images.
        scores: float32 `(images, classes)`.
        of: How many images the split has.
    """

    member: run_settings.EvaluatedRun
    network: keras.Model
    images: score_cache.ImageChunks
    scores: np.ndarray
    of: int

    @property
    def found(self) -> records.Records:
        return self.images.records

    @property
    def answers(self) -> np.ndarray:
        """Number of the likeliest class of each image."""
        return self.scores.argmax(axis=1)

    @property
    def right(self) -> np.ndarray:
        """Whether each answer is the class of the image, or one of them."""
        labels, every = self.found.labels, np.arange(len(self.scores))
        if self.found.multi_label:
            return labels[every, self.answers] > 0
        return labels == self.answers

    def names_of(self, number: int) -> str:
        """The right class of an image, or all of them."""
        label = self.found.labels[number]
        numbers = np.flatnonzero(label) if self.found.multi_label else [label]
        return ", ".join(self.member.folder.labels[i] for i in numbers) or "nothing"

    def pixels(self, number: int) -> np.ndarray:
        """An image as it is, the right way up."""
        encoded, orientation = self._file(number)
        return image_operations.decode_image(encoded, orientation).numpy()

    def sent(self, number: int) -> np.ndarray:
        """An image as the network sees it."""
        window, target = self.member.views.whole.window_and_size(self.found.sizes[number])
        encoded, orientation = self._file(number)
        size = self.found.sizes[number]
        return image_operations.decode_window(encoded, size, window, target, orientation).numpy()

    def _file(self, number: int) -> tuple[bytes, int]:
        return self.images.read(number), int(self.found.orientations[number])


def predict_validation_images(
    run: Path, count: int, data: str = "", data_dir: str = "", split: str = ""
) -> Predictions:
    """Asks a run's network about validation images, as `spp-keras predict` shows them to it.

    Args:
        run: The run folder.
        count: How many; of more, some that are spread evenly over the split.
        data: Folder or data set. Defaults to what the run was tested on.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `""`.
        split: Split to look at. Defaults to that for validation.
    """
    recipe = RunFolder(run).recipe
    protocol = "full" if recipe.model.endswith("_spp") else "crop"
    member = run_settings.read_run(run, [protocol])
    found, _ = run_settings.load_evaluation_records([member], [protocol], data, data_dir, split)
    of = len(found)
    if count < of:
        found = found.select(np.arange(count) * of // count)
    network, images = RunFolder(run).model, score_cache.ImageChunks(found)
    scores = score_cache.compute_scores(
        images,
        lambda: protocols.Scorer(network, protocol, **member.views._asdict()),
        run
        / run_folder.EVALUATION
        / run_folder.SCORE_CACHE
        / run_settings.cache_key(member, protocol),
        f"{run.name}, {protocol}",
    )
    if count < of:
        print(f"{found.name}: looked at {count} of {of} images.", file=sys.stderr)
    return Predictions(member, network, images, scores, of)
