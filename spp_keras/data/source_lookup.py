"""The source of images that a path or a name stands for."""

import os
import re
from pathlib import Path
from typing import Any

from spp_keras import _extras
from spp_keras.data import csv_labels, det_devkit, folders, voc_devkit
from spp_keras.data.sources import Source


def find_source(data: Any, split: Any, data_dir: Any) -> Source:
    """Finds the source of a split of a data set.

    Args:
        data: A folder, a table of labels or the name of a data set, as for `load_records`.
        split: Name of the split.
        data_dir: Folder of prepared TensorFlow Datasets, or `None`.
    """
    if not isinstance(data, str | os.PathLike) or not os.fspath(data):
        raise TypeError(f"`data` must be a path or a name. Received: data={data!r}.")
    if not isinstance(split, str) or not split:
        raise TypeError(f"`split` must be the name of a split. Received: split={split!r}.")
    folder = Path(data).expanduser()
    if is_path(data) and data_dir is not None:
        raise ValueError(
            f"`data_dir` must be None with a folder, which says where the images are. "
            f"Received: data={str(data)!r}, data_dir={str(data_dir)!r}."
        )
    if data_dir is None and folder.is_dir():
        root = folder.resolve()
        for devkit in (voc_devkit, det_devkit):
            folder_in_devkit = devkit.find_devkit(root)
            if folder_in_devkit is not None:
                return devkit.find_images(folder_in_devkit, split)
        if not (root / "dataset_info.json").is_file():
            table = csv_labels.find_table(root)
            if table is not None:
                return csv_labels.find_images(table, split)
            return folders.find_images(root, split)
        data = str(root)
    elif data_dir is None and csv_labels.find_table(folder) is not None:
        return csv_labels.find_images(folder.parent.resolve() / folder.name, split)
    elif is_path(data):
        raise ValueError(
            f"`data` must be an existing folder or table. Received: data={str(data)!r}."
        )
    # TensorFlow Datasets takes seconds to import.
    _extras.require("train", "A data set by name", "tensorflow_datasets")
    from spp_keras.data import tfds_records

    return tfds_records.find_images(data, split, None if data_dir is None else os.fspath(data_dir))


def is_path(data: str | os.PathLike) -> bool:
    """Whether a data set is given by its folder or table, there or not, and not by its name.

    Example:

    >>> is_path("./voc"), is_path("voc/"), is_path("voc/labels.csv"), is_path("voc/2007")
    (True, True, True, False)
    """
    if isinstance(data, os.PathLike) or data.lower().endswith(csv_labels.SUFFIXES):
        return True
    return bool(re.match(r"[./~\\]|\w:[/\\]|.*[/\\]$", data))
