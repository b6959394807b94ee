"""What the layers must answer, by plain loops: nothing clever, nothing of ours imported."""

import numpy as np


def bins_of(length, bins):
    return [(i * length // bins, -(-(i + 1) * length // bins)) for i in range(bins)]


def grid_bins(rows, columns, levels):
    """`(top, bottom, left, right)` of every bin, in the order of the output."""
    for level in levels:
        down, across = level if isinstance(level, tuple) else (level, level)
        for top, bottom in bins_of(rows, down):
            for left, right in bins_of(columns, across):
                yield top, bottom, left, right


def pyramid(feature_map, levels, mode):
    """Vector of a map `(rows, columns, channels)`; means in float64."""
    rows, columns, _ = feature_map.shape
    parts = []
    for top, bottom, left, right in grid_bins(rows, columns, levels):
        cells = feature_map[top:bottom, left:right]
        if mode == "max":
            parts.append(cells.max(axis=(0, 1)))
        else:
            parts.append(cells.astype("float64").mean(axis=(0, 1)))
    return np.concatenate(parts)


def pyramid_gradient(feature_map, levels, mode, upstream):
    """Gradient of `sum(upstream * pyramid)` by the map, in which no values are tied."""
    rows, columns, channels = feature_map.shape
    gradient = np.zeros(feature_map.shape, "float64")
    upstream = upstream.reshape(-1, channels)
    for number, (top, bottom, left, right) in enumerate(grid_bins(rows, columns, levels)):
        for channel in range(channels):
            cells = feature_map[top:bottom, left:right, channel]
            if mode == "max":
                row, column = np.unravel_index(cells.argmax(), cells.shape)
                gradient[top + row, left + column, channel] += upstream[number, channel]
            else:
                share = upstream[number, channel] / cells.size
                gradient[top:bottom, left:right, channel] += share
    return gradient


def maximal_somewhere(feature_map, levels):
    """Whether each value is the maximum of a bin that holds it."""
    attained = np.zeros(feature_map.shape, bool)
    for top, bottom, left, right in grid_bins(*feature_map.shape[:2], levels):
        cells = feature_map[top:bottom, left:right]
        attained[top:bottom, left:right] |= cells == cells.max(axis=(0, 1))
    return attained


def window_pyramid(feature_map, window, levels, mode):
    """Vector of a window `(top, left, bottom, right)` in cells, ends exclusive."""
    top, left, bottom, right = window
    return pyramid(feature_map[top:bottom, left:right], levels, mode)


def window_pyramid_gradient(feature_map, window, levels, mode, upstream):
    top, left, bottom, right = window
    gradient = np.zeros(feature_map.shape, "float64")
    inside = feature_map[top:bottom, left:right]
    gradient[top:bottom, left:right] = pyramid_gradient(inside, levels, mode, upstream)
    return gradient


def window_of_box(box, step, first_center, rows, columns):
    """Window `(top, left, bottom, right)` in cells of a box `(left, top, right, bottom)` in pixels.

    The cells whose centers lie strictly inside; where there are none, the one
    nearest to the middle, the later of two as near.
    """

    def cells(low, high, count):
        centers = [first_center + step * i for i in range(count)]
        inside = [i for i in range(count) if low < centers[i] < high]
        if not inside:
            middle = (low + high) / 2
            least = min(abs(center - middle) for center in centers)
            inside = [i for i in range(count) if abs(centers[i] - middle) == least][-1:]
        return inside[0], inside[-1] + 1

    left, right = cells(box[0], box[2], columns)
    top, bottom = cells(box[1], box[3], rows)
    return top, left, bottom, right


def local_response(x, region, size, alpha, beta, bias):
    """Each value of `(batch, height, width, channels)` over a power of the energy around it."""
    x = x.astype("float64")
    reach = size // 2
    y = np.zeros_like(x)
    for item, row, column, channel in np.ndindex(x.shape):
        if region == "across":
            first = max(channel - reach, 0)
            around = x[item, row, column, first : channel + reach + 1]
        else:
            top, left = max(row - reach, 0), max(column - reach, 0)
            around = x[item, top : row + reach + 1, left : column + reach + 1, channel]
        energy = bias + alpha * np.sum(around**2)
        y[item, row, column, channel] = x[item, row, column, channel] / energy**beta
    return y


def masked(maps, sizes):
    """Maps with zeros beyond each one's rows and columns."""
    zeroed = np.zeros_like(maps)
    for item, (rows, columns) in enumerate(sizes):
        zeroed[item, :rows, :columns] = maps[item, :rows, :columns]
    return zeroed


def padded(maps, fill=0.0):
    """Maps of different sizes as one batch, `fill` beyond each."""
    rows, columns = (max(m.shape[axis] for m in maps) for axis in (0, 1))
    batch = np.full((len(maps), rows, columns, maps[0].shape[2]), fill, maps[0].dtype)
    for item, one in enumerate(maps):
        batch[item, : one.shape[0], : one.shape[1]] = one
    return batch


def slope(function, x, direction, reach=1e-3):
    """Central difference of a scalar function of an array, along a direction."""
    return (function(x + reach * direction) - function(x - reach * direction)) / (2 * reach)


def iou(a, b):
    """Intersection over union of two boxes `(left, top, right, bottom)`."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union else 0.0


def suppression(found, overlap):
    """Numbers of the detections that no better one of their class overlaps too much."""
    kept = []
    for i in sorted(range(len(found.scores)), key=lambda i: -found.scores[i]):
        if all(
            found.classes[i] != found.classes[j] or iou(found.boxes[i], found.boxes[j]) <= overlap
            for j in kept
        ):
            kept.append(i)
    return kept
