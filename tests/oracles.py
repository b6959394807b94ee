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
    nearest to the middle, the later of two as near. `first_center` is a number
    or a pair, of rows and columns.
    """
    first_row, first_column = np.broadcast_to(first_center, 2)

    def cells(low, high, first_center, count):
        centers = [first_center + step * i for i in range(count)]
        inside = [i for i in range(count) if low < centers[i] < high]
        if not inside:
            middle = (low + high) / 2
            least = min(abs(center - middle) for center in centers)
            inside = [i for i in range(count) if abs(centers[i] - middle) == least][-1:]
        return inside[0], inside[-1] + 1

    left, right = cells(box[0], box[2], first_column, columns)
    top, bottom = cells(box[1], box[3], first_row, rows)
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


def roi_pool(feature_map, box, output_size):
    """Grid of a box in cells, both ends inclusive after rounding, as Fast R-CNN's code has it."""
    height, width, channels = feature_map.shape
    grid = np.zeros((*output_size, channels), feature_map.dtype)
    # Halves are rounded away from zero.
    left, top, right, bottom = (int(np.sign(x) * np.floor(abs(x) + 0.5)) for x in box)
    row_bins = bins_of(max(bottom - top + 1, 1), output_size[0])
    column_bins = bins_of(max(right - left + 1, 1), output_size[1])
    for i, (first_row, row_end) in enumerate(row_bins):
        for j, (first_column, column_end) in enumerate(column_bins):
            rows = slice(max(top + first_row, 0), max(min(top + row_end, height), 0))
            columns = slice(max(left + first_column, 0), max(min(left + column_end, width), 0))
            cells = feature_map[rows, columns]
            if cells.size:
                grid[i, j] = cells.max(axis=(0, 1))
    return grid


def bilinear(feature_map, y, x):
    """Value at a point in cells; on the border that of the border, 0 from one cell beyond."""
    height, width, channels = feature_map.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(channels)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = feature_map[top, left] * (1 - (x - left)) + feature_map[top, right] * (x - left)
    lower = feature_map[bottom, left] * (1 - (x - left)) + feature_map[bottom, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def roi_align(feature_map, box, output_size, sampling_ratio, aligned):
    """Grid of means of bilinear samples of a box in cells, as Mask R-CNN's code has it."""
    left, top, right, bottom = box.astype("float64") - (0.5 if aligned else 0)
    height, width = bottom - top, right - left
    if not aligned:
        height, width = max(height, 1.0), max(width, 1.0)
    bin_height, bin_width = height / output_size[0], width / output_size[1]
    down, across = (
        sampling_ratio if sampling_ratio > 0 else int(np.ceil(length))
        for length in (bin_height, bin_width)
    )
    grid = np.zeros((*output_size, feature_map.shape[2]))
    for i, j in np.ndindex(*output_size):
        samples = [
            bilinear(
                feature_map,
                top + (i + (row + 0.5) / down) * bin_height,
                left + (j + (column + 0.5) / across) * bin_width,
            )
            for row in range(down)
            for column in range(across)
        ]
        grid[i, j] = np.sum(samples, axis=0) / max(len(samples), 1) if samples else 0
    return grid
