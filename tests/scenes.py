"""Small scenes with objects, and proposals for them."""

import numpy as np
from PIL import Image

CLASSES = ("disc", "square")


def scene(rng):
    """A gray image with a red square and a blue disc, and their boxes, top left bottom right."""
    height, width = rng.integers(90, 130, 2)
    pixels = np.full((height, width, 3), 128, "uint8") + rng.integers(0, 20, (height, width, 3))
    y, x = np.mgrid[:height, :width]
    objects = []
    for class_index, left in enumerate((0, width // 2)):
        side = int(rng.integers(28, 40))
        top = int(rng.integers(2, height - side - 2))
        left = int(left + rng.integers(2, width // 2 - side - 2))
        inside = (abs(y - top - side / 2) < side / 2) & (abs(x - left - side / 2) < side / 2)
        if class_index == 0:
            inside &= (y - top - side / 2) ** 2 + (x - left - side / 2) ** 2 < side**2 / 4
        pixels[inside] = (20, 20, 220) if class_index == 0 else (220, 20, 20)
        objects.append((CLASSES[class_index], (top, left, top + side, left + side)))
    return pixels.astype("uint8"), objects


def annotation(pixels, things):
    """The XML of an image: of each object the class, the box and, if it has one, `difficult`."""
    objects = "".join(
        f"<object><name>{kind}</name><difficult>{int(any(difficult))}</difficult>"
        f"<bndbox><ymin>{top}</ymin><xmin>{left}</xmin>"
        f"<ymax>{bottom}</ymax><xmax>{right}</xmax></bndbox></object>"
        for kind, (top, left, bottom, right), *difficult in things
    )
    height, width = pixels.shape[:2]
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    return f"<annotation>{size}{objects}</annotation>"


def write_voc(root, split, scenes):
    """A tree of VOC with these scenes in one of its lists."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    names = [f"{split}_{i}" for i in range(len(scenes))]
    (root / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(names) + "\n")
    for name, (pixels, objects) in zip(names, scenes, strict=True):
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
        (root / "Annotations" / f"{name}.xml").write_text(annotation(pixels, objects))


def draw_proposals(records, rng, count=60):
    """Boxes near the objects and random ones, for each image."""
    proposals = []
    for size, objects in zip(records.sizes, records.objects, strict=True):
        height, width = size
        gt_boxes = objects.boxes[:, [1, 0, 3, 2]] * np.array([width, height] * 2)
        near = np.repeat(gt_boxes, 8, axis=0)
        near = near + rng.normal(0, 4, near.shape)
        corners = rng.uniform(0, 1, (count, 2, 2)) * np.array([width, height])
        anywhere = np.concatenate([corners.min(axis=1), corners.max(axis=1) + 4], axis=1)
        boxes = np.concatenate([near, anywhere])
        proposals.append(np.clip(boxes, 0, [width, height] * 2).astype("float32"))
    return proposals


def random_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype("float32")


def random_boxes(count, height, width, seed=0):
    corners = np.random.default_rng(seed).uniform(0, 1, (count, 2, 2)) * [width, height]
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype("float32")
