"""Requests to exported detectors."""

import exif_files
import numpy as np
from photographs import photograph
from small_detectors import picture, windows

from spp_keras.export.tf_serving import detector_signatures

TEXT = b"<html>Not found</html>"
# Of files: the last one is scaled down.
LONGEST_SIDE = 200
SIZES = [(64, 90), (97, 61), (150, 260)]
# The second lies on its side.
FILES = [
    exif_files.file(photograph(*size, seed), "PNG", 8 if seed == 1 else 1)
    for seed, size in enumerate(SIZES)
]
WINDOWS = np.stack([windows(*size, 9, seed) for seed, size in enumerate(SIZES)])
SIGNATURES = {
    "proposing": ["bytes", "bytes_with_boxes", "detect", "serving_default"],
    "given": ["bytes_with_boxes", "detect", "serving_default"],
}


def of_pixels(size, boxes=None, images=2, signature="detect"):
    request = {"images": np.stack([picture(*size, seed) for seed in range(images)])}
    if boxes is not None:
        request["boxes"] = np.stack([windows(*size, boxes, seed) for seed in range(images)])
    return signature, request


def of_files(which, with_boxes):
    request = {"image_bytes": [FILES[i] for i in which]}
    if with_boxes:
        request["boxes"] = WINDOWS[list(which)]
    return ("bytes_with_boxes" if with_boxes else "bytes"), request


REQUESTS = {
    "proposing": [
        of_pixels((64, 90), 7),
        of_pixels((120, 51), signature="serving_default"),
        of_files((0, 1, 2), True),
        of_files((0, 1, 2), False),
        *(of_files((i,), with_boxes) for with_boxes in (True, False) for i in range(3)),
    ],
    "given": [
        of_pixels((64, 90), 7),
        of_pixels((120, 51), 3, signature="serving_default"),
        of_files((0, 1, 2), True),
        of_files((1,), True),
    ],
}
BROKEN = {
    "image_bytes": [FILES[0], TEXT, FILES[2]],
    "boxes": WINDOWS,
}
ONE = np.array([[[0, 0, 50, 40]]], "float32")
WRONG = {
    "one image and no batch": {"images": picture(64, 90), "boxes": ONE},
    "a dimension more": {"images": picture(64, 90)[None, None], "boxes": ONE},
    "two channels more": {"images": np.zeros((1, 64, 90, 5)), "boxes": ONE},
    "a number": {"images": np.zeros(()), "boxes": ONE},
    "an image of nothing": {"images": np.zeros((1, 0, 90, 3)), "boxes": ONE},
    "no image": {"images": np.zeros((0, 64, 90, 3)), "boxes": np.zeros((0, 1, 4))},
    "an image too large": {"images": np.zeros((1, 201, 200, 3)), "boxes": ONE},
    "boxes without a batch": {"images": picture(64, 90)[None], "boxes": ONE[0]},
    "boxes of five": {"images": picture(64, 90)[None], "boxes": np.zeros((1, 2, 5))},
    "boxes of other images": {"images": picture(64, 90)[None], "boxes": np.zeros((2, 2, 4))},
    "fewer boxes than images": {"images": np.zeros((2, 64, 90, 3)), "boxes": ONE},
    "boxes of no number": {"images": picture(64, 90)[None], "boxes": ONE * np.nan},
    "a box from right to left": {"images": picture(64, 90)[None], "boxes": ONE[..., [2, 1, 0, 3]]},
    "too many boxes": {
        "images": picture(64, 90)[None],
        "boxes": np.zeros((1, detector_signatures.MAX_BOXES + 1, 4)),
    },
}
MESSAGES = {
    "no image": "`images` must hold one image or more",
    "an image of nothing": "`images` must have one pixel or more each",
    "an image too large": "`images` has 201x200 pixels an image, more than 40000",
    "boxes of other images": "`boxes` must have one row for each of `images`. Received: 2 for 1",
    "fewer boxes than images": "`boxes` must have one row for each of `images`. Received: 1 for 2",
    "boxes of no number": "`boxes` must be finite",
    "a box from right to left": "with left <= right",
    "too many boxes": "`boxes` has 20001 boxes an image, more than 20000: send the best",
}


def many(count):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 40, (1, count, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 50, (1, count, 2))], axis=2)
    return {"images": picture(64, 90)[None], "boxes": boxes}


def rows(answer):
    return [dict(zip(answer, parts, strict=True)) for parts in zip(*answer.values(), strict=True)]
