"""Images that can be used, with their classes and objects and where their bytes are."""

import array
import contextlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import _cache, _checks, _extras, _progress
from spp_keras.data import det_devkit, folders, inspection, orientations, sources, voc_devkit
from spp_keras.data.image_rules import ImageLimits
from spp_keras.data.sources import Candidate, Objects, Skipped, Source

# Part of the name of cache files: another number when they mean something else.
_FORMAT = "2"


@dataclass(frozen=True, eq=False)
class Records:
    """The usable images of a split, in a fixed order, without their pixels.

    Args:
        name: What to call it in messages.
        classes: Names of the classes.
        ids: `(N,)` str, a name for each image that no other has: its path
            below the folder, the file name its data set gives it, or its shard and
            number where that is not unique.
        labels: `(N,)` int32, or `(N, classes)` uint8 of zeros and ones where an
            image has any number of classes.
        sizes: `(N, 2)` int32, height and width as decoded, upright.
        objects: An `Objects` for each image, or `None`; boxes are in the upright image.
        files: Image files, or TFRecord shards.
        spans: `(N, 3)` int64, number of the file, offset and length of the
            encoded image.
        skipped: Images that were found and cannot be used.
        converted: How many of the usable images that were found are turned to RGB,
            by what they are: `"gray"`, `"palette"`, `"CMYK"`, `"16-bit"`,
            `"alpha"`, `"animated"`.
        orientations: `(N,)` uint8, EXIF orientation by which the pixels of each have to be
            turned, 1 to 8; 1 takes them as they lie in the file. Defaults to `None`, 1 for
            each.
    """

    name: str
    classes: tuple[str, ...]
    ids: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    objects: tuple[Objects, ...] | None
    files: tuple[str, ...]
    spans: np.ndarray
    skipped: tuple[Skipped, ...]
    converted: dict[str, int]
    orientations: Any = None

    def __post_init__(self) -> None:
        if self.orientations is None:
            object.__setattr__(self, "orientations", np.ones(len(self.ids), np.uint8))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def multi_label(self) -> bool:
        return self.labels.ndim == 2

    def select(self, which: Any) -> "Records":
        """Some of the images, by a mask or by their numbers, in that order."""
        which = np.asarray(which)
        # NumPy takes an empty list for floats.
        numbers = np.arange(len(self))[which if which.size else which.astype(bool)[:0]]
        objects = self.objects and tuple(self.objects[i] for i in numbers)
        return replace(
            self,
            ids=self.ids[numbers],
            labels=self.labels[numbers],
            sizes=self.sizes[numbers],
            spans=self.spans[numbers],
            orientations=self.orientations[numbers],
            objects=objects,
        )


def load_records(
    data: str | os.PathLike,
    split: str,
    data_dir: str | os.PathLike | None = None,
    *,
    on_error: str = "skip",
    max_skipped_fraction: float = 0.05,
    progress: bool = True,
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
) -> Records:
    """Finds the images of a data set and checks, once, that each can be used.

    Every image is decoded as training decodes it, which takes a while the first
    time. What was found is kept in `spp_keras` in the folder that `XDG_CACHE_HOME`
    names (`~/.cache` by default) and used until a file, the limits or
    TensorFlow change.

    Args:
        data: A folder with a folder per class (see `folders.find`), a VOCdevkit
            tree (see `voc_devkit.find`), a tree of ILSVRC DET (see
            `det_devkit.find`), a data set prepared by TensorFlow Datasets, or the
            name of one (see `tfds_records.find`).
        split: Name of a split of it.
        data_dir: Where TensorFlow Datasets keeps what it prepared. Only with a
            name. Defaults to `~/tensorflow_datasets`.
        on_error: `"skip"` leaves out what cannot be used and lists it as
            `skipped`; `"fail"` stops at the first. Defaults to `"skip"`.
        max_skipped_fraction: Share of images that may be skipped. Defaults to `0.05`.
        progress: Whether to show a bar on standard error. Defaults to `True`.
        limits: What an image must be. Defaults to `Limits()`.
        orientation: `"exif"` turns images as their EXIF orientation says. Boxes are turned,
            too, where the height and width that their annotation names are those of the
            image as it lies in the file; where it names none, or these are equal, they are
            taken for boxes in the upright image. `"file"` takes pixels as they lie in the
            file, and boxes as they are. Defaults to `"exif"`.

    Returns:
        The `Records`.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for number, name in enumerate(("cat", "dog")):
    ...     (root / "train" / name).mkdir(parents=True)
    ...     image = np.full((20, 30 + number, 3), 255, "uint8")
    ...     keras.utils.save_img(root / "train" / name / "1.png", image)
    >>> records = load_records(root, "train")
    >>> records.classes, records.ids.tolist(), records.sizes.tolist()
    (('cat', 'dog'), ['train/cat/1.png', 'train/dog/1.png'], [[20, 30], [20, 31]])
    """
    _checks.one_of(on_error, ("skip", "fail"), "on_error")
    _checks.fraction(max_skipped_fraction, "max_skipped_fraction")
    _checks.one_of(orientation, orientations.ORIENTATIONS, "orientation")
    source = _source(data, split, data_dir)
    cache = _cache.ArrayCache(
        _cache.user_folder("records"),
        compress=True,
        on_write_error="The images will be checked again next time",
    )
    key = _cache.make_key(
        _FORMAT,
        tf.__version__,
        tuple(limits),
        orientation,
        source.cache_key,
        _cache.describe_files((*source.files, *source.dependencies)),
    )
    arrays = cache.load(key)
    if arrays is None:
        arrays = _inspect(source, limits, orientation, on_error, progress)
        cache.save(key, arrays)
    records = _from_arrays(source, arrays)
    _check_skipped(records, on_error, max_skipped_fraction)
    return records


def is_path(data: str | os.PathLike) -> bool:
    """Whether data are meant by their folder, there or not, and not by their name.

    Example:

    >>> is_path("./voc"), is_path("voc/2007")
    (True, False)
    """
    return isinstance(data, os.PathLike) or re.match(r"[./~\\]|\w:[/\\]", data) is not None


def _source(data: Any, split: Any, data_dir: Any) -> Source:
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
            home = devkit.find_devkit(root)
            if home is not None:
                return devkit.find_images(home, split)
        if not (root / "dataset_info.json").is_file():
            return folders.find_images(root, split)
        data = str(root)
    elif is_path(data):
        raise ValueError(f"`data` must be an existing folder. Received: data={str(data)!r}.")
    # Loaded for those alone who use it.
    _extras.require("train", "A data set by name", "tensorflow_datasets")
    from spp_keras.data import tfds_records

    return tfds_records.find_images(data, split, None if data_dir is None else os.fspath(data_dir))


def _inspect(
    source: Source,
    limits: ImageLimits,
    orientation: str,
    on_error: str,
    progress: bool,
) -> dict[str, np.ndarray]:
    contents = source.read()
    columns = _Columns(contents.multi_label)
    inspected = inspection.inspect_images(contents.candidates, source.files, limits, orientation)
    bar = _progress.create_bar(
        inspected, f"Checking {source.name}", total=contents.count, disable=not progress
    )
    with contextlib.closing(inspected), bar:
        for candidate, finding in bar:
            if finding.reason is not None and on_error == "fail":
                raise ValueError(_unusable(source.name, Skipped(candidate.id, finding.reason)))
            columns.add(candidate, finding)
    return columns.arrays(source, contents.classes)


class _Columns:
    """What becomes the fields of `Records`, without an object for each of a million images."""

    def __init__(self, multi_label: bool):
        self.multi_label = multi_label
        self.ids: list[str] = []
        self.places, self.labels, self.spans, self.sizes = (array.array("q") for _ in range(4))
        self.orientations = array.array("B")
        self.usable = 0
        self.reasons: dict[int, str] = {}
        self.objects: list[Objects] = []
        self.converted: dict[str, int] = {}

    def add(self, candidate: Candidate, finding: inspection.Inspection) -> None:
        self.places.extend((candidate.span[0], candidate.place))
        self.ids.append(candidate.id)
        if finding.reason is not None:
            self.reasons[len(self.ids) - 1] = finding.reason
            return
        self.spans.extend(candidate.span)
        self.sizes.extend(finding.size)
        self.orientations.append(finding.orientation)
        for label in candidate.labels:
            self.labels.extend((self.usable, label))
        if candidate.objects is not None:
            self.objects.append(_upright(candidate.objects, candidate.frame, finding))
        if finding.converted is not None:
            self.converted[finding.converted] = self.converted.get(finding.converted, 0) + 1
        self.usable += 1

    def arrays(self, source: Source, classes: tuple[str, ...]) -> dict[str, np.ndarray]:
        ids = np.array(self._unique_ids(source), np.str_)
        skipped = np.zeros(len(ids), bool)
        skipped[list(self.reasons)] = True
        arrays = {
            "classes": np.array(classes, np.str_),
            "ids": ids[~skipped],
            "labels": self._labels(source, len(classes)),
            "sizes": np.array(self.sizes, np.int32).reshape(-1, 2),
            "spans": np.array(self.spans, np.int64).reshape(-1, 3),
            "orientations": np.array(self.orientations, np.uint8),
            "skipped": ids[skipped],
            "reasons": np.array(list(self.reasons.values()), np.str_),
            "converted": np.array(list(self.converted), np.str_),
            "conversions": np.array(list(self.converted.values()), np.int64),
        }
        if self.objects:
            arrays["objects"] = np.array([len(each.labels) for each in self.objects], np.int64)
            for field in Objects._fields:
                parts = [getattr(each, field) for each in self.objects]
                arrays[f"object_{field}"] = np.concatenate(parts)
        return arrays

    def _unique_ids(self, source: Source) -> list[str]:
        if len(set(self.ids)) == len(self.ids):
            return self.ids
        places = zip(self.places[::2], self.places[1::2], strict=True)
        ids = [sources.make_example_id(source.files[number], place) for number, place in places]
        if len(set(ids)) < len(ids):
            raise ValueError(f"`split` must have no image twice. Received: {source.name}.")
        return ids

    def _labels(self, source: Source, classes: int) -> np.ndarray:
        pairs = np.array(self.labels, np.int64).reshape(-1, 2)
        if not self.multi_label:
            return pairs[:, 1].astype(np.int32)
        if self.usable and not len(pairs) and not any(len(each.labels) for each in self.objects):
            raise ValueError(
                f"`split` must have labels. Received: {source.name}, where no image has any; those "
                f"of a test set may not be published."
            )
        labels = np.zeros((self.usable, classes), np.uint8)
        labels[tuple(pairs.T)] = 1
        return labels


def _from_arrays(source: Source, arrays: dict[str, np.ndarray]) -> Records:
    objects = None
    if "objects" in arrays:
        ends = np.cumsum(arrays["objects"])[:-1]
        columns = (np.split(arrays[f"object_{field}"], ends) for field in Objects._fields)
        objects = tuple(Objects(*each) for each in zip(*columns, strict=True))
    converted = zip(arrays["converted"].tolist(), arrays["conversions"].tolist(), strict=True)
    skipped = zip(arrays["skipped"].tolist(), arrays["reasons"].tolist(), strict=True)
    return Records(
        name=source.name,
        classes=tuple(arrays["classes"].tolist()),
        files=source.files,
        objects=objects,
        skipped=tuple(Skipped(*each) for each in skipped),
        converted=dict(converted),
        **{field: arrays[field] for field in ("ids", "labels", "sizes", "spans", "orientations")},
    )


def _upright(
    objects: Objects, frame: tuple[float, float] | None, finding: inspection.Inspection
) -> Objects:
    """Objects in the upright image, from an annotation that may go by the file.

    It can tell only where turning the image exchanges height and width, and then by which of
    the two is the longer one, since annotations may go by a smaller copy.
    """
    if frame is None or finding.orientation < 5:
        return objects
    (height, width), (upright_height, upright_width) = frame, finding.size
    if (height - width) * (upright_height - upright_width) >= 0:
        return objects
    boxes = orientations.turn_boxes(objects.boxes, finding.orientation)
    return objects._replace(boxes=boxes.astype(np.float32))


def _check_skipped(records: Records, on_error: str, max_skipped_fraction: float) -> None:
    skipped = records.skipped
    if skipped and on_error == "fail":
        raise ValueError(_unusable(records.name, skipped[0]))
    found = len(records) + len(skipped)
    if len(skipped) > max_skipped_fraction * found or not len(records):
        listed = [f"{image.id} {image.reason}" for image in skipped[:10]]
        if len(skipped) > 10:
            listed.append(f"and {len(skipped) - 10} more")
        raise ValueError(
            f"`data` must have at most a share of max_skipped_fraction={max_skipped_fraction} of images that "
            f"cannot be used. Received: {records.name}, where {len(skipped)} of {found} cannot:\n  "
            + "\n  ".join(listed)
            + "\nMend or remove them, or pass a larger `max_skipped_fraction` to go on without them."
        )


def _unusable(name: str, image: Skipped) -> str:
    return (
        f"`data` must have no image that cannot be used, with on_error='fail'. Received: {name}, "
        f"where {image.id} {image.reason}. Mend or remove it, or pass on_error='skip'."
    )
