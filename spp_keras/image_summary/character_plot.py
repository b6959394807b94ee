"""Widths and heights as a plot of characters, both axes logarithmic."""

import numpy as np

# From a few images to the most that any cell has.
_SHADES = ".:oO@"
_COLUMNS, _ROWS, _MARGIN = 60, 14, 8


def draw_sizes(sizes: np.ndarray) -> list[str]:
    """Lines of up to 80 characters: widths to the right, heights upwards.

    Args:
        sizes: `(n, 2)`, heights and widths.

    Example:

    >>> lines = draw_sizes(np.array([[100, 400], [100, 400], [400, 100]]))
    >>> lines[0], lines[-4].count("@"), lines[-2].split()
    ('     400 |O', 1, ['100', '200', '400'])
    """
    rows, heights = _divide(sizes[:, 0], _ROWS)
    columns, widths = _divide(sizes[:, 1], _COLUMNS)
    counts = np.zeros((_ROWS, _COLUMNS), int)
    np.add.at(counts, (rows, columns), 1)
    # Few images must be seen beside many.
    shades = np.ceil(len(_SHADES) * np.log1p(counts) / np.log1p(counts.max())).astype(int)
    labels = dict(zip((0, _ROWS // 2, _ROWS - 1), heights, strict=True))
    lines = []
    for row in reversed(range(_ROWS)):
        marks = "".join((" " + _SHADES)[shade] for shade in shades[row])
        lines.append(f"{labels.get(row, ''):>{_MARGIN}} |{marks}".rstrip())
    lines.append(f"{'height':>{_MARGIN}} +{'-' * _COLUMNS}")
    third = _COLUMNS // 3
    low, middle, high = widths
    lines.append(f"{'':{_MARGIN + 2}}{low:<{third}}{middle:^{third}}{high:>{third}}")
    return [*lines, f"{'width':>{_MARGIN + 2 + _COLUMNS}}"]


def _divide(sides: np.ndarray, count: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Which of the equal parts of an axis each side is in, and its first, middle and last value."""
    low, high = int(sides.min()), int(sides.max())
    places = np.log(sides / low) / (np.log(high / low) or 1.0)
    cells = np.minimum((places * count).astype(int), count - 1)
    return cells, (low, round((low * high) ** 0.5), high)
