"""Widths and heights as a plot of characters, both axes logarithmic."""

import numpy as np

# A character for the share of a cell of the fullest one.
_SHADES = ".:oO@"
_COLUMNS, _ROWS, _MARGIN = 60, 14, 8


def draw_sizes(sizes: np.ndarray) -> list[str]:
    """Lines of up to 80 characters: widths to the right, heights upwards.

    Args:
        sizes: `(n, 2)`, heights and widths.

    Example:

    >>> lines = draw_sizes(np.array([[100, 400], [100, 400], [400, 100]]))
    >>> [line for line in lines if "@" in line or ":" in line][0][:12]
    '     400 |:'
    """
    low, high = int(sizes.min()), int(sizes.max())
    span = np.log(high / low) or 1.0
    places = np.log(sizes / low) / span
    rows = np.minimum((places[:, 0] * _ROWS).astype(int), _ROWS - 1)
    columns = np.minimum((places[:, 1] * _COLUMNS).astype(int), _COLUMNS - 1)
    counts = np.zeros((_ROWS, _COLUMNS), int)
    np.add.at(counts, (rows, columns), 1)
    # Few images must be seen beside many.
    shades = np.ceil(len(_SHADES) * np.log1p(counts) / np.log1p(counts.max())).astype(int)
    labels = {0: low, _ROWS // 2: round(low * np.exp(span / 2)), _ROWS - 1: high}
    lines = []
    for row in reversed(range(_ROWS)):
        marks = "".join(" " if not shade else _SHADES[shade - 1] for shade in shades[row])
        lines.append(f"{labels.get(row, ''):>{_MARGIN}} |{marks}".rstrip())
    lines.append(f"{'height':>{_MARGIN}} +{'-' * _COLUMNS}")
    middle, half = str(round(low * np.exp(span / 2))), _COLUMNS // 2
    axis = f"{low}".ljust(half - len(middle) // 2) + middle
    lines.append(" " * (_MARGIN + 2) + axis.ljust(_COLUMNS - len(str(high))) + str(high))
    return [*lines, f"{'width':>{_MARGIN + 2 + _COLUMNS}}"]
