"""One warning where images are scaled to 0..1 and a network expects 0..255."""

import warnings
from typing import Any

import keras
import numpy as np

# Averaged with any number of the other codes, 0 and 1, it stays above them.
_WIDER = 1e9


class RangeCheck:
    """Looks at images until their values tell their range, and warns once if it is 0..1.

    Args:
        name: Name of the model that expects values 0..255, for the warning; `None`
            where nothing is known of the range that it expects.

    Example:

    >>> check = RangeCheck("pets")
    >>> check.look(np.array([0, 1, 0])), check.look(np.array([0.0, 128.0]))
    (None, None)
    >>> check.done
    True
    """

    def __init__(self, name: str | None):
        self.name = name
        self.done = name is None

    def look(self, images: Any) -> None:
        """Looks at images if their values are at hand, not only those of a graph to come."""
        if not self.done and _is_concrete(images):
            self.read(self.code(images))

    def code(self, images: Any) -> Any:
        """Says in one number in what range images lie, in graphs too.

        Replicas of a step average such numbers: the result is above 0 and at most 1
        only if all of their images lie between 0 and 1, and some are not black.

        Args:
            images: Array or tensor, which may be ragged or symbolic.

        Returns:
            A scalar tensor: 1 where all values lie between 0 and 1, 0 where all are
            0, else a large number. `None` where no look is needed: at integers,
            which nobody scales to 0..1, or when it is done.
        """
        if self.done or "float" not in str(images.dtype):
            return None
        values = getattr(images, "flat_values", images)
        # With an initial value, as a share of no images has no extremes.
        smallest, largest = keras.ops.min(values, initial=0), keras.ops.max(values, initial=0)
        narrow = keras.ops.logical_and(smallest >= 0, largest <= 1)
        return keras.ops.where(narrow, keras.ops.cast(largest > 0, "float32"), _WIDER)

    def read(self, code: Any) -> None:
        """Takes note of a code, or of the mean of those of replicas, and warns if it must."""
        value = 0.0 if code is None or self.done else float(np.mean(np.asarray(code)))
        # Black images say nothing.
        self.done = self.done or value != 0
        if 0 < value <= 1:
            warnings.warn(
                f"{self.name!r} expects images with values 0..255, and all values of these lie "
                "between 0 and 1, so that its answers are wrong: multiply them by 255, or leave "
                "out what divides them.",
                stacklevel=4,
            )


def _is_concrete(images: Any) -> bool:
    if isinstance(images, np.ndarray):
        return True
    if keras.backend.backend() == "jax":
        import jax

        return isinstance(images, jax.Array) and not isinstance(images, jax.core.Tracer)
    # As TensorFlow's tensors have it outside of graphs, and those of PyTorch.
    return hasattr(getattr(images, "flat_values", images), "numpy")
