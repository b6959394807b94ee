"""Which cells of a map the bins of its pyramid cover, and which of them its maxima came from."""

from collections.abc import Sequence

import numpy as np

from spp_keras import geometry


def windows(levels: Sequence[geometry.Level], rows: int, columns: int) -> np.ndarray:
    """The cells of every bin, in the order of the pyramid.

    Args:
        levels: `(rows, columns)` of each.
        rows: Rows of the map.
        columns: Columns of the map.

    Returns:
        `(bins, 4)`: first row and column, and the first row and column behind.

    Example:

    >>> windows([(2, 1)], 5, 4).tolist()
    [[0, 0, 3, 4], [2, 0, 5, 4]]
    """
    bins = []
    for down, across in levels:
        for i in range(down):
            top, bottom = geometry.bin_edges(i, rows, down)
            for j in range(across):
                left, right = geometry.bin_edges(j, columns, across)
                bins.append((top, left, bottom, right))
    return np.array(bins)


def maxima(
    feature_map: np.ndarray, levels: Sequence[geometry.Level]
) -> tuple[np.ndarray, np.ndarray]:
    """The maximum of each channel in each bin, and its cell; of equal ones the first.

    Args:
        feature_map: `(rows, columns, channels)`.
        levels: As for `windows`.

    Returns:
        Values `(bins, channels)`, and row and column `(bins, channels, 2)`.

    Example:

    >>> values, cells = maxima(np.array([[[1.0], [3.0]], [[2.0], [0.0]]]), [(1, 1)])
    >>> values.tolist(), cells.tolist()
    ([[3.0]], [[[0, 1]]])
    """
    rows, columns, channels = feature_map.shape
    values, cells = [], []
    for top, left, bottom, right in windows(levels, rows, columns):
        inside = feature_map[top:bottom, left:right].reshape(-1, channels)
        place = inside.argmax(axis=0)
        values.append(inside[place, np.arange(channels)])
        cells.append(np.stack([top + place // (right - left), left + place % (right - left)], -1))
    return np.stack(values), np.stack(cells)
