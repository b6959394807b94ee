"""Keras layers from rows: the trunk of a network and its top."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras

from spp_keras.geometry import Level
from spp_keras.layers import LocalResponseNormalization, SpatialPyramidPooling
from spp_keras.zoo import layer_rows
from spp_keras.zoo.layer_rows import Conv, Dense, Dropout, Norm, Pool, TopRow, TrunkRow


def apply_rows(x: Any, rows: Sequence[TrunkRow], kernel_initializer: str | None = None) -> Any:
    """Applies the rows of a trunk, one layer or two for each.

    Args:
        x: Preprocessed images.
        rows: Rows of the trunk.
        kernel_initializer: Initializer of every kernel. Defaults to He's normal one.

    Example:

    >>> images = keras.Input((None, None, 3))
    >>> apply_rows(images, (Conv(8, 3, padding=1), Pool(2, 2))).shape
    (None, None, None, 8)
    """
    for row in layer_rows.name_rows(rows):
        for layer in _make_layers(row, kernel_initializer):
            x = layer(x)
    return x


def build_top(x: Any, rows: Sequence[TopRow], kernel_initializer: str | None = None) -> Any:
    """Applies the rows of a top, dense layers above all, to vectors.

    Args:
        x: Pooled vectors.
        rows: Rows of the top.
        kernel_initializer: Initializer of every kernel. Defaults to He's normal one, and to a
            normal one of standard deviation 0.01 for the layer named `predictions`.
    """
    for row in rows:
        for layer in _make_layers(row, kernel_initializer):
            x = layer(x)
    return x


def make_pyramid(
    levels: Sequence[int | Level], mode: Literal["max", "average"] = "max"
) -> SpatialPyramidPooling:
    """The pyramid pooling of a network."""
    return SpatialPyramidPooling(levels, mode, data_format="channels_last", name="spp")


def _make_layers(row: Any, kernel_initializer: str | None) -> Iterator[keras.layers.Layer]:
    if isinstance(row, Conv):
        yield from _make_padding(row.name, row.padding)
        yield keras.layers.Conv2D(
            row.filters,
            row.kernel,
            row.stride,
            activation="relu" if row.relu else None,
            use_bias=row.bias,
            data_format="channels_last",
            kernel_initializer=kernel_initializer or "he_normal",
            name=row.name,
        )
    elif isinstance(row, Norm):
        yield LocalResponseNormalization(
            row.region, row.size, alpha=row.alpha, beta=row.beta, bias=row.bias, name=row.name
        )
    elif isinstance(row, Pool):
        # Rounding up a map has the cells of one, rounding down, that is longer by `stride - 1`.
        yield from _make_padding(row.name, row.padding, row.stride - 1 if row.ceil_mode else 0)
        yield keras.layers.MaxPooling2D(
            row.kernel, row.stride, data_format="channels_last", name=row.name
        )
    elif isinstance(row, Dropout):
        yield keras.layers.Dropout(row.rate, name=row.name)
    elif isinstance(row, Dense):
        yield _make_dense(row, kernel_initializer)
    else:
        yield keras.layers.ReLU(name=row.name)


def _make_padding(name: str, padding: int, more_at_end: int = 0) -> Iterator[keras.layers.Layer]:
    if padding or more_at_end:
        sides = (padding, padding + more_at_end)
        yield keras.layers.ZeroPadding2D(
            (sides, sides), data_format="channels_last", name=f"pad_before_{name}"
        )


def _make_dense(row: Dense, kernel_initializer: Any) -> keras.layers.Dense:
    options: dict[str, Any] = {}
    if row.name == layer_rows.PREDICTIONS:
        # Scores in float32: a softmax in half precision has two or three digits.
        options["dtype"] = "float32"
        kernel_initializer = kernel_initializer or keras.initializers.RandomNormal(stddev=0.01)
    return keras.layers.Dense(
        row.units,
        activation=row.activation,
        use_bias=row.bias,
        kernel_initializer=kernel_initializer or "he_normal",
        name=row.name,
        **options,
    )
