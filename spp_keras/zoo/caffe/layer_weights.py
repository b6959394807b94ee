"""Converts the weights of a Caffe network to the layout of Keras."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from spp_keras.geometry import Level
from spp_keras.zoo.layer_rows import Conv, Dense, Pyramid, Row

Arrays = Mapping[str, Sequence[np.ndarray]]


def convert_weights(
    rows: Sequence[Row], channels: int, stored: Arrays, path: str
) -> dict[str, list[np.ndarray]]:
    """The weights of each layer for Keras, by the names in the file.

    Args:
        rows: Rows of the network.
        channels: Channels of its images.
        stored: Arrays of each layer in Caffe's layout.
        path: Path of the file, for errors.
    """
    _check_shapes(rows, channels, stored, path)
    weights = {}
    levels: tuple[Level, ...] = ((1, 1),)
    # Caffe's images are blue, green and red, ours red, green and blue.
    reverse = channels == 3
    for row, shape in _list_kernel_shapes(rows, channels):
        if isinstance(row, Pyramid):
            levels = row.levels
        elif isinstance(row, Conv | Dense):
            kernel = stored[row.name][0].reshape(shape)
            if isinstance(row, Conv):
                kernel = _fill_groups(kernel, row.groups).transpose(2, 3, 1, 0)
                kernel = kernel[:, :, ::-1] if reverse else kernel
            else:
                kernel = row.scale * _order_dense_kernel(kernel, levels, reverse)
                levels = ((1, 1),)
            weights[row.name] = [kernel, *(bias.reshape(-1) for bias in stored[row.name][1:])]
            reverse = False
    return weights


def sort_levels(levels: Sequence[Level]) -> list[Level]:
    """Pyramid levels in the order of the paper and of the zoo, finest first."""
    return [levels[i] for i in _finest_first(levels)]


def _list_kernel_shapes(
    rows: Sequence[Row], channels: int
) -> Iterator[tuple[Row, tuple[int, ...]]]:
    """Each row with the shape of its kernel in Caffe's layout, `()` without kernel."""
    inputs = 0
    for row in rows:
        shape: tuple[int, ...] = ()
        if isinstance(row, Conv):
            shape = (row.filters, channels // row.groups, row.kernel, row.kernel)
            channels = row.filters
        elif isinstance(row, Pyramid):
            inputs = channels * sum(rows * columns for rows, columns in row.levels)
        elif isinstance(row, Dense):
            shape = (row.units, inputs)
            inputs = row.units
        yield row, shape


def _check_shapes(rows: Sequence[Row], channels: int, stored: Arrays, path: str) -> None:
    differences = []
    for row, shape in _list_kernel_shapes(rows, channels):
        if not isinstance(row, Conv | Dense):
            continue
        expected = [shape, shape[:1]] if row.bias else [shape]
        actual = [array.shape for array in stored.get(row.name, [])]
        if [_pad_shape(shape) for shape in actual] != [_pad_shape(shape) for shape in expected]:
            differences.append(
                f"{row.name}: {_format_shapes(expected)} in the text, "
                f"{_format_shapes(actual)} in the file"
            )
    if differences:
        raise ValueError(
            "`caffemodel` must have the weights of the layers that `prototxt` names, by their "
            f"names. Received: caffemodel={path!r}, with these differences:\n  "
            + "\n  ".join(differences)
        )


def _order_dense_kernel(kernel: np.ndarray, levels: Sequence[Level], reverse: bool) -> np.ndarray:
    """A dense kernel for Keras, its rows in the order of our pyramid.

    Caffe has the levels in the order of the file, in each level channel by channel and in a
    channel bin by bin. Ours has the finest level first and channels last.
    """
    units, inputs = kernel.shape
    bins = [rows * columns for rows, columns in levels]
    channels = inputs // sum(bins)
    starts = np.cumsum([0, *bins[:-1]]) * channels
    parts = []
    for i in _finest_first(levels):
        part = kernel[:, starts[i] : starts[i] + bins[i] * channels]
        part = part.reshape(units, channels, bins[i]).transpose(2, 1, 0)
        parts.append((part[:, ::-1] if reverse else part).reshape(-1, units))
    return np.concatenate(parts)


def _finest_first(levels: Sequence[Level]) -> list[int]:
    return sorted(range(len(levels)), key=lambda i: -levels[i][0] * levels[i][1])


def _fill_groups(kernel: np.ndarray, groups: int) -> np.ndarray:
    """The kernel of an ordinary convolution, zeros where a filter is not of a channel's group.

    TensorFlow has no grouped convolutions on every device, TFLite has none at all.
    """
    filters, channels, *size = kernel.shape
    full = np.zeros((filters, channels * groups, *size), kernel.dtype)
    for group in range(groups):
        members = slice(group * filters // groups, (group + 1) * filters // groups)
        full[members, group * channels : (group + 1) * channels] = kernel[members]
    return full


def _pad_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    # Until 2015 every array in a file had four dimensions, the first ones 1.
    return (1,) * (4 - len(shape)) + shape


def _format_shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(str(tuple(int(side) for side in shape)) for shape in shapes) or "nothing"
