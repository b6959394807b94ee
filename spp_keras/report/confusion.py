"""Which classes are taken for which."""

from collections.abc import Sequence

import numpy as np

from spp_keras.report import html, test_table

# More would not be readable as a matrix; then the pairs that are confused most are listed.
_MOST_CLASSES, _MOST_PAIRS = 30, 20


def counts(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """How many images of each class, a row, were taken for each class, a column.

    Args:
        labels: `(images,)` numbers of the right classes.
        answers: `(images,)` numbers of those that were answered.
        classes: How many there are.

    Example:

    >>> counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    pairs = labels.astype("int64") * classes + answers
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def section(matrix: np.ndarray, names: Sequence[str]) -> html.Markup:
    """The matrix, or the pairs that are confused most where there are many classes."""
    title = "Which classes are taken for which"
    if len(names) > _MOST_CLASSES:
        return html.section(title, _pairs(matrix, names))
    return html.section(
        title,
        html.tag("p", "A row for the right class, a column for the answer.", class_="note"),
        _matrix(matrix, names),
    )


def _matrix(matrix: np.ndarray, names: Sequence[str]) -> html.Markup:
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    rows = []
    for index, name in enumerate(names):
        cells = [
            _cell(int(matrix[index, column]), shares[index, column], index == column)
            for column in range(len(names))
        ]
        of_class = f"{100 * shares[index, index]:.0f}%" if matrix[index].any() else ""
        rows.append(
            html.tag("tr", html.tag("th", name, scope="row"), *cells, html.tag("td", of_class))
        )
    head = [html.tag("th", name, scope="col") for name in [*names, "right"]]
    return html.tag(
        "div",
        html.tag(
            "table",
            html.tag("thead", html.tag("tr", html.tag("td"), *head)),
            html.tag("tbody", *rows),
            class_="confusion",
        ),
        class_="scrolls",
    )


def _cell(count: int, share: float, right: bool) -> html.Markup:
    if not count:
        return html.tag("td", "0", class_="zero")
    color = "0 114 178" if right else "213 94 0"
    # A single mistake among many is still to be seen.
    depth = 0.12 + 0.88 * share
    return html.tag(
        "td",
        str(count),
        style=f"background: rgb({color} / {depth:.2f})",
        class_="strong" if depth > 0.6 else None,
    )


def _pairs(matrix: np.ndarray, names: Sequence[str]) -> html.Markup:
    mistakes = matrix * ~np.eye(len(names), dtype=bool)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_MOST_PAIRS]
    pairs = [np.unravel_index(place, matrix.shape) for place in order if mistakes.flat[place]]
    rows = []
    for right, answer in pairs:
        of = int(matrix[right].sum())
        taken = int(mistakes[right, answer])
        rows.append(
            [
                names[right],
                names[answer],
                str(taken),
                str(of),
                test_table.format_percent(taken / of),
            ]
        )
    return html.table(["class", "taken for", "images", "of", "share"], rows, words=2)
