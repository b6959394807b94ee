"""Size policies: which part of an image is taken, and the size that it is resized to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from spp_keras import _checks, geometry

# The paper's: views of 224 pixels, from images whose shorter side has 256.
PAPER_IMAGE_SIZE, PAPER_SHORT_SIDE = 224, 256
# Limits the memory that whole images take where nothing else does.
DEFAULT_LONGEST_SIDE = 1024

CropPosition = Literal["corners", "random", "center"]


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Square crops, all of one size in an epoch, so that batches are dense.

    As in the paper: the image is scaled to a shorter side, its aspect ratio kept; the crop
    is as large as the largest of `image_sizes`; in an epoch of a smaller image size the same
    crop is resized.

    Args:
        image_sizes: One image size, or those that `schedule` chooses from.
        schedule: `"cycle"`, one after the other, an epoch each; or `"range"`, in each epoch
            one drawn from between the smallest and the largest. Defaults to `"cycle"`.
        short_side: Length that the shorter side is scaled to. Defaults to 256.
        position: `"corners"`, the center and the four corners of the whole image;
            `"random"`, anywhere; or `"center"`. Defaults to `"corners"`.

    Example:

    >>> policy = Crop(image_sizes=(224, 180))
    >>> [int(policy.epoch_size(epoch, seed=0)) for epoch in range(3)]
    [224, 180, 224]
    """

    image_sizes: Sequence[int]
    schedule: Literal["cycle", "range"] = "cycle"
    short_side: int = PAPER_SHORT_SIDE
    position: CropPosition = "corners"

    def __post_init__(self) -> None:
        if not isinstance(self.image_sizes, Sequence) or not self.image_sizes:
            raise ValueError(
                "`image_sizes` must be a non-empty sequence of ints. "
                f"Received: image_sizes={self.image_sizes!r}."
            )
        for image_size in self.image_sizes:
            _checks.at_least(image_size, 1, "image_sizes")
        _checks.one_of(self.schedule, ("cycle", "range"), "schedule")
        _checks.one_of(self.position, ("corners", "random", "center"), "position")
        if _checks.at_least(self.short_side, 1, "short_side") < max(self.image_sizes):
            raise ValueError(
                "`short_side` must be at least the largest of `image_sizes`, which is cropped "
                f"from it. Received: short_side={self.short_side} with "
                f"image_sizes={tuple(self.image_sizes)}."
            )

    def epoch_size(self, epoch: Any, seed: int) -> tf.Tensor:
        """The image size of an epoch."""
        epoch = tf.cast(epoch, tf.int32)
        if self.schedule == "cycle":
            return tf.gather(tf.constant(self.image_sizes), epoch % len(self.image_sizes))
        return tf.random.stateless_uniform(
            (), (seed, epoch), min(self.image_sizes), max(self.image_sizes) + 1, tf.int32
        )

    def windows(self, sizes: Any, positions: Any) -> tf.Tensor:
        """The cropped parts of images: int32 `(n, 4)`, top, left, height, width.

        Args:
            sizes: int32 `(n, 2)`, heights and widths of the images.
            positions: float `(n, 2)`, uniform random numbers in [0, 1).
        """
        sizes, positions = tf.convert_to_tensor(sizes, tf.int32), tf.cast(positions, tf.float64)
        shorter = tf.cast(tf.reduce_min(sizes, axis=1), tf.float64)
        extent = tf.cast(shorter * (max(self.image_sizes) / self.short_side) + 0.5, tf.int32)
        extent = tf.tile(tf.maximum(1, extent)[:, None], [1, 2])
        margin = sizes - extent
        if self.position == "corners":
            halves = tf.constant([(1, 1), (0, 0), (0, 2), (2, 0), (2, 2)])
            corner = margin * tf.gather(halves, tf.cast(positions[:, 0] * 5, tf.int32)) // 2
        elif self.position == "random":
            corner = tf.cast(positions * tf.cast(margin + 1, tf.float64), tf.int32)
        else:
            corner = margin // 2
        return tf.concat([corner, extent], axis=1)

    def window_and_size(self, size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The window at the center of one image, and the size that it is resized to.

        Args:
            size: int32 `(2,)`, height and width.

        Returns:
            int32 `(4,)`, top, left, height and width; and int32 `(2,)`.
        """
        image_size = max(self.image_sizes)
        center = replace(self, image_sizes=(image_size,), position="center")
        window = center.windows(size[None], tf.zeros((1, 2)))[0]
        return window, tf.constant([image_size, image_size])

    def max_pixels(self, aspect: float) -> int:
        """Pixels of the largest resized image, whatever its aspect ratio was."""
        return max(self.image_sizes) ** 2

    def output_sizes(self, sizes: np.ndarray) -> None:
        """`None`: every image of a batch has the same size."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Whole images at their own aspect ratio, so that batches have mixed sizes.

    Args:
        short_side: Length that the shorter side is scaled to. Defaults to
            `None`, the image's own size.
        longest_side: Images with a longer side are scaled down to it. Defaults
            to `None`, no limit.

    Example:

    >>> Whole(short_side=256).output_sizes(np.array([[375, 500]])).tolist()
    [[256, 341]]
    """

    short_side: int | None = None
    longest_side: int | None = None

    def __post_init__(self) -> None:
        for name in ("short_side", "longest_side"):
            if getattr(self, name) is not None:
                _checks.at_least(getattr(self, name), 1, name)

    def output_sizes(self, sizes: np.ndarray) -> np.ndarray:
        """Heights and widths of resized images: int32 `(n, 2)` from `(n, 2)`."""
        return self._scale_sizes(tf.constant(sizes, tf.int64)).numpy()

    def window_and_size(self, size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The window that covers one image, and the size that it is resized to.

        Args:
            size: int32 `(2,)`, height and width.

        Returns:
            int32 `(4,)`, top, left, height and width; and int32 `(2,)`.
        """
        size = tf.cast(size, tf.int32)
        return tf.concat([[0, 0], size], axis=0), self._scale_sizes(size[None])[0]

    def max_pixels(self, aspect: float) -> int | None:
        """Pixels of the largest resized image, `None` where there is no limit.

        Args:
            aspect: Maximum ratio of the longer side to the shorter side.
        """
        limits = []
        if self.short_side is not None:
            limits.append(int(self.short_side**2 * aspect))
        if self.longest_side is not None:
            limits.append(self.longest_side**2)
        return min(limits, default=None)

    def _scale_sizes(self, sizes: Any) -> tf.Tensor:
        sizes = targets = tf.cast(sizes, tf.int64)
        if self.short_side is not None:
            shorter = tf.reduce_min(sizes, axis=1, keepdims=True)
            targets = geometry.scale_side(sizes, shorter, self.short_side)
        if self.longest_side is not None:
            longer = tf.reduce_max(sizes, axis=1, keepdims=True)
            too_long = tf.reduce_max(targets, axis=1, keepdims=True) > self.longest_side
            limited = geometry.scale_side(sizes, longer, self.longest_side)
            targets = tf.where(too_long, limited, targets)
        return tf.cast(targets, tf.int32)


@dataclass(frozen=True, kw_only=True)
class Warp:
    """Whole images resized to one size, mostly a square, whatever their aspect ratio.

    Nothing is cropped, but shapes are distorted.

    Args:
        image_size: Height and width that images are resized to: one for both, or a pair.

    Example:

    >>> window, target = Warp(image_size=224).window_and_size(tf.constant([375, 500]))
    >>> window.numpy().tolist(), target.numpy().tolist()
    ([0, 0, 375, 500], [224, 224])
    """

    image_size: int | tuple[int, int]

    def __post_init__(self) -> None:
        if isinstance(self.image_size, tuple):
            _checks.size_pair(self.image_size, "image_size")
        else:
            _checks.at_least(self.image_size, 1, "image_size")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every resized image."""
        return _checks.size_pair(self.image_size, "image_size")

    def epoch_size(self, epoch: Any, seed: int) -> tf.Tensor:
        """The image size of an epoch, the same in each; height and width of a pair."""
        return tf.constant(self.image_size)

    def windows(self, sizes: Any, positions: Any) -> tf.Tensor:
        """Windows that cover the images: int32 `(n, 4)`, top, left, height and width."""
        sizes = tf.cast(sizes, tf.int32)
        return tf.concat([tf.zeros_like(sizes), sizes], axis=1)

    def window_and_size(self, size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The window that covers one image, and the size that it is resized to."""
        size = tf.cast(size, tf.int32)
        return tf.concat([[0, 0], size], axis=0), tf.constant(self.size)

    def max_pixels(self, aspect: float) -> int:
        """Pixels of every resized image."""
        return self.size[0] * self.size[1]

    def output_sizes(self, sizes: np.ndarray) -> None:
        """`None`: every image of a batch has the same size."""


SizePolicy = Crop | Whole | Warp


def center_crop(image_size: int) -> Crop:
    """The paper's center crop for testing: 224 of a short side of 256, or in proportion.

    Example:

    >>> center_crop(112).short_side
    128
    """
    return Crop(image_sizes=(image_size,), short_side=short_side_for(image_size), position="center")


def short_side_for(image_size: int) -> int:
    """The short side that crops of an image size are taken from: 256 for 224, or in proportion.

    Example:

    >>> short_side_for(112)
    128
    """
    return round(
        _checks.at_least(image_size, 1, "image_size") * PAPER_SHORT_SIDE / PAPER_IMAGE_SIZE
    )


def image_size_for(short_side: int) -> int:
    """The image size of crops from a short side: 224 for 256, or in proportion.

    Example:

    >>> image_size_for(256), image_size_for(128)
    (224, 112)
    """
    return round(
        _checks.at_least(short_side, 1, "short_side") * PAPER_IMAGE_SIZE / PAPER_SHORT_SIDE
    )


def policy_to_dict(policy: SizePolicy) -> dict[str, Any]:
    """A policy as a dictionary for JSON; `policy_from_dict` is the inverse.

    Example:

    >>> policy_to_dict(Whole(short_side=256))
    {'policy': 'Whole', 'short_side': 256, 'longest_side': None}
    """
    return {"policy": type(policy).__name__, **asdict(policy)}


def policy_from_dict(values: dict[str, Any]) -> SizePolicy:
    """The policy that `policy_to_dict` turned into a dictionary."""
    policies = {"Crop": Crop, "Whole": Whole, "Warp": Warp}
    arguments = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name != "policy"
    }
    return policies[values["policy"]](**arguments)
