"""The images of a comparison: which are trained on, and which may be tested on."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spp_keras.comparison import image_splits
from spp_keras.comparison.image_splits import ImageSplit
from spp_keras.data import csv_labels, splits
from spp_keras.data.records import Records, load_records


class ComparedImages(NamedTuple):
    """The images, one after the other: those to train on before those of a test split.

    Args:
        pool: Records of the images to train on, and to draw those to test on from where there
            is no test split.
        tested: Records of the test split, or none.
        labels: `(images,)`, indices of classes.
        copies: `(images,)`, equal for files with the same bytes.
    """

    pool: list[Records]
    tested: list[Records]
    labels: np.ndarray
    copies: np.ndarray

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.pool[0].classes

    @property
    def sizes(self) -> np.ndarray:
        """`(images, 2)`, heights and widths."""
        return np.concatenate([records.sizes for records in (*self.pool, *self.tested)])

    @property
    def test_start(self) -> int:
        """Index of the first image of the test split; 0 where there is none."""
        return sum(map(len, self.pool)) if self.tested else 0

    def split(self, seed: int) -> ImageSplit:
        """The split of a seed. No image is trained on whose copy is tested on."""
        if not self.tested:
            return image_splits.draw_split(self.labels, self.copies, seed)
        tested = np.arange(self.test_start, len(self.labels))
        left_out = np.flatnonzero(np.isin(self.copies, self.copies[tested]))
        split = image_splits.draw_validation(self.labels, self.copies, left_out, seed)
        return split._replace(test=tested)


def load_images(
    data: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
) -> ComparedImages:
    """Loads the records of a data set with one class an image.

    Args:
        data: Folder or name of a data set, as for `load_records`.
        data_dir: Folder of prepared TensorFlow Datasets. Defaults to `None`.
        train_split: Split to train on. Defaults to `None`, see `find_splits`.
        test_split: Split to test on. Defaults to `None`, see `find_splits`.
    """
    if (train_split is None) != (test_split is None):
        raise ValueError(
            "`train_split` and `test_split` must be given together, or neither. "
            f"Received: train_split={train_split!r}, test_split={test_split!r}."
        )
    if train_split is None or test_split is None:
        pool_names, test_names = find_splits(data, data_dir)
    else:
        pool_names, test_names = [train_split], [test_split]
    pool = [_load(data, name, data_dir) for name in pool_names]
    tested = [_load(data, name, data_dir) for name in test_names]
    everything = [*pool, *tested]
    digests = [records.digests for records in everything]
    labels = np.concatenate([records.labels for records in everything])
    known = None if any(part is None for part in digests) else np.concatenate(digests)
    copies = image_splits.number_copies(known, len(labels))
    images = ComparedImages(pool, tested, labels, copies)
    split = images.split(0)
    if not all(map(len, split)):
        raise ValueError(
            "`data` must have images to train, to validate and to test on, ten of a class at the "
            f"least. Received: data={str(data)!r}, with {len(labels)} images of "
            f"{len(images.classes)} classes."
        )
    return images


def find_splits(
    data: str | os.PathLike, data_dir: str | os.PathLike | None = None
) -> tuple[list[str], list[str]]:
    """Splits to train on, and the one that is tested on, if the data have one.

    That is the split `test`; where there is none, `validation`. Of data without either all
    images are trained on and tested on, in turn.

    Args:
        data: Folder or name of a data set, as for `load_records`.
        data_dir: Folder of prepared TensorFlow Datasets. Defaults to `None`.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for split in ("train", "test", "val"):
    ...     (root / split / "cat").mkdir(parents=True)
    >>> find_splits(root)
    (['train', 'val'], ['test'])
    """
    train, held_out = splits.choose_splits(data, data_dir)
    names = _list_splits(data, data_dir)
    if held_out not in names:
        return (["train"] if train != "train" else [train, held_out]), []
    if "test" in names:
        return ["train", *sorted({"val", "validation"} & names)], ["test"]
    return [train], [held_out]


def _list_splits(data: str | os.PathLike, data_dir: str | os.PathLike | None) -> set[str]:
    folder = Path(data).expanduser()
    table = csv_labels.find_table(folder) if data_dir is None else None
    if table is not None:
        return set(csv_labels.list_splits(table))
    if data_dir is None and folder.is_dir() and not (folder / "dataset_info.json").is_file():
        return {path.name for path in folder.iterdir() if path.is_dir()}
    from spp_keras.data import tfds_records

    return set(
        tfds_records.list_splits(os.fspath(data), None if data_dir is None else os.fspath(data_dir))
    )


def _load(data: str | os.PathLike, split: str, data_dir: str | os.PathLike | None) -> Records:
    records = load_records(data, split, data_dir)
    if records.multi_label:
        raise ValueError(
            "`data` must have one class for each image, as softmax layers are compared: take a "
            f"folder with a folder per class. Received: data={str(data)!r}, whose images may have "
            "several."
        )
    return records


def count_images_per_class(parts: Sequence[np.ndarray], labels: np.ndarray) -> float:
    """Images of a class, on average over the classes of each part and over the parts.

    Args:
        parts: Indices of images.
        labels: Indices of classes of all images.

    Example:

    >>> count_images_per_class([np.array([0, 1, 2])], np.array([0, 0, 1, 2]))
    1.5
    """
    return float(np.mean([len(part) / len(np.unique(labels[part])) for part in parts]))
