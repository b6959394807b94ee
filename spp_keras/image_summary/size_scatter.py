"""Widths and heights as dots in SVG, both axes logarithmic, in the colors of the page."""

import math

import numpy as np

from spp_keras.report import html

# Units of the drawing; letters of 11 are readable where it is as wide as a phone.
_SIDE, _LEFT, _TOP, _BOTTOM = 360, 46, 10, 34
# Every size is drawn, however many images have it, but of many sizes some.
_MAX_DOTS = 3000


def draw_scatter(sizes: np.ndarray) -> html.Markup:
    """A dot for each size that images have, larger where many have it.

    Args:
        sizes: `(n, 2)`, heights and widths.
    """
    pairs, counts = np.unique(sizes, axis=0, return_counts=True)
    if len(pairs) > _MAX_DOTS:
        chosen = np.random.default_rng(0).choice(len(pairs), _MAX_DOTS, replace=False)
        pairs, counts = pairs[chosen], counts[chosen]
    low, high = _choose_ends(int(sizes.min()), int(sizes.max()))
    width = _SIDE - _LEFT - 10
    height = _SIDE - _TOP - _BOTTOM

    def place(pixels: float) -> float:
        return math.log(pixels / low) / math.log(high / low)

    def x_of(pixels: float) -> float:
        return round(_LEFT + place(pixels) * width, 1)

    def y_of(pixels: float) -> float:
        return round(_SIDE - _BOTTOM - place(pixels) * height, 1)

    parts = []
    for tick in _list_ticks(low, high):
        x, y = x_of(tick), y_of(tick)
        ends = {"x1": _LEFT, "x2": _SIDE - 10}
        parts.append(html.tag("line", y1=y, y2=y, class_="grid", **ends))
        parts.append(html.tag("line", x1=x, x2=x, y1=_TOP, y2=_SIDE - _BOTTOM, class_="grid"))
        parts.append(html.tag("text", f"{tick}", x=_LEFT - 6, y=y + 4, text_anchor="end"))
        parts.append(html.tag("text", f"{tick}", x=x, y=_SIDE - _BOTTOM + 14, text_anchor="middle"))
    # On this line images are square.
    diagonal = {"x1": x_of(low), "x2": x_of(high), "y1": y_of(low), "y2": y_of(high)}
    parts.append(html.tag("line", class_="square", **diagonal))
    radii = np.minimum(2.5 * counts**0.25, 9)
    for (tall, wide), count, radius in zip(pairs.tolist(), counts.tolist(), radii, strict=True):
        title = html.tag("title", f"{wide}x{tall}: {count:,}")
        dot = {"cx": x_of(wide), "cy": y_of(tall), "r": round(float(radius), 1)}
        parts.append(html.tag("circle", title, class_="dot", **dot))
    parts.append(html.tag("text", "width", x=_SIDE - 10, y=_SIDE - 4, text_anchor="end"))
    parts.append(html.tag("text", "height", x=_LEFT + 4, y=_TOP + 10))
    label = "Width and height of each image, on logarithmic axes"
    svg = html.tag("svg", *parts, viewBox=f"0 0 {_SIDE} {_SIDE}", role="img", aria_label=label)
    return html.tag("figure", svg, class_="chart scatter")


def _choose_ends(low: int, high: int) -> tuple[float, float]:
    """Where the axes begin and end, with some room around the dots."""
    room = max(1.1, (high / low) ** 0.05)
    return low / room, high * room


def _list_ticks(low: float, high: float) -> list[int]:
    """Round numbers between the ends: 1, 2 and 5 times powers of ten, or more if these are few."""
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), tuple(n / 10 for n in range(10, 100))):
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = sorted({round(step * 10**exponent) for exponent in exponents for step in steps})
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 3:
            break
    # Labels stay apart.
    return inside[:: -(-len(inside) // 8)] if inside else []
