"""Drawing of scenes as JPEG images: ground, clutter, textured objects, blur, noise."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from spp_keras.data.shapes import outlines, scenes

QUALITY = 90
_SUPERSAMPLING = 4  # masks are drawn this much larger, then reduced, for soft edges


def draw_image(seed: int, split: int, index: int) -> tuple[bytes, scenes.Scene]:
    """Draws an encoded image and its scene, which depend on the three numbers alone.

    Args:
        seed: Int, the seed of the dataset.
        split: Int, the index of the split.
        index: Int, the index of the image in its split. The classes alternate.

    Example:

    >>> from spp_keras.data.shapes import drawing
    >>> image, scene = drawing.draw_image(seed=0, split=0, index=1)
    >>> image[6:10], scene.name
    (b'JFIF', 'ellipse')
    """
    scene_seed, paint_seed = np.random.SeedSequence((seed, split, index)).spawn(2)
    name = outlines.CLASSES[index % len(outlines.CLASSES)]
    scene = scenes.compose_scene(name, np.random.default_rng(scene_seed))
    encoded = io.BytesIO()
    image = Image.fromarray(paint_scene(scene, np.random.default_rng(paint_seed)))
    image.save(encoded, format="JPEG", quality=QUALITY)
    return encoded.getvalue(), scene


def paint_scene(scene: scenes.Scene, rng: np.random.Generator) -> np.ndarray:
    """Paints the pixels of a scene, `(height, width, 3)` uint8."""
    ground, noise, things = rng.spawn(3)
    light = ground.uniform(0.25, 0.75)
    image = np.array(_draw_ground(scene.size, light, ground))
    for thing, colors in zip(scene.things, things.spawn(len(scene.things)), strict=True):
        _paint_object(image, thing, light, colors)
    # Lenses and sensors: a little blur, then noise in brightness.
    blurred = Image.fromarray(image).filter(ImageFilter.BoxBlur(noise.uniform(0, 0.7)))
    grain = noise.standard_normal(scene.size, dtype=np.float32) * np.float32(noise.uniform(2, 8))
    grainy = np.asarray(blurred, np.int16) + grain.astype(np.int16)[..., None]
    return np.clip(grainy, 0, 255).astype(np.uint8)


def draw_mask(outline: outlines.Outline, size: tuple[int, int]) -> np.ndarray:
    """Fraction of each pixel that is inside an outline, `(height, width)` float32 in 0..1."""
    canvas = Image.new("L", (size[1] * _SUPERSAMPLING, size[0] * _SUPERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    for index, ring in enumerate(outline):
        # Pillow counts from the centers of pixels.
        corners = [tuple(corner) for corner in ring * _SUPERSAMPLING - 0.5]
        pen.polygon(corners, fill=0 if index else 255)
    return np.asarray(canvas.reduce(_SUPERSAMPLING), np.float32) / 255


def _draw_ground(size: tuple[int, int], light: float, rng: np.random.Generator) -> Image.Image:
    """Draws a gradient between two colors, clouds, lines and blobs."""
    # Drawn at a low resolution and enlarged, to be smooth.
    cells = rng.integers(3, 12, size=2)
    y, x = (np.linspace(-1, 1, n) for n in cells)
    slope = rng.normal(size=2)
    weight = 0.5 + (y[:, None] * slope[0] + x * slope[1]) / (2 * np.abs(slope).sum())
    first, second = _draw_color(light, 0.12, rng), _draw_color(light, 0.12, rng)
    clouds = rng.normal(0, rng.uniform(0.02, 0.08), size=(*cells, 3))
    coarse = Image.fromarray(_to_bytes(first + weight[..., None] * (second - first) + clouds))
    ground = coarse.resize(size[::-1], Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(ground)
    short = min(size)
    for _ in range(rng.integers(2, 7)):
        color = tuple(_to_bytes(_draw_color(light, 0.15, rng)).tolist())
        center = rng.uniform(0, size)[::-1]
        if rng.random() < 0.5:
            ends = center + rng.normal(0, 0.5 * short, size=(2, 2))
            width = rng.integers(1, max(short // 60, 2) + 1)
            pen.line([tuple(end) for end in ends], fill=color, width=int(width))
        else:
            blob = center + _draw_blob(rng) * short * rng.uniform(0.03, 0.16)
            pen.polygon([tuple(corner) for corner in blob], fill=color)
    return ground


def _paint_object(
    image: np.ndarray, thing: scenes.Thing, light: float, rng: np.random.Generator
) -> None:
    """Paints one object over a part of the image, in place."""
    top, left, bottom, right = thing.box
    # Whole pixels around the box, with one more for the soft edge.
    top, left = max(int(top) - 1, 0), max(int(left) - 1, 0)
    part = image[top : int(bottom) + 2, left : int(right) + 2]
    inside = draw_mask(tuple(ring - (left, top) for ring in thing.outline), part.shape[:2])[
        ..., None
    ]
    # Lighter or darker than the ground, mostly by more than the clutter.
    direction = 1 if light < 0.5 else -1
    if abs(light - 0.5) < 0.15 and rng.random() < 0.5:
        direction = -direction
    main = light + direction * rng.uniform(0.16, 0.32)
    first, second = _draw_color(main, 0.08, rng), _draw_color(main + direction * 0.25, 0.08, rng)
    texture = _draw_texture(part.shape[:2], rng)[..., None]
    colors = first + texture * (second - first)
    part[:] = part + inside * (255 * colors - part) + 0.5


def _draw_texture(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Weight of the second color in each pixel: plain, stripes, dots, checks or noise."""
    kind = rng.choice(["plain", "stripes", "dots", "checks", "noise"])
    if kind == "plain":
        return np.full(size, rng.uniform(0, 0.3), np.float32)
    if kind == "noise":
        coarse = Image.fromarray(rng.random(rng.integers(3, 12, size=2), dtype=np.float32))
        smooth = coarse.resize(size[::-1], Image.Resampling.BICUBIC)
        return np.clip(np.asarray(smooth), 0, 1)
    angle = rng.uniform(0, np.pi)
    # Two periods: regular dots and checks would show how an image was warped.
    periods = np.maximum(np.sqrt(size[0] * size[1]) / rng.uniform(2.5, 6, size=2), 5)
    y, x = (np.arange(n, dtype=np.float32) for n in size)
    y = y[:, None]
    u = np.cos(2 * np.pi / periods[0] * (np.cos(angle) * x + np.sin(angle) * y))
    v = np.cos(2 * np.pi / periods[1] * (np.cos(angle) * y - np.sin(angle) * x))
    wave = {"stripes": u, "dots": u + v - 0.6, "checks": 2 * u * v}[str(kind)]
    return np.clip(0.5 + 1.5 * wave, 0, 1).astype(np.float32)


def _draw_blob(rng: np.random.Generator) -> np.ndarray:
    """Draws a closed curve with dents, which is none of the classes."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    waves = np.arange(2, 6)
    phases, heights = rng.uniform(0, 2 * np.pi, size=4), rng.uniform(0.12, 0.3, size=4)
    radii = 1 + (heights * np.cos(waves * angles[:, None] + phases)).sum(axis=1)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _draw_color(light: float, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Draws red, green and blue around a brightness, float32 in 0..1."""
    shades = rng.uniform(-1, 1, size=3)
    # Without their mean, so that the color does not change the brightness.
    shade = light + spread * (shades - shades.mean()) * 1.5
    return np.clip(shade, 0, 1).astype(np.float32)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
