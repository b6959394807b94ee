"""Detections and objects of a few boxes, and their metrics."""

import numpy as np

from spp_keras.data.sources import Objects
from spp_keras.detection import Detections
from spp_keras.metrics import evaluate_coco, evaluate_voc

# A power of two, so that fractions of it are exact.
SIZE = 64
RULES = ("area", "11-point")
CLASSES = ("cat", "dog", "cow")


def make_objects(*rows, side=SIZE):
    """Objects of rows of left, top, right, bottom, class and perhaps "difficult"."""
    edges = np.array([row[:4] for row in rows], "float32").reshape(-1, 4)
    labels = np.array([row[4] for row in rows], "int32")
    return Objects(
        edges[:, [1, 0, 3, 2]] / side, labels, np.array(["difficult" in r for r in rows])
    )


def make_detections(*rows):
    """Detections of rows of left, top, right, bottom, class and score."""
    table = np.array(rows, "float32").reshape(-1, 6)
    return Detections(table[:, :4], table[:, 5], table[:, 4].astype("int32"))


def voc(detections, objects, classes=("cat", "dog"), **options):
    return evaluate_voc(detections, objects, [(SIZE, SIZE)] * len(detections), classes, **options)


def coco(detections, objects, classes=("cat", "dog"), side=SIZE):
    return evaluate_coco(detections, objects, [(side, side)] * len(detections), classes)


# Two cats to be detections and one difficult.
CATS = [
    make_objects((0, 0, 32, 32, 0), (32, 32, 64, 64, 0, "difficult")),
    make_objects((0, 0, 40, 40, 0)),
]
DETECTIONS = [
    make_detections((0, 0, 32, 32, 0, 0.7), (0, 0, 32, 31, 0, 0.9), (32, 32, 64, 64, 0, 0.8)),
    make_detections((0, 0, 40, 40, 0, 0.6), (50, 50, 60, 60, 0, 0.5)),
]
