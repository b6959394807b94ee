"""Default splits of a data set for training and for validation."""

import os
from collections.abc import Collection
from pathlib import Path

from spp_keras import _extras
from spp_keras.data import csv_labels, source_lookup, voc_devkit


def choose_splits(
    data: str | os.PathLike, data_dir: str | os.PathLike | None = None
) -> tuple[str, str]:
    """Chooses the splits for training and for validation.

    Data without a validation split are validated on the test split, or on a tenth of the
    training images if they have none: of each class in a folder, the last ones of a data set by
    name.

    Args:
        data: A folder, a table or the name of a data set, as for `load_records`.
        data_dir: Folder of prepared TensorFlow Datasets.

    Returns:
        `(training, validation)`.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for split in ("train", "test"):
    ...     (root / split / "cat").mkdir(parents=True)
    >>> choose_splits(root)
    ('train', 'test')
    """
    folder = Path(data).expanduser()
    names: Collection[str]
    train_parts = "train", "validation"
    if data_dir is None and folder.is_dir() and not (folder / "dataset_info.json").is_file():
        if voc_devkit.find_devkit(folder.resolve()) is not None:
            return "train", "val"
        table = csv_labels.find_table(folder)
        if table is not None:
            names = csv_labels.list_splits(table)
        else:
            names = {path.name for path in folder.iterdir() if path.is_dir()}
    elif data_dir is None and csv_labels.find_table(folder) is not None:
        names = csv_labels.list_splits(folder)
    elif not folder.exists() and source_lookup.is_path(data):
        raise ValueError(
            f"`data` must be an existing folder or table. Received: data={str(data)!r}."
        )
    else:
        _extras.require("train", "A data set by name", "tensorflow_datasets")
        from spp_keras.data import tfds_records

        data_dir = None if data_dir is None else os.fspath(data_dir)
        names = tfds_records.list_splits(os.fspath(data), data_dir)
        train_parts = "train[:90%]", "train[90%:]"
    for validation in ("validation", "val", "test"):
        if validation in names:
            return "train", validation
    return train_parts
