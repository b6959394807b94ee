"""Data sets prepared by TensorFlow Datasets, read in place."""

import contextlib
import difflib
import importlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from spp_keras.data import sources, tfrecord
from spp_keras.data.sources import Candidate, Contents, Objects, Source

# Features that hold the name of an image file.
_FILE_NAME_FEATURES = ("image/filename", "image/file_name", "file_name", "filename")


def find_images(name: str, split: str, data_dir: str | None = None) -> Source:
    """Images of a prepared image classification or detection data set.

    Nothing is downloaded: for a data set that is not prepared the error says how to prepare
    it. Only `"shapes"`, which is drawn, is prepared here.

    An image has the class of its `label`. Without that feature it has any number of classes:
    those of its objects that are not difficult, as in `voc.labels_no_difficult`, or, without
    objects, those of a sequence of labels.

    Args:
        name: Name of the data set as for `tfds.builder`, with configuration
            and version if need be: `"voc/2007"`, `"imagenet2012:5.1.0"`. Or
            the folder of a prepared one, with a `dataset_info.json` in it.
        split: Name of a split, part or sum of splits: `"train"`,
            `"train[:90%]"`, `"train+validation"`.
        data_dir: Folder that data sets were prepared in. Defaults to where
            TensorFlow Datasets puts them, `~/tensorflow_datasets`.

    Returns:
        A `Source`.
    """
    builder = _prepare_builder(name, data_dir)
    columns = _choose_columns(name, builder.info)
    parts = _list_parts(name, split, builder.info)
    files = tuple(dict.fromkeys(os.fspath(part.filename) for part in parts))
    folder = Path(os.fspath(builder.data_path))
    return Source(
        name=f"{name} {split}",
        files=files,
        cache_key=("TFDS", name, split),
        dependencies=(str(folder / "dataset_info.json"), str(folder / "features.json")),
        read=lambda: Contents(
            columns.classes,
            columns.label is None,
            sum(part.take for part in parts),
            _make_candidates(name, split, parts, files, columns),
        ),
    )


def list_splits(name: str, data_dir: str | None = None) -> list[str]:
    """Names of the splits of a prepared data set."""
    return sorted(_prepare_builder(name, data_dir).info.splits)


class _Columns(NamedTuple):
    """Names of the features that are read."""

    classes: tuple[str, ...]
    image: str
    id: str | None
    label: str | None
    labels: str | None
    boxes: str | None
    box_labels: str | None
    difficult: str | None


def _prepare_builder(name: str, data_dir: str | None) -> Any:
    if (Path(name) / "dataset_info.json").is_file():
        builder = tfds.builder_from_directory(name)
    else:
        builder = _make_builder(name, data_dir)
        if not _is_prepared(builder):
            if builder.name != "shapes":
                raise ValueError(_explain_preparation(name, data_dir, builder))
            # The default asks Google's bucket for a copy first. Standard output is the caller's.
            config = tfds.download.DownloadConfig(try_download_gcs=False)
            with contextlib.redirect_stdout(sys.stderr):
                builder.download_and_prepare(download_config=config)
    file_format = builder.info.file_format.value
    if file_format != "tfrecord":
        raise ValueError(
            f"`data` must be a data set that is prepared as 'tfrecord'. Received: data={name!r}, "
            f"prepared as {file_format!r}. Prepare it again, in another data_dir, with "
            f"tfds.builder({name!r}, data_dir=..., file_format='tfrecord')."
        )
    return builder


def _is_prepared(builder: Any) -> bool:
    # TensorFlow Datasets would log a warning about missing files.
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return builder.is_prepared()
    finally:
        logger.setLevel(before)


def _make_builder(name: str, data_dir: str | None) -> Any:
    if re.match(r"shapes\b", name):
        importlib.import_module("spp_keras.data.shapes")
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError as error:
        known = sorted(set(tfds.list_builders()))
        near = difflib.get_close_matches(re.split("[/:]", name)[0], known, n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ValueError(
            f"`data` must be an existing folder or the name of a data set that TensorFlow Datasets "
            f"knows. Received: data={name!r}. {hint}tfds.list_builders() lists them."
        ) from error
    except (ValueError, AssertionError) as error:
        configs = list(tfds.builder_cls(re.split("[/:]", name)[0]).builder_configs)
        raise ValueError(
            f"`data` must name a configuration (one of {configs}) and version that exist. "
            f"Received: data={name!r}. TensorFlow Datasets says: {error}"
        ) from error


def _explain_preparation(name: str, data_dir: str | None, builder: Any) -> str:
    folder = Path(os.fspath(builder.data_path))
    others = [path.parent.name for path in sorted(folder.parent.glob("*/dataset_info.json"))]
    folder_argument = f", data_dir={str(data_dir)!r}" if data_dir else ""
    manual = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    arguments = ""
    if manual:
        arguments = (
            "\n        download_config=tfds.download.DownloadConfig(manual_dir='<the archives>'),"
            "\n    "
        )
    lines = [
        f"`data` must be a data set that is prepared. Received: data={name!r}, "
        f"data_dir={data_dir!r}, but there is none in {str(folder)!r}."
    ]
    if others:
        other = f"{name.split(':')[0]}:{others[-1]}"
        lines.append(f"There are other versions, {', '.join(others)}: ask for {other!r}.")
    lines.append(
        "Nothing is downloaded unasked. Prepare it once with\n"
        "    import tensorflow_datasets as tfds\n"
        f"    tfds.builder({name!r}{folder_argument}).download_and_prepare({arguments})"
    )
    return "\n".join([*lines, *([re.sub(r"\s+", " ", manual).strip()] if manual else [])])


def _choose_columns(name: str, info: Any) -> _Columns:
    features = dict(info.features)
    kinds = tfds.features
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, kinds.Image)
        and not isinstance(feature, kinds.LabeledImage)
        and feature.np_dtype == np.uint8
    ]
    if not images or (len(images) > 1 and "image" not in images):
        raise ValueError(
            f"`data` must have one image with 8 bits to a channel in each example. Received: "
            f"data={name!r}, which has {images or 'none'}."
        )
    file_names = [key for key in _FILE_NAME_FEATURES if isinstance(features.get(key), kinds.Text)]
    labels = [key for key, feature in features.items() if isinstance(feature, kinds.ClassLabel)]
    supervised = (info.supervised_keys or (None, None))[1]
    label = next((key for key in ("label", supervised) if key in labels), None)
    if label is None and len(labels) == 1:
        label = labels[0]
    boxes, box_labels, difficult = _choose_object_columns(name, features)
    sequences = [
        key
        for key, feature in features.items()
        if isinstance(feature, kinds.Sequence) and isinstance(feature.feature, kinds.ClassLabel)
    ]
    label_sequence = next((key for key in ("labels", *sequences) if key in sequences), None)
    class_label: Any = features.get(label) or (label_sequence and features[label_sequence].feature)
    if boxes is not None and box_labels is not None:
        box_label = features[boxes.rpartition("/")[0]].feature[box_labels.rpartition("/")[2]]
        # Objects of other classes than the image's would need a second list of names.
        if label is not None and box_label.names != class_label.names:
            boxes = box_labels = difficult = None
        elif label is None:
            class_label, label_sequence = box_label, None
    if not class_label:
        raise ValueError(
            f"`data` must have a class label for each image or for the objects in it. Received: "
            f"data={name!r}, with the features {sorted(features)}."
        )
    return _Columns(
        classes=tuple(class_label.names),
        image="image" if "image" in images else images[0],
        id=file_names[0] if file_names else None,
        label=label,
        labels=label_sequence if label is None else None,
        boxes=boxes,
        box_labels=box_labels,
        difficult=difficult,
    )


def _choose_object_columns(name: str, features: dict[str, Any]) -> tuple[str | None, ...]:
    kinds = tfds.features
    for key, feature in features.items():
        inner = feature.feature if isinstance(feature, kinds.Sequence) else None
        if not isinstance(inner, kinds.FeaturesDict):
            continue
        parts = dict(inner)
        boxes = [part for part, feature in parts.items() if isinstance(feature, kinds.BBoxFeature)]
        labels = [part for part, feature in parts.items() if isinstance(feature, kinds.ClassLabel)]
        label = "label" if "label" in labels else labels[0] if len(labels) == 1 else None
        if len(boxes) != 1 or label is None:
            continue
        # Data sets prepared by old versions do not say, and have this format.
        box_format = getattr(parts[boxes[0]], "bbox_format", None)
        if box_format is not None and box_format.value != "REL_YXYX":
            raise ValueError(
                f"`data` must have boxes in the format REL_YXYX. Received: data={name!r}, with "
                f"boxes in the format {box_format.value}."
            )
        difficult = next((part for part in ("is_difficult", "difficult") if part in parts), None)
        return f"{key}/{boxes[0]}", f"{key}/{label}", difficult and f"{key}/{difficult}"
    return None, None, None


def _list_parts(name: str, split: str, info: Any) -> list[Any]:
    try:
        parts = [part for part in info.splits[split].file_instructions if part.take]
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"`split` must be one of {', '.join(map(repr, sorted(info.splits)))}, or "
            f"parts and sums of them such as 'train[:90%]'. Received: split={split!r} of "
            f"data={name!r}."
        ) from error
    if not parts:
        raise ValueError(f"`split` must have images. Received: split={split!r} of data={name!r}.")
    for part in parts:
        if not Path(part.filename).is_file():
            raise ValueError(
                f"`data` must be whole, on a local disk. Received: data={name!r}, without the file "
                f"{os.fspath(part.filename)!r}: prepare it again."
            )
    return parts


def _make_candidates(
    name: str, split: str, parts: Sequence[Any], files: tuple[str, ...], columns: _Columns
) -> Iterator[Candidate]:
    file_indices = {path: index for index, path in enumerate(files)}
    for part in parts:
        path = os.fspath(part.filename)
        for position, offset, record in tfrecord.read_records(
            path, part.skip, part.take, part.examples_in_shard
        ):
            try:
                candidate = _parse_candidate(record, columns)
            except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
                raise ValueError(
                    f"{path!r} must have whole records. Record {position} is damaged: {error!r}. "
                    f"Prepare {name!r} again."
                ) from error
            count = len(columns.classes)
            invalid = [label for label in candidate.labels if not 0 <= label < count]
            if invalid:
                raise ValueError(
                    f"`split` must have labels from 0 to {count - 1}. Received: "
                    f"split={split!r} of data={name!r}, where {candidate.id or position!r} has "
                    f"{invalid[0]}; -1 stands for images whose labels are not published."
                )
            _, start, length = candidate.span
            yield candidate._replace(
                id=candidate.id or sources.make_example_id(path, position),
                position=position,
                span=(file_indices[path], offset + start, length),
            )


def _parse_candidate(record: bytes, columns: _Columns) -> Candidate:
    spans = tfrecord.parse_features(record)
    image = tfrecord.find_first_bytes(record, spans[columns.image])
    if image is None:
        raise ValueError(f"{columns.image!r} is empty")

    def read_values(key: str | None, kind: str) -> Any:
        # A feature without values is missing or empty.
        if key is None or key not in spans:
            return ()
        start, end = spans[key]
        return getattr(tf.train.Feature.FromString(record[start:end]), kind).value

    objects: Any = None
    if columns.boxes is not None:
        objects = Objects(
            np.array(read_values(columns.boxes, "float_list"), np.float32).reshape(-1, 4),
            np.array(read_values(columns.box_labels, "int64_list"), np.int32),
            np.array(read_values(columns.difficult, "int64_list"), bool),
        )
        if columns.difficult is None:
            objects = objects._replace(difficult=np.zeros(len(objects.labels), bool))
        if not len(objects.boxes) == len(objects.labels) == len(objects.difficult):
            raise ValueError("boxes and their labels differ in number")
    if columns.label is not None:
        labels = tuple(read_values(columns.label, "int64_list"))
        if len(labels) != 1:
            raise ValueError(f"{columns.label!r} is not one number")
    elif columns.labels is not None:
        labels = tuple(sorted(set(read_values(columns.labels, "int64_list"))))
    else:
        labels = objects.classes()
    name = read_values(columns.id, "bytes_list")
    return Candidate(
        id=name[0].decode() if name else "",
        span=(0, image[0], image[1] - image[0]),
        labels=labels,
        objects=objects,
    )
