"""Scenes: the size of an image, and the outlines of its objects in pixels."""

from dataclasses import dataclass

import numpy as np

from spp_keras.data import size_policies
from spp_keras.data.shapes import outlines

SHORT_SIDE = (60, 400)
WIDEST = 3.0
# Fraction of the short side in the paper's center crop.
CENTER_CROP = size_policies.PAPER_IMAGE_SIZE / size_policies.PAPER_SHORT_SIDE
_MIN_SIZE = 16  # pixels: smaller crescents look like discs
_DIFFICULT_SIZE = 24


@dataclass(frozen=True)
class Thing:
    """One object: its outline in pixels, x and y, and the size of its image."""

    outline: outlines.Outline
    image_size: tuple[int, int]

    @property
    def box(self) -> np.ndarray:
        """Top, left, bottom, right in pixels, of the part inside the image."""
        # Holes lie inside the first ring. Clipped before the box is measured: a triangle
        # without its tip is shorter than the part of its box in the image.
        corners = self.outline[0][:, ::-1]
        for axis, side in enumerate(self.image_size):
            corners = _clip_ring(_clip_ring(corners, axis, 0, 1), axis, side, -1)
        return np.concatenate([corners.min(axis=0), corners.max(axis=0)])

    @property
    def is_truncated(self) -> bool:
        corners = np.concatenate(self.outline)[:, ::-1]
        return bool((corners < 0).any() or (corners > self.image_size).any())

    @property
    def is_difficult(self) -> bool:
        """Whether the object is small in pixels, so that detectors often miss it."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1]) < _DIFFICULT_SIZE


@dataclass(frozen=True)
class Scene:
    """An image to be drawn: one class, one to three objects of it."""

    name: str
    size: tuple[int, int]  # height, width
    things: tuple[Thing, ...]


def compose_scene(name: str, rng: np.random.Generator) -> Scene:
    """Composes a scene of a class."""
    size = _draw_image_size(rng)
    count = int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))
    if name in outlines.BORDER_CLASSES:
        while _measure_border(size) < max(12, 0.1 * min(size)):
            size = _draw_image_size(rng)
        return Scene(name, size, _place_side_by_side(name, size, count, rng))
    return Scene(name, size, _scatter(name, size, count, rng))


def _draw_image_size(rng: np.random.Generator) -> tuple[int, int]:
    low, high = SHORT_SIDE
    short = round(np.exp(rng.uniform(np.log(low), np.log(high))))
    # Normal in the logarithm: two in three between 2:3 and 3:2, wide and tall alike. Not
    # narrower: circles and ellipses would then differ after warping, too.
    stretch = np.inf
    while abs(stretch) > np.log(WIDEST):
        stretch = rng.normal(0, 0.42)
    long = int(short * np.exp(abs(stretch)))
    return (short, long) if stretch > 0 else (long, short)


def _measure_border(size: tuple[int, int]) -> float:
    """Pixels at either end of the long side that a center crop leaves out."""
    return (max(size) - CENTER_CROP * min(size)) / 2


def _place_side_by_side(
    name: str, size: tuple[int, int], count: int, rng: np.random.Generator
) -> tuple[Thing, ...]:
    """Places shafts along the long side, one a lane, with heads outside of a center crop.

    Draws the same random numbers for every name: the scenes differ in the heads alone.
    """
    long, short, border = max(size), min(size), _measure_border(size)
    lane = short / count
    things = []
    for lane_index in range(count):
        depth = min(rng.uniform(0.7, 0.8) * border, 0.65 * lane, 0.3 * short)
        thickness = rng.uniform(0.3, 0.4) * depth
        start = rng.uniform(0.5, border - 1 - depth)
        length = min(rng.uniform(0.55, 0.85) * long, long - start - 1)
        slack = lane - 1.2 * depth - 2
        across = lane_index * lane + lane / 2 + rng.uniform(-0.5, 0.5) * max(slack, 0)
        (ring,) = outlines.border_outline(name, length, depth, thickness)
        ring = ring + np.array([start, across])
        if rng.random() < 0.5:
            ring = (long, 0) + ring * (-1, 1)
        if size[0] == long:
            ring = ring[:, ::-1]
        things.append(Thing((ring,), size))
    return tuple(things)


def _scatter(
    name: str, size: tuple[int, int], count: int, rng: np.random.Generator
) -> tuple[Thing, ...]:
    """Places objects anywhere in the image, apart from each other."""
    # The same for all objects of an image, since two would show how it was warped.
    ratio = np.exp(rng.choice([-1, 1]) * rng.uniform(np.log(1.4), np.log(1.8)))
    largest = {1: 0.65, 2: 0.5, 3: 0.4}[count]
    things: list[Thing] = []
    for _ in range(count):
        if name in outlines.ASPECT_CLASSES:
            outline = outlines.aspect_outline(name, ratio)
        else:
            outline = outlines.plain_outline(name, rng)
        extent = min(size) * np.exp(rng.uniform(np.log(0.22), np.log(largest)))
        truncated = name in outlines.PLAIN_CLASSES and rng.random() < 0.1
        for _ in range(20):
            thing = Thing(_place_outline(outline, extent, size, truncated, rng), size)
            if all(_are_apart(thing.box, other.box) for other in things):
                things.append(thing)
                break
    return tuple(things)


def _place_outline(
    outline: outlines.Outline,
    extent: float,
    size: tuple[int, int],
    truncated: bool,
    rng: np.random.Generator,
) -> outlines.Outline:
    """Scales to an area of `extent` squared and places inside the image, or across a side."""
    corners = np.concatenate(outline)
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = np.array(size[::-1])
    scale = extent / np.sqrt(np.prod(high - low))
    scale = max(scale, _MIN_SIZE / (high - low).min())
    scale = min(scale, (0.9 * room / (high - low)).min())
    extents = scale * (high - low)
    # A pixel from the border, for the soft edge.
    corner = rng.uniform(1, room - 1 - extents)
    if truncated:
        axis, fraction = rng.integers(2), rng.uniform(0.1, 0.25)
        outside = fraction * extents[axis]
        at_start = rng.random() < 0.5
        corner[axis] = -outside if at_start else room[axis] - extents[axis] + outside
    return tuple((ring - low) * scale + corner for ring in outline)


def _clip_ring(ring: np.ndarray, axis: int, edge: float, sign: int) -> np.ndarray:
    """Clips a ring at an edge across an axis, keeping what is above it for a `sign` of 1."""
    following = np.roll(ring, -1, axis=0)
    distance, next_distance = ring[:, axis] - edge, following[:, axis] - edge
    crossing = np.flatnonzero(distance * next_distance < 0)
    if not crossing.size:
        return ring
    fraction = distance[crossing] / (distance - next_distance)[crossing]
    points = ring[crossing] + fraction[:, None] * (following - ring)[crossing]
    points[:, axis] = edge
    ring = np.insert(ring, crossing + 1, points, axis=0)
    return ring[sign * (ring[:, axis] - edge) >= 0]


def _are_apart(box: np.ndarray, other: np.ndarray) -> bool:
    gap = np.maximum(box[:2] - other[2:], other[:2] - box[2:])
    return bool(gap.max() > 2)
