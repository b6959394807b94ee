"""One warning where images are scaled to 0..1 and a network expects 0..255."""

import warnings
from typing import Any

import keras
import numpy as np

# The mean over replicas of this code and any number of the others, 0 and 1, is still above 1.
_OUTSIDE_UNIT_RANGE = 1e9


class RangeCheck:
    """Checks images until their values tell their range, and warns once if it is 0..1.

    Args:
        name: Name of the model that expects values 0..255, for the warning; `None`
            where the expected range is unknown.

    Example:

    >>> check = RangeCheck("pets")
    >>> check.check(np.array([0, 1, 0])), check.check(np.array([0.0, 128.0]))
    (None, None)
    >>> check.done
    True
    """

    def __init__(self, name: str | None):
        self.name = name
        self.done = name is None

    def check(self, images: Any) -> None:
        """Checks images with concrete values; symbolic ones are ignored."""
        if not self.done and _is_concrete(images):
            self.read_code(self.compute_code(images))

    def compute_code(self, images: Any) -> Any:
        """Encodes the range of images in one number, in graphs too.

        Replicas of a step average such numbers: the mean is above 0 and at most 1
        only if all of their images lie between 0 and 1, and some are not black.

        Args:
            images: Array or tensor, which may be ragged or symbolic.

        Returns:
            A scalar tensor: 1 where all values lie between 0 and 1, 0 where all are
            0, else a large number. `None` where no check is needed: for integers,
            which nobody scales to 0..1, or when the check is done.
        """
        if self.done or "float" not in str(images.dtype):
            return None
        values = getattr(images, "flat_values", images)
        # With an initial value: a replica without images has no extremes.
        smallest, largest = keras.ops.min(values, initial=0), keras.ops.max(values, initial=0)
        in_unit_range = keras.ops.logical_and(smallest >= 0, largest <= 1)
        not_black = keras.ops.cast(largest > 0, "float32")
        return keras.ops.where(in_unit_range, not_black, _OUTSIDE_UNIT_RANGE)

    def read_code(self, code: Any) -> None:
        """Reads a code, or the mean of those of replicas, and warns if it means 0..1."""
        value = 0.0 if code is None or self.done else float(np.mean(np.asarray(code)))
        # Black images may have any range.
        self.done = self.done or value != 0
        if 0 < value <= 1:
            warnings.warn(
                f"{self.name!r} expects images with values 0..255, and all values of these lie "
                "between 0 and 1, so that its outputs are wrong: multiply them by 255, or leave "
                "out the layer or line that divides them.",
                stacklevel=4,
            )


def _is_concrete(images: Any) -> bool:
    if isinstance(images, np.ndarray):
        return True
    if keras.backend.backend() == "jax":
        import jax

        return isinstance(images, jax.Array) and not isinstance(images, jax.core.Tracer)
    # TensorFlow's tensors outside of graphs have the method, and those of PyTorch.
    return hasattr(getattr(images, "flat_values", images), "numpy")
