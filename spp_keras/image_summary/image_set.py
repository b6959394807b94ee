"""The images that are summarized: the splits that a training would use, or all of a folder."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spp_keras.data import records, splits, unlabeled
from spp_keras.data.records import Records
from spp_keras.data.sources import Skipped


class ImageSet(NamedTuple):
    """Images of one or two splits.

    Args:
        splits: The name of each split; `""` for all images of a folder.
        parts: The records of each.
        problem: Why nothing can be trained on them as they lie; `None` if it can.
    """

    splits: tuple[str, ...]
    parts: tuple[Records, ...]
    problem: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        return self.parts[0].classes

    @property
    def ids(self) -> list[str]:
        return [name for part in self.parts for name in part.ids.tolist()]

    @property
    def sizes(self) -> np.ndarray:
        """Height and width of each image, upright."""
        return np.concatenate([part.sizes for part in self.parts])

    @property
    def orientations(self) -> np.ndarray:
        return np.concatenate([part.orientations for part in self.parts])

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return tuple(image for part in self.parts for image in part.skipped)

    @property
    def converted(self) -> dict[str, int]:
        kinds = [kind for part in self.parts for kind in part.converted]
        return {
            kind: sum(part.converted.get(kind, 0) for part in self.parts)
            for kind in dict.fromkeys(kinds)
        }

    def locate(self, index: int) -> tuple[Records, int]:
        """The records that have an image, and its index there."""
        for part in self.parts:
            if index < len(part):
                return part, index
            index -= len(part)
        raise IndexError(index)


def load_images(
    data: str | os.PathLike, data_dir: str | os.PathLike | None = None, *, progress: bool = True
) -> ImageSet:
    """Loads the splits that a training would use, however many images are damaged.

    Of a folder that cannot be trained on, since it has no folder for each of two classes, all
    images are taken, without labels.

    Args:
        data: As for `load_records`.
        data_dir: As for `load_records`. Defaults to `None`.
        progress: Whether to show a bar. Defaults to `True`.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> keras.utils.save_img(root / "1.png", np.zeros((20, 30, 3)))
    >>> images = load_images(root)
    >>> images.ids, images.classes, images.problem[:40]
    (['1.png'], (), '`data` must have a folder for each of at')
    """
    try:
        names = splits.choose_splits(data, data_dir)
        parts = tuple(
            records.load_records(data, name, data_dir, max_skipped_fraction=1, progress=progress)
            for name in names
        )
    except ValueError as error:
        folder = Path(data).expanduser()
        if data_dir is not None or not folder.is_dir():
            raise
        source = unlabeled.find_unlabeled_images(folder.resolve())
        images = records.load_source(source, max_skipped_fraction=1, progress=progress)
        return ImageSet(("",), (images,), str(error))
    return ImageSet(names, parts)
