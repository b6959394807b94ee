"""Local response normalization, across channels or within each."""

from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from spp_keras import _checks


@keras.saving.register_keras_serializable(package="spp_keras")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by a power of the energy around it.

    `y = x / (bias + alpha * sum(x'^2)) ** beta`, the sum over the `size`
    neighboring channels of the same cell (`region="across"`, AlexNet's) or
    over the `size x size` neighboring cells of the same channel
    (`region="within"`, that of the released SPP-net ZF-5). Beyond the edge
    there is nothing to add.

    As in the AlexNet paper and in TensorFlow, `alpha` multiplies the sum.
    Caffe's multiplies the mean: divide it by `size` (across) or `size ** 2`
    (within).

    Args:
        region: `"across"` or `"within"`. Defaults to `"across"`.
        size: Odd number of channels or of cells on a side. Defaults to 5.
        alpha: Factor of the sum of squares. Defaults to 1e-4.
        beta: Exponent. Defaults to 0.75.
        bias: What is added to the sum. Defaults to 2.0.
        **kwargs: See `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, channels last.

    Output shape:
        That of the input.

    Example:

    >>> normalize = LocalResponseNormalization(size=3, alpha=1.0, beta=1.0, bias=1.0)
    >>> float(normalize(np.full((1, 1, 1, 5), 2.0))[0, 0, 0, 2])
    0.1538461595773697
    """

    # Each cell lies where its input cell lies, see `spp_keras.model_geometry`.
    keeps_cells = True

    def __init__(
        self,
        region: Literal["across", "within"] = "across",
        size: int = 5,
        *,
        alpha: float = 1e-4,
        beta: float = 0.75,
        bias: float = 2.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.region = _checks.one_of(region, ("across", "within"), "region")
        self.size = _checks.odd(size, "size")
        self.alpha = _checks.positive(alpha, "alpha")
        self.beta = _checks.positive(beta, "beta")
        self.bias = _checks.positive(bias, "bias")

    def build(self, input_shape: Any) -> None:
        _checks.rank(input_shape, 4, "inputs", "(batch, height, width, channels)")

    def call(self, inputs: Any) -> Any:
        # Squares of activations overflow half precision.
        x = inputs
        if keras.backend.standardize_dtype(x.dtype) in ("float16", "bfloat16"):
            x = ops.cast(x, "float32")
        around = _across if self.region == "across" else _within
        energy = self.bias + self.alpha * around(ops.square(x), self.size)
        return ops.cast(x * _inverse_power(energy, self.beta), inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "region": self.region,
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "bias": self.bias,
        }


def _across(squares: Any, size: int) -> Any:
    """Sums over `size` neighboring channels."""
    # As a convolution, in which most weights are 0: adding up slices takes twice as long.
    channel = np.arange(squares.shape[-1])
    near = np.abs(channel[:, None] - channel) <= size // 2
    weights = ops.convert_to_tensor(near[None, None], squares.dtype)
    return ops.conv(squares, weights, data_format="channels_last")


def _within(squares: Any, size: int) -> Any:
    """Sums over `size x size` neighboring cells."""
    margin = (size // 2, size // 2)
    padded = ops.pad(squares, ((0, 0), margin, margin, (0, 0)))
    means = ops.average_pool(padded, size, 1, padding="valid", data_format="channels_last")
    return means * size**2


def _inverse_power(x: Any, exponent: float) -> Any:
    if exponent == 0.75:
        # Two square roots, several times as fast as a power.
        root = ops.rsqrt(x)
        return root * ops.sqrt(root)
    return ops.power(x, -exponent)
