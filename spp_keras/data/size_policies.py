"""Size policies: what part of an image is taken, and how large it is then."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from spp_keras import _checks

# Of whole images, where nobody says how large they may be and memory must.
DEFAULT_LONGEST_SIDE = 1024

CropPosition = Literal["corners", "random", "center"]


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Square crops, in each epoch of one size, so that batches are dense.

    As in the paper: the image is brought to a short side, its aspect kept; the
    crop is as large as the largest of `image_sizes`; in an epoch of a smaller side
    the same crop is resized.

    Args:
        image_sizes: The sizes. One, or those that `schedule` chooses from.
        schedule: `"cycle"`, one after the other, an epoch each; or `"range"`, in
            each epoch one drawn from between the least and the largest.
            Defaults to `"cycle"`.
        short_side: Length that the shorter side is brought to. Defaults to 256.
        position: `"corners"`, the center and the four corners of the whole
            image; `"random"`, anywhere; or `"center"`. Defaults to `"corners"`.

    Example:

    >>> policy = Crop(image_sizes=(224, 180))
    >>> [int(policy.side(epoch, seed=0)) for epoch in range(3)]
    [224, 180, 224]
    """

    image_sizes: Sequence[int]
    schedule: Literal["cycle", "range"] = "cycle"
    short_side: int = 256
    position: CropPosition = "corners"

    def __post_init__(self) -> None:
        if not isinstance(self.image_sizes, Sequence) or not self.image_sizes:
            raise ValueError(
                f"`image_sizes` must be a non-empty sequence of ints. Received: image_sizes={self.image_sizes!r}."
            )
        for image_size in self.image_sizes:
            _checks.at_least(image_size, 1, "image_sizes")
        _checks.one_of(self.schedule, ("cycle", "range"), "schedule")
        _checks.one_of(self.position, ("corners", "random", "center"), "position")
        if _checks.at_least(self.short_side, 1, "short_side") < max(self.image_sizes):
            raise ValueError(
                "`short_side` must be at least the largest of `image_sizes`, which is cut from it. "
                f"Received: short_side={self.short_side} with image_sizes={tuple(self.image_sizes)}."
            )

    def epoch_size(self, epoch: Any, seed: int) -> tf.Tensor:
        """The size of an epoch."""
        epoch = tf.cast(epoch, tf.int32)
        if self.schedule == "cycle":
            return tf.gather(tf.constant(self.image_sizes), epoch % len(self.image_sizes))
        return tf.random.stateless_uniform(
            (), (seed, epoch), min(self.image_sizes), max(self.image_sizes) + 1, tf.int32
        )

    def windows(self, sizes: Any, places: Any) -> tf.Tensor:
        """The parts of images that are taken: int32 `(n, 4)`, top, left, height, width.

        Args:
            sizes: int32 `(n, 2)`, heights and widths of the images.
            places: float `(n, 2)` in [0, 1), drawn for each.
        """
        sizes, places = tf.convert_to_tensor(sizes, tf.int32), tf.cast(places, tf.float64)
        short = tf.cast(tf.reduce_min(sizes, axis=1), tf.float64)
        image_size = tf.cast(short * (max(self.image_sizes) / self.short_side) + 0.5, tf.int32)
        image_size = tf.tile(tf.maximum(1, image_size)[:, None], [1, 2])
        room = sizes - image_size
        if self.position == "corners":
            corners = tf.constant([(1, 1), (0, 0), (0, 2), (2, 0), (2, 2)])
            corner = room * tf.gather(corners, tf.cast(places[:, 0] * 5, tf.int32)) // 2
        elif self.position == "random":
            corner = tf.cast(places * tf.cast(room + 1, tf.float64), tf.int32)
        else:
            corner = room // 2
        return tf.concat([corner, image_size], axis=1)

    def window_and_size(self, size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The window of one image at the center, and what it is resized to.

        Args:
            size: int32 `(2,)`, height and width.

        Returns:
            int32 `(4,)`, top, left, height and width; and int32 `(2,)`.
        """
        image_size = max(self.image_sizes)
        center = replace(self, image_sizes=(image_size,), position="center")
        return center.windows(size[None], tf.zeros((1, 2)))[0], tf.constant(
            [image_size, image_size]
        )

    def max_pixels(self, aspect: float) -> int:
        """Pixels of the largest image that is sent, whatever its aspect was."""
        return max(self.image_sizes) ** 2

    def output_sizes(self, sizes: np.ndarray) -> None:
        """`None`: every image of a batch has the same size."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Whole images at their own aspect, so that batches are mixed.

    Args:
        short_side: Length that the shorter side is brought to. Defaults to
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
        """Height and width of images as they are sent: int32 `(n, 2)` from `(n, 2)`."""
        return self._targets(tf.constant(sizes, tf.int64)).numpy()

    def window_and_size(self, size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The window of one image that is all of it, and what it is resized to.

        Args:
            size: int32 `(2,)`, height and width.

        Returns:
            int32 `(4,)`, top, left, height and width; and int32 `(2,)`.
        """
        size = tf.cast(size, tf.int32)
        return tf.concat([[0, 0], size], axis=0), self._targets(size[None])[0]

    def max_pixels(self, aspect: float) -> int | None:
        """Pixels of the largest image that is sent, `None` where there is no limit.

        Args:
            aspect: How many times as long as the shorter side the longer may be.
        """
        limits = []
        if self.short_side is not None:
            limits.append(int(self.short_side**2 * aspect))
        if self.longest_side is not None:
            limits.append(self.longest_side**2)
        return min(limits, default=None)

    def _targets(self, sizes: Any) -> tf.Tensor:
        sizes = targets = tf.cast(sizes, tf.int64)
        if self.short_side is not None:
            shorter = tf.reduce_min(sizes, axis=1, keepdims=True)
            targets = _scaled(sizes, self.short_side, shorter)
        if self.longest_side is not None:
            longer = tf.reduce_max(sizes, axis=1, keepdims=True)
            too_long = tf.reduce_max(targets, axis=1, keepdims=True) > self.longest_side
            targets = tf.where(too_long, _scaled(sizes, self.longest_side, longer), targets)
        return tf.cast(targets, tf.int32)


@dataclass(frozen=True, kw_only=True)
class Warp:
    """Whole images squeezed into a square, whatever their aspect.

    Nothing is cut off, but shape is lost: the other way out for networks of one size.

    Args:
        image_size: Side of the square.

    Example:

    >>> window, target = Warp(image_size=224).window_and_size(tf.constant([375, 500]))
    >>> window.numpy().tolist(), target.numpy().tolist()
    ([0, 0, 375, 500], [224, 224])
    """

    image_size: int

    def __post_init__(self) -> None:
        _checks.at_least(self.image_size, 1, "image_size")

    def epoch_size(self, epoch: Any, seed: int) -> tf.Tensor:
        """The size of an epoch, the same in each."""
        return tf.constant(self.image_size)

    def windows(self, sizes: Any, places: Any) -> tf.Tensor:
        """All of each image: int32 `(n, 4)`, top, left, height and width."""
        sizes = tf.cast(sizes, tf.int32)
        return tf.concat([tf.zeros_like(sizes), sizes], axis=1)

    def window_and_size(self, size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The window of one image that is all of it, and the square it is resized to."""
        size = tf.cast(size, tf.int32)
        return tf.concat([[0, 0], size], axis=0), tf.constant([self.image_size] * 2)

    def max_pixels(self, aspect: float) -> int:
        """Pixels of every image that is sent."""
        return self.image_size**2

    def output_sizes(self, sizes: np.ndarray) -> None:
        """`None`: every image of a batch has the same size."""


SizePolicy = Crop | Whole | Warp


def center_crop(image_size: int) -> Crop:
    """The crop at the center that the paper tests by: 224 of a short side of 256, or in proportion.

    Example:

    >>> center(112).short_side
    128
    """
    return Crop(
        image_sizes=(image_size,), short_side=round(image_size * 256 / 224), position="center"
    )


def policy_to_dict(policy: SizePolicy) -> dict[str, Any]:
    """A policy as JSON can hold it; `policy_from_dict` makes the same policy of it.

    Example:

    >>> policy_to_dict(Whole(short_side=256))
    {'policy': 'Whole', 'short_side': 256, 'longest_side': None}
    """
    return {"policy": type(policy).__name__, **asdict(policy)}


def policy_from_dict(values: dict[str, Any]) -> SizePolicy:
    """The policy that `policy_to_dict` was given."""
    policy = {"Crops": Crop, "Whole": Whole, "Warped": Warp}[values["policy"]]
    keys = {key: value for key, value in values.items() if key != "policy"}
    return policy(**{key: tuple(v) if isinstance(v, list) else v for key, v in keys.items()})


def _scaled(sizes: Any, length: int, reference: Any) -> tf.Tensor:
    """Sizes by the factor that makes the reference so long, rounded, in integers."""
    return tf.maximum(tf.cast(1, tf.int64), (2 * sizes * length + reference) // (2 * reference))
