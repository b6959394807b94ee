"""Size policies: what part of an image is taken, and how large it is then."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from spp_keras import _checks

# Of whole images, where nobody says how large they may be and memory must.
DEFAULT_LONGEST_SIDE = 1024

CropPosition = Literal["corners", "random", "centre"]


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Square crops, in each epoch of one size, so that batches are dense.

    As in the paper: the image is brought to a short side, its aspect kept; the
    crop is as large as the largest of `sides`; in an epoch of a smaller side
    the same crop is resized.

    Args:
        sides: The sizes. One, or those that `draw` chooses from.
        draw: `"cycle"`, one after the other, an epoch each; or `"range"`, in
            each epoch one drawn from between the least and the largest.
            Defaults to `"cycle"`.
        short_side: Length that the shorter side is brought to. Defaults to 256.
        positions: `"corners"`, the centre and the four corners of the whole
            image; `"random"`, anywhere; or `"centre"`. Defaults to `"corners"`.

    Example:

    >>> policy = Crops(sides=(224, 180))
    >>> [int(policy.side(epoch, seed=0)) for epoch in range(3)]
    [224, 180, 224]
    """

    sides: Sequence[int]
    draw: Literal["cycle", "range"] = "cycle"
    short_side: int = 256
    positions: CropPosition = "corners"

    def __post_init__(self) -> None:
        if not isinstance(self.sides, Sequence) or not self.sides:
            raise ValueError(
                f"`sides` must be a non-empty sequence of ints. Received: sides={self.sides!r}."
            )
        for side in self.sides:
            _checks.at_least(side, 1, "sides")
        _checks.one_of(self.draw, ("cycle", "range"), "draw")
        _checks.one_of(self.positions, ("corners", "random", "centre"), "positions")
        if _checks.at_least(self.short_side, 1, "short_side") < max(self.sides):
            raise ValueError(
                "`short_side` must be at least the largest of `sides`, which is cut from it. "
                f"Received: short_side={self.short_side} with sides={tuple(self.sides)}."
            )

    def side(self, epoch: Any, seed: int) -> tf.Tensor:
        """The size of an epoch."""
        epoch = tf.cast(epoch, tf.int32)
        if self.draw == "cycle":
            return tf.gather(tf.constant(self.sides), epoch % len(self.sides))
        return tf.random.stateless_uniform(
            (), (seed, epoch), min(self.sides), max(self.sides) + 1, tf.int32
        )

    def windows(self, sizes: Any, places: Any) -> tf.Tensor:
        """The parts of images that are taken: int32 `(n, 4)`, top, left, height, width.

        Args:
            sizes: int32 `(n, 2)`, heights and widths of the images.
            places: float `(n, 2)` in [0, 1), drawn for each.
        """
        sizes, places = tf.convert_to_tensor(sizes, tf.int32), tf.cast(places, tf.float64)
        short = tf.cast(tf.reduce_min(sizes, axis=1), tf.float64)
        side = tf.cast(short * (max(self.sides) / self.short_side) + 0.5, tf.int32)
        side = tf.tile(tf.maximum(1, side)[:, None], [1, 2])
        room = sizes - side
        if self.positions == "corners":
            corners = tf.constant([(1, 1), (0, 0), (0, 2), (2, 0), (2, 2)])
            corner = room * tf.gather(corners, tf.cast(places[:, 0] * 5, tf.int32)) // 2
        elif self.positions == "random":
            corner = tf.cast(places * tf.cast(room + 1, tf.float64), tf.int32)
        else:
            corner = room // 2
        return tf.concat([corner, side], axis=1)

    def frame(self, size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The window of one image at the centre, and what it is resized to.

        Args:
            size: int32 `(2,)`, height and width.

        Returns:
            int32 `(4,)`, top, left, height and width; and int32 `(2,)`.
        """
        side = max(self.sides)
        centre = replace(self, sides=(side,), positions="centre")
        return centre.windows(size[None], tf.zeros((1, 2)))[0], tf.constant([side, side])

    def most_pixels(self, aspect: float) -> int:
        """Pixels of the largest image that is sent, whatever its aspect was."""
        return max(self.sides) ** 2

    def shapes(self, sizes: np.ndarray) -> None:
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

    >>> Whole(short_side=256).shapes(np.array([[375, 500]])).tolist()
    [[256, 341]]
    """

    short_side: int | None = None
    longest_side: int | None = None

    def __post_init__(self) -> None:
        for name in ("short_side", "longest_side"):
            if getattr(self, name) is not None:
                _checks.at_least(getattr(self, name), 1, name)

    def shapes(self, sizes: np.ndarray) -> np.ndarray:
        """Height and width of images as they are sent: int32 `(n, 2)` from `(n, 2)`."""
        return self._targets(tf.constant(sizes, tf.int64)).numpy()

    def frame(self, size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The window of one image that is all of it, and what it is resized to.

        Args:
            size: int32 `(2,)`, height and width.

        Returns:
            int32 `(4,)`, top, left, height and width; and int32 `(2,)`.
        """
        size = tf.cast(size, tf.int32)
        return tf.concat([[0, 0], size], axis=0), self._targets(size[None])[0]

    def most_pixels(self, aspect: float) -> int | None:
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
        square: Side of the square.

    Example:

    >>> window, target = Warped(square=224).frame(tf.constant([375, 500]))
    >>> window.numpy().tolist(), target.numpy().tolist()
    ([0, 0, 375, 500], [224, 224])
    """

    square: int

    def __post_init__(self) -> None:
        _checks.at_least(self.square, 1, "square")

    def side(self, epoch: Any, seed: int) -> tf.Tensor:
        """The size of an epoch, the same in each."""
        return tf.constant(self.square)

    def windows(self, sizes: Any, places: Any) -> tf.Tensor:
        """All of each image: int32 `(n, 4)`, top, left, height and width."""
        sizes = tf.cast(sizes, tf.int32)
        return tf.concat([tf.zeros_like(sizes), sizes], axis=1)

    def frame(self, size: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The window of one image that is all of it, and the square it is resized to."""
        size = tf.cast(size, tf.int32)
        return tf.concat([[0, 0], size], axis=0), tf.constant([self.square] * 2)

    def most_pixels(self, aspect: float) -> int:
        """Pixels of every image that is sent."""
        return self.square**2

    def shapes(self, sizes: np.ndarray) -> None:
        """`None`: every image of a batch has the same size."""


SizePolicy = Crop | Whole | Warp


def center_crop(side: int) -> Crop:
    """The crop at the centre that the paper tests by: 224 of a short side of 256, or in proportion.

    Example:

    >>> centre(112).short_side
    128
    """
    return Crop(sides=(side,), short_side=round(side * 256 / 224), positions="centre")


def policy_to_dict(policy: SizePolicy) -> dict[str, Any]:
    """A policy as JSON can hold it; `from_dict` makes the same policy of it.

    Example:

    >>> as_dict(Whole(short_side=256))
    {'policy': 'Whole', 'short_side': 256, 'longest_side': None}
    """
    return {"policy": type(policy).__name__, **asdict(policy)}


def policy_from_dict(values: dict[str, Any]) -> SizePolicy:
    """The policy that `as_dict` was given."""
    policy = {"Crops": Crop, "Whole": Whole, "Warped": Warp}[values["policy"]]
    keys = {key: value for key, value in values.items() if key != "policy"}
    return policy(**{key: tuple(v) if isinstance(v, list) else v for key, v in keys.items()})


def _scaled(sizes: Any, length: int, reference: Any) -> tf.Tensor:
    """Sizes by the factor that makes the reference so long, rounded, in integers."""
    return tf.maximum(tf.cast(1, tf.int64), (2 * sizes * length + reference) // (2 * reference))
