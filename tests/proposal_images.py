"""Images with colored objects, and records of image files, for proposals."""

import numpy as np
import photographs
from PIL import Image

from spp_keras.data.records import Records

# Colors that differ from each other and from the background; left, top, right, bottom.
OBJECTS = {
    (220, 30, 30): (20, 15, 90, 70),
    (30, 190, 40): (130, 20, 175, 130),
    (40, 60, 220): (35, 100, 85, 150),
    (240, 220, 40): (195, 90, 300, 165),
}


def draw_objects(factor=1, objects=OBJECTS):
    image = np.full((180 * factor, 320 * factor, 3), (235, 235, 225), np.uint8)
    for color, box in objects.items():
        left, top, right, bottom = (factor * edge for edge in box)
        image[top:bottom, left:right] = color
    return image


def make_records(folder, files):
    """Records of image files, by name, whose images are as Pillow says."""
    folder.mkdir(exist_ok=True)
    sizes = []
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        with Image.open(folder / name) as image:
            sizes.append((image.height, image.width))
    spans = [(i, 0, len(data)) for i, data in enumerate(files.values())]
    paths = tuple(str(folder / name) for name in files)
    return make_span_records(folder.name, list(files), sizes, paths, spans)


def make_span_records(name, ids, sizes, files, spans):
    return Records(
        name=name,
        classes=("thing",),
        ids=np.array(ids, np.str_),
        labels=np.zeros(len(ids), np.int32),
        sizes=np.array(sizes, np.int32).reshape(-1, 2),
        objects=None,
        files=files,
        spans=np.array(spans, np.int64).reshape(-1, 3),
        skipped=(),
        converted={},
    )


def encode_photographs(count, ending="png"):
    return {
        f"{i}.{ending}": photographs.encoded(photographs.photograph(40 + i, 60, i))
        for i in range(count)
    }
