"""ZF-5 as rows of numbers, and what every system is measured on: NumPy, seeded."""

import math
from typing import NamedTuple

import numpy as np

BATCH, SIDE, CLASSES = 16, 224, 1000
MATMUL = 2048
# What is measured in each section.
WIDTHS = {"width 1": 1.0, "width 0.25": 0.25}
SECTIONS = ("forward", "training")
# `beta` is 0.75, see `spp_keras.layers.LocalResponseNormalization`.
ALPHA, REGION = 5e-5 / 9, 3
# Name of the network that lacks its two normalizations.
WITHOUT = "without normalization"
_CONVOLUTIONS = ((96, 7, 2, 3), (256, 5, 2, 1), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1))
_BINS, _UNITS = 50, 4096
# Convolutions that a normalization and a max pooling of 3x3 cells follow, a stride of 2 apart.
NORMALIZED = ("conv1", "conv2")
# By how much larger the kernel of conv1 is, as in the released network, which takes pixels as
# they are, and how much smaller that of conv3: so the normalizations change what they are given.
_PIXELS = 128.0


class Layer(NamedTuple):
    """A layer with weights.

    Args:
        name: Name of the layer in `spp_keras.zoo.zf5_spp`.
        shape: Of its kernel: height, width, inputs and filters, or inputs and units.
        stride: Of a convolution.
        padding: Zeros on each side of its map.
        side: Height and width of its output map.
    """

    name: str
    shape: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    side: int = 1

    @property
    def flops(self) -> int:
        """Of an image forward; a multiplication and an addition are two."""
        return 2 * math.prod(self.shape) * self.side**2


def list_layers(width: float) -> list[Layer]:
    """The layers of a network so wide, for images of 224x224.

    Example:

    >>> [layer.side for layer in list_layers(1)]
    [112, 27, 13, 13, 13, 1, 1, 1]
    """
    layers, channels, side = [], 3, SIDE
    for number, (filters, kernel, stride, padding) in enumerate(_CONVOLUTIONS, start=1):
        side = (side + 2 * padding - kernel) // stride + 1
        shape = (kernel, kernel, channels, _scale(filters, width))
        layers.append(Layer(f"conv{number}", shape, stride, padding, side))
        channels = shape[-1]
        side = (side - 3) // 2 + 1 if layers[-1].name in NORMALIZED else side
    units = _scale(_UNITS, width)
    layers.append(Layer("fc6", (_BINS * channels, units)))
    layers.append(Layer("fc7", (units, units)))
    layers.append(Layer("predictions", (units, CLASSES)))
    return layers


def count_flops(section: str, width: float) -> int:
    """Operations of a batch in convolutions and dense layers.

    In training each layer has the gradients by its weights and by its inputs, as many
    operations each as forward; the first layer has none by its inputs, the images.
    """
    first, *others = (layer.flops for layer in list_layers(width))
    if section == "training":
        return BATCH * (2 * first + 3 * sum(others))
    return BATCH * (first + sum(others))


def images() -> np.ndarray:
    """A batch of images, 0 to 255."""
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (BATCH, SIDE, SIDE, 3)).astype("float32")


def labels() -> np.ndarray:
    """The class of each image."""
    return np.random.default_rng(1).integers(0, CLASSES, BATCH)


def weights(width: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias of each layer, by its name."""
    generator = np.random.default_rng(2)
    drawn = {}
    for layer in list_layers(width):
        kernel = generator.standard_normal(layer.shape, "float32")
        kernel *= np.float32(math.sqrt(2 / math.prod(layer.shape[:-1])))
        bias = generator.standard_normal(layer.shape[-1:], "float32") / 10
        kernel *= {"conv1": _PIXELS, "conv3": 1 / _PIXELS}.get(layer.name, 1)
        drawn[layer.name] = kernel, bias
    return drawn


def join_gradients(by_layer: dict[str, tuple[np.ndarray, np.ndarray]], width: float) -> np.ndarray:
    """Gradients by kernels and biases, each shaped as those, as one vector."""
    parts = [part for layer in list_layers(width) for part in by_layer[layer.name]]
    return np.concatenate([np.ravel(part) for part in parts])


def difference(section: str, width: float, actual: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference of a score, or of a gradient, as a share of the layer's largest value."""
    if section == "forward":
        return _difference(actual, expected)
    cuts = np.cumsum(
        [count for x in list_layers(width) for count in (math.prod(x.shape), x.shape[-1])]
    )
    pairs = zip(np.split(actual, cuts[:-1]), np.split(expected, cuts[:-1]), strict=True)
    return max(_difference(*pair) for pair in pairs)


def _difference(actual: np.ndarray, expected: np.ndarray) -> float:
    # Not finite where a value is not.
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def _scale(count: int, width: float) -> int:
    return max(1, round(count * width))
