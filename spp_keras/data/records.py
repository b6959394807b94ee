"""Records: the usable images of a split, with labels, objects and positions in files."""

import contextlib
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import _cache, _checks, _progress
from spp_keras.data import (
    backgrounds,
    image_conversion,
    inspection,
    orientations,
    source_lookup,
)
from spp_keras.data.image_rules import ImageLimits
from spp_keras.data.record_columns import RecordColumns
from spp_keras.data.sources import Objects, Skipped, Source

# Part of cache keys: another number when cache files mean something else.
_FORMAT = "4"
# Fields that are kept as they are.
_ARRAYS = ("ids", "labels", "sizes", "spans", "orientations", "digests")


@dataclass(frozen=True, eq=False)
class Records:
    """The usable images of a split, in a fixed order, without their pixels.

    Args:
        name: Name in messages.
        classes: Names of the classes.
        ids: `(N,)` str, a unique name for each image: its path below the folder, its file
            name in the data set, or its shard and index where that is not unique.
        labels: `(N,)` int32, or `(N, classes)` uint8 of zeros and ones where an
            image has any number of classes.
        sizes: `(N, 2)` int32, height and width as decoded, upright.
        objects: An `Objects` for each image, or `None`; boxes are in the upright image.
        files: Image files, or TFRecord shards; behind them the converted copies, in the cache,
            of AVIF, TIFF and HEIC images.
        spans: `(N, 3)` int64, file index, offset and length of the encoded image.
        skipped: Images that cannot be used.
        converted: Number of usable images that are converted to RGB, by their kind:
            `"gray"`, `"palette"`, `"CMYK"`, `"16-bit"`, `"alpha"`, `"animated"`, `"AVIF"`,
            `"TIFF"`, `"HEIC"`.
        orientations: `(N,)` uint8, EXIF orientation by which the pixels of an image have to
            be turned, 1 to 8; 1 takes them as they lie in the file. Defaults to `None`, 1
            for all.
        digests: `(N,)` uint64, equal for images whose files have the same bytes. Defaults to
            `None`, unknown.
        background: The color behind transparent images. Defaults to `"white"`.
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
    digests: Any = None
    background: str = backgrounds.WHITE

    def __post_init__(self) -> None:
        if self.orientations is None:
            object.__setattr__(self, "orientations", np.ones(len(self.ids), np.uint8))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def multi_label(self) -> bool:
        return self.labels.ndim == 2

    def select(self, selection: Any) -> "Records":
        """The records of some images.

        Args:
            selection: A boolean mask, or indices in the order of the result.
        """
        selection = np.asarray(selection)
        # NumPy takes an empty list for floats.
        indices = np.arange(len(self))[selection if selection.size else selection.astype(bool)[:0]]
        objects = self.objects and tuple(self.objects[i] for i in indices)
        return replace(
            self,
            ids=self.ids[indices],
            labels=self.labels[indices],
            sizes=self.sizes[indices],
            spans=self.spans[indices],
            orientations=self.orientations[indices],
            digests=None if self.digests is None else self.digests[indices],
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
    background: str = backgrounds.WHITE,
) -> Records:
    """Loads the records of a data set, after checking once that each image can be used.

    Every image is decoded as training decodes it, which takes a while the first
    time. The result is cached in `spp_keras` in the folder that `XDG_CACHE_HOME`
    names (`~/.cache` by default) until a file, the limits or TensorFlow change. AVIF, TIFF
    and, with the package `pillow-heif`, HEIC images are converted there, once. Color profiles
    are ignored: values are taken to be sRGB.

    Args:
        data: A folder with a folder per class (see `folders.find_images`), a folder of images
            with a table `labels.csv` or such a table (see `csv_labels.find_images`), a VOCdevkit
            tree (see `voc_devkit.find_images`), a tree of ILSVRC DET (see
            `det_devkit.find_images`), a data set prepared by TensorFlow Datasets, or the
            name of one (see `tfds_records.find_images`).
        split: Name of a split of it.
        data_dir: Folder of prepared TensorFlow Datasets. Only with a name. Defaults to
            `~/tensorflow_datasets`.
        on_error: `"skip"` lists images that cannot be used as
            `skipped`; `"fail"` stops at the first. Defaults to `"skip"`.
        max_skipped_fraction: Maximum fraction of images that are skipped; 1 takes a split of
            which no image can be used. Defaults to `0.05`.
        progress: Whether to show a bar on standard error. Defaults to `True`.
        limits: Limits on the size of an image. Defaults to `ImageLimits()`.
        orientation: `"exif"` turns images as their EXIF orientation says. Boxes are turned,
            too, if the height and width in their annotation are those of the image as it lies
            in the file; without these, or if they are equal, boxes are taken to be in the
            upright image. `"file"` takes pixels and boxes as they lie in the file. Defaults to
            `"exif"`.
        background: The color behind transparent images, a name or `"#rrggbb"`, for everything
            that is done with the records. Defaults to `"white"`.

    Returns:
        The `Records`.

    Example:

    >>> import pathlib, tempfile
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> for index, name in enumerate(("cat", "dog")):
    ...     (root / "train" / name).mkdir(parents=True)
    ...     image = np.full((20, 30 + index, 3), 255, "uint8")
    ...     keras.utils.save_img(root / "train" / name / "1.png", image)
    >>> records = load_records(root, "train")
    >>> records.classes, records.ids.tolist(), records.sizes.tolist()
    (('cat', 'dog'), ['train/cat/1.png', 'train/dog/1.png'], [[20, 30], [20, 31]])
    """
    _checks.one_of(on_error, ("skip", "fail"), "on_error")
    if max_skipped_fraction != 1:
        _checks.fraction(max_skipped_fraction, "max_skipped_fraction")
    _checks.one_of(orientation, orientations.ORIENTATIONS, "orientation")
    backgrounds.parse_background(background)
    return load_source(
        source_lookup.find_source(data, split, data_dir),
        on_error=on_error,
        max_skipped_fraction=max_skipped_fraction,
        progress=progress,
        limits=limits,
        orientation=orientation,
        background=background,
    )


def load_source(
    source: Source,
    *,
    on_error: str = "skip",
    max_skipped_fraction: float = 0.05,
    progress: bool = True,
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
    background: str = backgrounds.WHITE,
) -> Records:
    """Loads the records of a source, as `load_records` does, or from the cache.

    Args:
        source: The source.
        on_error: As for `load_records`, and so are the others.
        max_skipped_fraction: Maximum fraction of images that are skipped; 1 for all.
        progress: Whether to show a bar.
        limits: Limits on the size of an image.
        orientation: `"exif"` or `"file"`.
        background: The color behind transparent images.
    """
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
        image_conversion.describe_converters(),
    )
    arrays = cache.load(key)
    if arrays is None or not _has_copies(source, arrays):
        arrays = _inspect(source, limits, orientation, on_error, progress)
        cache.save(key, arrays)
    records = replace(_from_arrays(source, arrays), background=background)
    _check_skipped(records, on_error, max_skipped_fraction)
    return records


def _inspect(
    source: Source,
    limits: ImageLimits,
    orientation: str,
    on_error: str,
    progress: bool,
) -> dict[str, np.ndarray]:
    contents = source.read()
    columns = RecordColumns(contents.multi_label, len(source.files))
    inspected = inspection.inspect_images(contents.candidates, source.files, limits, orientation)
    bar = _progress.create_bar(
        inspected, f"Checking {source.name}", total=contents.count, disable=not progress
    )
    with contextlib.closing(inspected), bar:
        for candidate, result in bar:
            if result.reason is not None and on_error == "fail":
                skipped = Skipped(candidate.id, result.reason)
                raise ValueError(_describe_unusable(source.name, skipped))
            columns.add(candidate, result)
    return columns.to_arrays(source, contents.classes)


def _from_arrays(source: Source, arrays: dict[str, np.ndarray]) -> Records:
    objects = None
    if "objects" in arrays:
        ends = np.cumsum(arrays["objects"])[:-1]
        columns = (np.split(arrays[f"object_{field}"], ends) for field in Objects._fields)
        objects = tuple(Objects(*fields) for fields in zip(*columns, strict=True))
    converted = zip(arrays["converted"].tolist(), arrays["conversions"].tolist(), strict=True)
    skipped = zip(arrays["skipped"].tolist(), arrays["reasons"].tolist(), strict=True)
    columns_as_they_are: Any = {field: arrays[field] for field in _ARRAYS}
    return Records(
        name=source.name,
        classes=tuple(arrays["classes"].tolist()),
        files=(*source.files, *arrays["copies"].tolist()),
        objects=objects,
        skipped=tuple(Skipped(*image) for image in skipped),
        converted=dict(converted),
        **columns_as_they_are,
    )


def _has_copies(source: Source, arrays: dict[str, np.ndarray]) -> bool:
    """Whether the converted copies are there, in a cache that users may clear."""
    spans = arrays["spans"]
    lengths = spans[spans[:, 0] >= len(source.files), 2].tolist()
    files = _cache.describe_files(arrays["copies"].tolist())
    return [length for _, length, _ in files] == lengths


def _check_skipped(records: Records, on_error: str, max_skipped_fraction: float) -> None:
    skipped = records.skipped
    if skipped and on_error == "fail":
        raise ValueError(_describe_unusable(records.name, skipped[0]))
    count = len(records) + len(skipped)
    too_many = len(skipped) > max_skipped_fraction * count
    if too_many or (not len(records) and max_skipped_fraction < 1):
        lines = [f"{image.id} {image.reason}" for image in skipped[:10]]
        if len(skipped) > 10:
            lines.append(f"and {len(skipped) - 10} more")
        raise ValueError(
            "`data` must have at most a fraction of "
            f"max_skipped_fraction={max_skipped_fraction} of images that cannot be used. "
            f"Received: {records.name}, where {len(skipped)} of {count} cannot:\n  "
            + "\n  ".join(lines)
            + "\nMend or remove them, or pass a larger `max_skipped_fraction` to skip them."
        )


def _describe_unusable(name: str, image: Skipped) -> str:
    return (
        f"`data` must have no image that cannot be used, with on_error='fail'. Received: {name}, "
        f"where {image.id} {image.reason}. Mend or remove it, or pass on_error='skip'."
    )
