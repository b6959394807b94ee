"""The curves of a training as SVG, in the colors of the page."""

import math
from collections.abc import Sequence

from spp_keras import _extras
from spp_keras.report import html

Points = Sequence[tuple[float, float]]

# Units of the drawing; letters of 11 are readable where it is as wide as a phone.
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 360, 220, 46, 10, 26


def section(history: Sequence[dict[str, float]]) -> html.Markup:
    """A chart for each metric and one of the learning rate."""
    if not history:
        return html.render_missing("Curves", "None yet: the first epoch has not ended.")
    names = list(history[0])
    metrics = [name.removeprefix("val_") for name in names if name.startswith("val_")]
    charts = []
    for metric in [*metrics, "learning_rate"]:
        pairs = [_points(history, name) for name in (metric, f"val_{metric}") if name in names]
        charts.append(chart(metric.replace("_", " "), pairs, logarithmic=metric not in metrics))
    key = html.tag(
        "p",
        html.tag("span", class_="key first"),
        "training",
        html.tag("span", class_="key second"),
        "validation",
    )
    return html.section("Curves", key, html.tag("div", *charts, class_="charts"))


def chart(title: str, curves: Sequence[Points], logarithmic: bool = False) -> html.Markup:
    """Curves over epochs, of which the first and the second have their own colors.

    Args:
        title: What is drawn.
        curves: Of each `(epoch, value)` pairs.
        logarithmic: Whether a step upwards is a factor. Defaults to `False`.
    """
    scaled = math.log10 if logarithmic else float
    scaled_curves = [
        [(x, scaled(y)) for x, y in points if math.isfinite(y) and (y > 0 or not logarithmic)]
        for points in curves
    ]
    points = [point for curve in scaled_curves for point in curve] or [(1.0, 0.0)]
    epochs = [x for x, _ in points]
    first, last = min(epochs), max(max(epochs), min(epochs) + 1)
    heights = _heights(min(y for _, y in points), max(y for _, y in points), logarithmic)
    low, high = heights[0], heights[-1]

    def x_of(x: float) -> float:
        return _LEFT + (x - first) / (last - first) * (_WIDTH - _LEFT - 10)

    def y_of(y: float) -> float:
        return _HEIGHT - _BOTTOM - (y - low) / (high - low) * (_HEIGHT - _BOTTOM - _TOP)

    parts = []
    for y in heights:
        at = float(y_of(y))
        label = f"{10**y:g}" if logarithmic else f"{y:g}"
        parts.append(html.tag("line", x1=_LEFT, x2=_WIDTH - 10, y1=at, y2=at, class_="grid"))
        parts.append(html.tag("text", label, x=_LEFT - 6, y=at + 4, text_anchor="end"))
    for x in _ticks(first, last, 6, integer=True):
        if first <= x <= last:
            place = {"x": float(x_of(x)), "y": _HEIGHT - 8}
            parts.append(html.tag("text", f"{x:g}", text_anchor="middle", **place))
    for points, color in zip(scaled_curves, ("first", "second"), strict=False):
        places = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in points)
        parts.append(html.tag("polyline", points=places, class_=color))
    svg = html.tag("svg", *parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=title)
    return html.tag("figure", html.tag("h3", title), svg, class_="chart")


def _heights(low: float, high: float, logarithmic: bool) -> Sequence[float]:
    """Where lines are drawn across: at round numbers, or at powers of ten."""
    if not logarithmic:
        return _ticks(low, high, 4)
    # What was kept in float32 is a power of ten but for its last digits.
    first, last = math.floor(round(low, 5)), math.ceil(round(high, 5))
    return range(first, max(last, first + 1) + 1)


def _ticks(low: float, high: float, count: int, *, integer: bool = False) -> Sequence[float]:
    ticker = _extras.import_package("matplotlib.ticker", "train", "A report with curves")
    return ticker.MaxNLocator(count, integer=integer).tick_values(low, high)


def _points(history: Sequence[dict[str, float]], name: str) -> list[tuple[float, float]]:
    return [(row["epoch"], row[name]) for row in history if name in row]
