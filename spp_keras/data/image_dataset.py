"""Keras' `image_dataset_from_directory`, with images of any size."""

import dataclasses
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import _cache, _checks
from spp_keras.data import backgrounds, subsets
from spp_keras.data.csv_labels import make_candidates
from spp_keras.data.directory_index import DirectoryIndex, index_directory
from spp_keras.data.image_formats import SUFFIXES
from spp_keras.data.pipeline import Pipeline
from spp_keras.data.records import Records, load_source
from spp_keras.data.size_policies import SizePolicy, Warp, Whole
from spp_keras.data.sources import Contents, Source

# Arguments of Keras that have one value here, and what to do instead.
_FIXED = {
    "color_mode": ("rgb", "convert the batches, such as by `tf.image.rgb_to_grayscale` in `map`"),
    "interpolation": ("bilinear", "take `keras.utils.image_dataset_from_directory` for others"),
    "crop_to_aspect_ratio": (False, "take a `spp_keras.data.Pipeline` with `Crop`"),
    "pad_to_aspect_ratio": (False, "leave `image_size` None, which keeps the aspect ratio"),
    "format": ("tf", "take `keras.utils.image_dataset_from_directory` for grain"),
}


def image_dataset_from_directory(
    directory: str | os.PathLike,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | tuple[int, int] | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
    *,
    longest_side: int | None = None,
    background: str = backgrounds.WHITE,
) -> Any:
    """Makes a dataset of the images in a directory, each at its own size.

    As `keras.utils.image_dataset_from_directory`, with the same arguments, files, labels and
    subsets, but images keep their sizes unless `image_size` is given. Besides, images are
    turned upright as their EXIF orientation says, WebP, AVIF and TIFF are taken, hidden files are
    left out, and files that cannot be used (damaged ones, or with a side below 16 pixels) are
    left out with a warning. `file_paths` is without them. They do not move other images to
    another subset, since subsets are made before files are opened.

    Models of `spp_keras.zoo` and `spp_keras.any_size` train on it in batches laid out for
    them, on one device and on several. Where `shuffle` is true, images of similar sizes share a
    batch; otherwise batches have the order of `file_paths`. A dataset that `map` or `prefetch`
    makes of it is one of ragged batches as any other.

    Args:
        directory: The directory, with a folder for each class if `labels` is `"inferred"`.
        labels: `"inferred"` from the folders; `None`; a list of class indices, one for each
            image in the order of the paths; or the path of a CSV file that names images below
            `directory`, see `csv_labels.find_images`. Defaults to `"inferred"`.
        label_mode: `"int"`, int32 `(batch,)`; `"categorical"`, float32 `(batch, classes)`, needed
            where an image has several labels; `"binary"`, float32 `(batch, 1)`; or `None`, images
            alone. Defaults to `"int"`.
        class_names: Folders to take, in the order of the classes. Defaults to all, by name.
        color_mode: `"rgb"`.
        batch_size: Maximum number of images in a batch; `None` for a dataset of single images.
            Defaults to 32.
        image_size: Height and width that images are resized to; one for both, or a pair.
            Defaults to `None`, their own sizes.
        shuffle: Whether to shuffle the images. Defaults to `True`.
        seed: Seed of the shuffling. Defaults to a random one.
        validation_split: Fraction of the images for validation: the last ones, after shuffling.
            Defaults to `None`.
        subset: `"training"`, `"validation"` or `"both"`, with `validation_split`; or, with a CSV
            file that has a column `split`, without `validation_split`, one of its splits.
        interpolation: `"bilinear"`. Images that become less than half as large are antialiased.
        follow_links: Whether to follow links to folders. Defaults to `False`.
        crop_to_aspect_ratio: `False`.
        pad_to_aspect_ratio: `False`.
        data_format: `"channels_last"`, which must be Keras' default, too, for `None`.
        format: `"tf"`.
        verbose: Whether to print the numbers of files and classes. Defaults to `True`.
        longest_side: Images with a longer side are scaled down to it, without `image_size`.
            Defaults to `None`, no limit.
        background: The color behind transparent images, a name or `"#rrggbb"`. Defaults to
            `"white"`.

    Returns:
        A finite `tf.data.Dataset` with the attributes `class_names` and `file_paths`; two for
        `"both"`. Images are float32, 0 to 255: a `tf.RaggedTensor` `(batch, None, None, 3)`, or
        `(batch, height, width, 3)` with `image_size`.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name, width in (("cat", 40), ("dog", 50)):
    ...     (root / name).mkdir()
    ...     keras.utils.save_img(root / name / "1.png", np.zeros((30, width, 3)))
    >>> train = image_dataset_from_directory(root, shuffle=False, verbose=False)
    >>> train.class_names, [Path(path).parent.name for path in train.file_paths]
    (['cat', 'dog'], ['cat', 'dog'])
    >>> images, labels = next(iter(train))
    >>> [tuple(image.to_tensor().shape) for image in images], labels.numpy().tolist()
    ([(30, 40, 3), (30, 50, 3)], [0, 1])
    """
    given = locals()
    for name, (value, remedy) in _FIXED.items():
        if given[name] != value:
            raise ValueError(
                f"`{name}` must be {value!r}: {remedy}. Received: {name}={given[name]!r}."
            )
    _checks.channels_last_only(_checks.data_format(data_format), "datasets of images of any size")
    _checks.one_of(label_mode, ("int", "categorical", "binary", None), "label_mode")
    backgrounds.parse_background(background)
    policy = _make_size_policy(image_size, longest_side)
    if batch_size is not None:
        _checks.at_least(batch_size, 1, "batch_size")
    directory = os.fspath(directory)
    if not Path(directory).is_dir():
        raise ValueError(f"`directory` must be an existing folder. Received: {directory!r}.")
    if label_mode is None:
        labels = None
    index = index_directory(directory, labels, class_names, follow_links)
    label_mode = None if labels is None else label_mode
    validation_split = validation_split or None
    _check_label_mode(label_mode, index)
    subsets.check_subset(index.splits, validation_split, subset, shuffle, seed)
    seed = int(np.random.randint(1_000_000)) if seed is None else seed
    parts = subsets.choose_subsets(
        [file.split for file in index.files], shuffle, seed, validation_split, subset
    )
    if verbose:
        _print_counts(index, parts)
    records = _load_records(directory, index, verbose)
    datasets = []
    for name, chosen in parts.items():
        # Keras keeps the order of a validation subset that it makes beside a training subset.
        is_shuffled = shuffle and not (subset == "both" and name == "validation")
        pipeline = Pipeline(
            _choose_records(records, chosen, label_mode),
            policy,
            batch_size=batch_size or 32,
            shuffle=is_shuffled,
            seed=seed % 2**30,
            group_by_size=is_shuffled,
            background=background,
        )
        dataset = _make_dataset(pipeline, label_mode is not None, batch_size is not None)
        dataset.class_names = index.class_names
        paths = pipeline.records.ids.tolist()
        # As Keras writes them: `Path` would change "./photos".
        dataset.file_paths = [os.path.join(directory, path) for path in paths]  # noqa: PTH118
        datasets.append(dataset)
    return tuple(datasets) if subset == "both" else datasets[0]


def _make_size_policy(image_size: Any, longest_side: int | None) -> SizePolicy:
    if image_size is None:
        return Whole(longest_side=longest_side)
    if longest_side is not None:
        raise ValueError(
            "`longest_side` must be None with `image_size`, which says all about sizes. "
            f"Received: longest_side={longest_side!r} with image_size={image_size!r}."
        )
    return Warp(image_size=_checks.size_pair(image_size, "image_size"))


def _check_label_mode(label_mode: str | None, index: DirectoryIndex) -> None:
    classes = index.class_names or []
    if index.multi_label and label_mode not in ("categorical", None):
        raise ValueError(
            "`label_mode` must be 'categorical' where an image may have several labels. "
            f"Received: label_mode={label_mode!r} with labels of the classes {classes[:10]}."
        )
    if label_mode == "binary" and len(classes) != 2:
        raise ValueError(
            "`label_mode` must be 'int' or 'categorical' unless there are two classes. "
            f"Received: label_mode='binary' with {len(classes)} classes, {classes[:10]}."
        )


def _print_counts(index: DirectoryIndex, parts: dict[str, list[int]]) -> None:
    classes = "" if index.class_names is None else f" belonging to {len(index.class_names)} classes"
    print(f"Found {len(index.files)} files{classes}.")
    for name, chosen in parts.items():
        if name != "all":
            print(f"Using {len(chosen)} files for {name}.")


def _load_records(directory: str, index: DirectoryIndex, verbose: bool) -> Records:
    """Records of all subsets, with a warning about images that cannot be used."""
    if not index.files:
        raise ValueError(
            "`directory` must have images, in folders of classes if `labels` is 'inferred'. "
            f"Received: {directory!r}, with none that ends in {', '.join(sorted(SUFFIXES))}."
        )
    root, classes = Path(directory).resolve(), tuple(index.class_names or ())
    source = Source(
        name=directory,
        files=tuple(str(root / file.path) for file in index.files),
        cache_key=("directory", str(root), *classes, _cache.make_key(index.files)),
        dependencies=(),
        read=lambda: Contents(
            classes, index.multi_label, len(index.files), make_candidates(root, index.files)
        ),
    )
    # Any number: the warning says which.
    records = load_source(source, max_skipped_fraction=1.0, progress=verbose)
    reasons = [f"{image.id} {image.reason}" for image in records.skipped]
    more = f", and {len(reasons) - 10} more" if len(reasons) > 10 else ""
    if not len(records):
        raise ValueError(
            "`directory` must have an image that can be used. Received: "
            f"{directory!r}, where {', '.join(reasons[:10])}{more}."
        )
    if reasons:
        warnings.warn(
            f"{len(reasons)} of {len(index.files)} images in {directory!r} are left out, since "
            f"they cannot be used: {', '.join(reasons[:10])}{more}.",
            stacklevel=3,
        )
    return records


def _choose_records(records: Records, chosen: list[int], label_mode: str | None) -> Records:
    """The usable ones of some files, with labels as the mode says."""
    positions = {file: position for position, file in enumerate(records.spans[:, 0].tolist())}
    usable = [positions[file] for file in chosen if file in positions]
    if not usable:
        raise ValueError(
            "`subset` must have images that can be used. "
            f"Received: {records.name!r}, where {len(chosen)} images cannot."
        )
    records = records.select(usable)
    labels = records.labels
    if label_mode is None:
        labels = np.zeros((len(records), 0), np.uint8)
    elif label_mode == "binary":
        labels = labels[:, None].astype(np.uint8)
    elif label_mode == "categorical" and not records.multi_label:
        labels = np.eye(len(records.classes), dtype=np.uint8)[labels]
    return dataclasses.replace(records, labels=labels)


def _make_dataset(pipeline: Pipeline, has_labels: bool, is_batched: bool) -> tf.data.Dataset:
    """The dataset of a pipeline, as Keras gives it, which our models take as the pipeline."""
    size = (None, None) if pipeline.mixed else pipeline.size_policy.size  # type: ignore[union-attr]
    dataset = pipeline.dataset(batch_format="ragged" if is_batched else "padded")
    if not has_labels:
        dataset = dataset.map(lambda images, labels: (images,))
    if not is_batched:
        # After labels of no width are dropped: TensorFlow crashes where it takes them apart.
        dataset = dataset.unbatch()
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(pipeline.records)))

    def convert(images: Any, *labels: Any) -> Any:
        if isinstance(images, dict):
            height, width = tf.unstack(images["sizes"])
            images = images["images"][:height, :width]
        images = tf.cast(images, tf.float32)
        if isinstance(images, tf.Tensor):
            images = tf.ensure_shape(images, (*[None] * is_batched, *size, 3))
        return (images, *labels) if labels else images

    dataset = dataset.map(convert, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    if is_batched:
        # See `Pipeline.dataset`.
        dataset.batches_for = pipeline.batches_for
        dataset.steps_per_epoch = pipeline.steps_per_epoch
    return dataset
