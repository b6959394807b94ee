"""What is known of images before anything is trained on them, as text, JSON and a page."""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spp_keras import _files
from spp_keras.data.sources import Skipped
from spp_keras.image_summary import (
    batch_fill,
    class_counts,
    file_findings,
    image_set,
    size_statistics,
    summary_text,
    training_plan,
)
from spp_keras.image_summary.batch_fill import BatchFill
from spp_keras.image_summary.class_counts import ClassCount
from spp_keras.image_summary.file_findings import SamePicture
from spp_keras.image_summary.image_set import ImageSet
from spp_keras.image_summary.size_statistics import Range
from spp_keras.image_summary.training_plan import TrainingPlan

_WORST = 10


@dataclass(frozen=True)
class CroppedImage:
    """An image of which a center crop shows least.

    Args:
        image: Its name.
        height: In pixels, upright.
        width: Likewise.
        aspect: The longer side over the shorter one.
        lost: Share of its area outside the crop.
    """

    image: str
    height: int
    width: int
    aspect: float
    lost: float


@dataclass(frozen=True, eq=False)
class ImageSummary:
    """What a set of images looks like to a network; the keys of its JSON have these names.

    Numbers of sizes are of images that can be used, upright, in all splits together. They are
    `None`, and lists are empty, where there is no such image.

    Args:
        data: Path or name, as it was given.
        splits: By the name of each split how many images of it can be used; `""` is the name
            where there are no splits.
        images: How many that are.
        classes: Name and number of images of each class, the largest first; none for images
            without labels.
        class_skew: The largest class over the smallest that has images, or `None`.
        width: Smallest, median and largest width.
        height: Smallest, median and largest height.
        aspect: The longer side over the shorter one: smallest, median and largest.
        shapes: Shares of `"upright"`, `"lying"`, `"square"` (aspect below 1.1) and
            `"panorama"` (2 or more) images.
        bent: Shares of images whose aspect is above `"1.5"` and above `"2"`: by so much
            warping to a square bends them.
        crop_loss: Share of the area of an image that a center crop of 224 throws away when
            the short side is scaled to 256: smallest, median and largest.
        most_cropped: The ten images of which it throws away most.
        turned: How many images EXIF turns.
        skipped: Name of each image that cannot be used, and the reason.
        converted: How many images are converted to RGB, by their kind.
        same_pictures: Images whose files have the same bytes, with their classes and splits.
        too_small: By the name of each network of the zoo for any size, how many images have a
            side that is too short.
        large: Names of images above 24 megapixels.
        batches: Shares of padding in batches of 32, with one image a canvas and with several.
        training: The command to train, reasons, warnings, seconds and what prevents it.
        image_set: The images themselves, in no JSON.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> keras.utils.save_img(root / "1.png", np.zeros((20, 40, 3)))
    >>> summary = summarize_images(root)
    >>> summary.shapes["panorama"], round(summary.crop_loss.max, 1)
    (1.0, 0.6)
    """

    data: str
    splits: dict[str, int]
    images: int
    classes: tuple[ClassCount, ...]
    class_skew: float | None
    width: Range | None
    height: Range | None
    aspect: Range | None
    shapes: dict[str, float] | None
    bent: dict[str, float] | None
    crop_loss: Range | None
    most_cropped: tuple[CroppedImage, ...]
    turned: int
    skipped: tuple[Skipped, ...]
    converted: dict[str, int]
    same_pictures: tuple[SamePicture, ...]
    too_small: dict[str, int]
    large: tuple[str, ...]
    batches: tuple[BatchFill, ...]
    training: TrainingPlan
    image_set: ImageSet

    def to_text(self) -> str:
        """The summary in lines of up to 80 characters."""
        return summary_text.write_text(self)

    def to_json(self) -> str:
        """The summary as JSON, whose keys are listed above."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["image_set"]
        return json.dumps({name: _to_plain(value) for name, value in fields.items()}, indent=2)

    def write_html(self, path: str | Path) -> Path:
        """Writes the summary as one page of HTML that loads nothing from elsewhere.

        Args:
            path: Path of the file, ending in `.html`.

        Returns:
            The path.
        """
        # Loaded here, since it draws on the reports about runs.
        from spp_keras.image_summary import summary_page

        path = Path(path)
        if path.suffix.lower() != ".html" or path.is_dir():
            raise ValueError(
                f"`path` must be a file ending in .html. Received: path={str(path)!r}."
            )
        _files.write_file(path, summary_page.render_page(self))
        return path


def summarize_images(
    data: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    *,
    estimate: bool = True,
    progress: bool = True,
) -> ImageSummary:
    """Says what images look like to a network, before anything is trained on them.

    Each image is checked as `load_records` does, once. A folder that cannot be trained on is
    summarized, too: images without folders of classes, a single class, damaged files.

    Args:
        data: Image folder or name of a data set, as for `load_records`.
        data_dir: Folder of prepared TensorFlow Datasets. Only with a name. Defaults to `None`.
        estimate: Whether to estimate how long a training takes, for which this machine is
            measured for a second. Defaults to `True`.
        progress: Whether to show a bar on standard error. Defaults to `True`.

    Returns:
        An `ImageSummary`.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for index, name in enumerate(("cat", "dog")):
    ...     (root / name).mkdir()
    ...     keras.utils.save_img(root / name / "1.png", np.zeros((30, 40 + index, 3)))
    >>> summary = summarize_images(root)
    >>> summary.images, summary.width.max
    (2, 41.0)
    """
    images = image_set.load_images(data, data_dir, progress=progress)
    counts = class_counts.count_classes(images)
    plan, recipe = training_plan.plan_training(
        images,
        os.fspath(data),
        None if data_dir is None else os.fspath(data_dir),
        estimate=estimate,
    )
    return ImageSummary(
        data=os.fspath(data),
        splits={name: len(part) for name, part in zip(images.splits, images.parts, strict=True)},
        images=len(images.sizes),
        classes=counts,
        class_skew=class_counts.compute_skew(counts),
        turned=int((images.orientations != 1).sum()),
        skipped=images.skipped,
        converted=images.converted,
        same_pictures=file_findings.list_same_pictures(images),
        batches=batch_fill.measure_batch_fill(images, recipe),
        training=plan,
        image_set=images,
        **_measure_sizes(images),
    )


def _measure_sizes(images: ImageSet) -> dict[str, Any]:
    """The fields that are about heights and widths."""
    sizes = images.sizes
    if not len(sizes):
        missing = ("width", "height", "aspect", "shapes", "bent", "crop_loss")
        return {**dict.fromkeys(missing), "most_cropped": (), "too_small": {}, "large": ()}
    ids, aspects = images.ids, size_statistics.compute_aspects(sizes)
    losses = size_statistics.compute_crop_losses(sizes)
    is_large = sizes.prod(axis=1, dtype="int64") > size_statistics.LARGE_PIXELS
    return {
        "width": size_statistics.measure_range(sizes[:, 1]),
        "height": size_statistics.measure_range(sizes[:, 0]),
        "aspect": size_statistics.measure_range(aspects),
        "shapes": size_statistics.measure_shapes(sizes),
        "bent": {str(limit): float((aspects > limit).mean()) for limit in (1.5, 2)},
        "crop_loss": size_statistics.measure_range(losses),
        "most_cropped": tuple(
            CroppedImage(
                ids[i], int(sizes[i, 0]), int(sizes[i, 1]), float(aspects[i]), float(losses[i])
            )
            for i in np.argsort(-losses, kind="stable")[:_WORST]
        ),
        "too_small": file_findings.count_too_small(sizes),
        "large": tuple(ids[i] for i in np.flatnonzero(is_large)),
    }


def _to_plain(value: Any) -> Any:
    """Dictionaries, lists and values that JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _to_plain(dataclasses.asdict(value))
    if hasattr(value, "_asdict"):
        return _to_plain(value._asdict())
    if isinstance(value, dict):
        return {name: _to_plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_to_plain(one) for one in value]
    return value
