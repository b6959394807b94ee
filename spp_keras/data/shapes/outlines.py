"""Outlines of the classes: polygons about the origin, y down, of any scale.

An outline is a tuple of rings, each an `(n, 2)` array of x, y. A point is inside
if it is inside an odd number of rings, so that a second ring is a hole.
"""

import numpy as np

Outline = tuple[np.ndarray, ...]

# They differ in the ratio of their axes alone, which warping an image to a square changes.
ASPECT_CLASSES = ("circle", "ellipse", "square", "oblong")
# They differ in the head alone, which is outside of a center crop of the image.
BORDER_CLASSES = ("pin", "hammer", "fork")
# They differ in shapes that both leave in the image.
PLAIN_CLASSES = ("triangle", "star", "cross", "ring", "crescent")
CLASSES = ASPECT_CLASSES + BORDER_CLASSES + PLAIN_CLASSES


def aspect_outline(name: str, ratio: float) -> Outline:
    """A circle or square, or an ellipse or oblong of width : height = `ratio`."""
    ratio = {"circle": 1.0, "square": 1.0}.get(name, ratio)
    ring = _arc(0, 360) if name in ("circle", "ellipse") else _rectangle(-1, -1, 1, 1)
    return (ring * (ratio**0.5, ratio**-0.5),)


def plain_outline(name: str, rng: np.random.Generator) -> Outline:
    """A triangle, star, cross, ring or crescent, no two of them quite the same."""
    if name == "triangle":
        apex = rng.uniform(-0.35, 0.35)
        rings: Outline = (np.array([(apex, -1), (1, 0.8), (-1, 0.8)]),)
    elif name == "star":
        radii = np.where(np.arange(10) % 2, rng.uniform(0.36, 0.48), 1.0)
        angles = np.radians(36 * np.arange(10))
        rings = (radii[:, None] * np.stack([np.sin(angles), -np.cos(angles)], axis=1),)
    elif name == "cross":
        arm = rng.uniform(0.24, 0.36)
        corner = np.array([(-arm, -1), (arm, -1), (arm, -arm)])
        rings = (np.concatenate([_turn(corner, quarter * 90) for quarter in range(4)]),)
    elif name == "ring":
        rings = (_arc(0, 360), rng.uniform(0.48, 0.66) * _arc(0, 360))
    else:
        # Horns where two circles of the same size meet: at x = shift / 2 on both.
        shift = rng.uniform(0.6, 0.9)
        horn = np.degrees(np.arccos(shift / 2))
        inner = np.array([shift, 0]) + _arc(180 + horn, 180 - horn)
        rings = (np.concatenate([_arc(horn, 360 - horn), inner]),)
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    angle = 0.0 if name == "ring" else rng.uniform(0, 360)
    return tuple(_turn(ring * (stretch, 1 / stretch), angle) for ring in rings)


def border_outline(name: str, length: float, depth: float, thickness: float) -> Outline:
    """A shaft along x that begins with its head: depth along x, 1.2 times that across.

    The head spans x = 0 to `depth`, the shaft goes on to x = `length`. Beyond
    `depth` the three classes are the same.
    """
    half, across = thickness / 2, 0.6 * depth
    shaft_end = [(length, -half), (length, half)]
    if name == "pin":
        radius = depth / 2
        lift = np.degrees(np.arcsin(min(half / radius, 1.0)))
        head = _arc(lift, 360 - lift) * radius + (radius, 0)
        ring = np.concatenate([head, shaft_end])
    elif name == "hammer":
        face = 0.45 * depth
        corners = [(face, half), (face, across), (0, across), (0, -across), (face, -across)]
        ring = np.array([*corners, (face, -half), *shaft_end])
    else:
        prong, root = 0.36 * depth, 0.65 * depth
        notch = across - prong
        corners = [(depth, half), (depth, across), (0, across), (0, notch), (root, notch)]
        corners += [(root, -notch), (0, -notch), (0, -across), (depth, -across), (depth, -half)]
        ring = np.array([*corners, *shaft_end])
    return (ring,)


def _arc(start: float, stop: float) -> np.ndarray:
    # 72 corners: on the largest circle they stay within a quarter of a pixel of it.
    angles = np.radians(np.linspace(start, stop, 72))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=float)


def _turn(ring: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return ring @ np.array([(cos, sin), (-sin, cos)])
