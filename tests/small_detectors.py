"""Detectors of random weights whose answers differ, and what to ask them."""

import keras
import numpy as np
import tensorflow as tf
from photographs import photograph

from spp_keras import detection, zoo
from spp_keras.zoo import model_parts

LABELS = ("cat", "größe", "red car")
ONE_SCALE, THREE_SCALES, FIVE_SCALES = (120,), (60, 100, 150), (60, 80, 100, 120, 150)
MAX_DETECTIONS = 12


def detector(scales=ONE_SCALE, *, corrections=True, rpn=False):
    keras.utils.set_random_seed(1)
    halves = model_parts.split_model(zoo.zf5_spp(classes=3, width=0.0625, levels=(2, 1)))
    vectors = keras.Input((5 * halves.trunk.output_shape[-1],))
    hidden = keras.layers.Dense(8, "relu")(vectors)
    outputs = [keras.layers.Dense(3, "sigmoid", name="scores")(hidden)]
    if corrections:
        outputs.append(keras.layers.Dense(12, name="corrections")(hidden))
    head = keras.Model(vectors, outputs)
    # Scores that differ, and boxes that stay near their windows.
    for name, factor in (("scores", 20), ("corrections", 0.2))[: len(outputs)]:
        head.get_layer(name).kernel.assign(head.get_layer(name).kernel * factor)
    return detection.Detector(
        halves.trunk,
        head,
        labels=LABELS,
        grid=halves.grid,
        levels=(2, 1),
        scales=scales,
        input_size=64,
        rpn=detection.RegionProposalNetwork(4, anchor_sizes=(24, 48), max_proposals=20)
        if rpn
        else None,
        max_detections=MAX_DETECTIONS,
    )


def in_graph(model, with_boxes=None):
    """What it does with one image, traced once, which takes less time than it saves."""
    specs = [tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4))]
    with_boxes = model.rpn is None if with_boxes is None else with_boxes
    return tf.function(model.detect, specs[: 2 if with_boxes else 1], autograph=False)


def picture(height, width, seed=0):
    return photograph(height, width, seed).astype("float32")


def windows(height, width, count, seed=0):
    """Boxes of all sizes in an image, some of which leave it; the last is of zeros."""
    drawn = np.random.default_rng(seed)
    x = np.sort(drawn.uniform(-10, width + 10, (count, 2)), axis=1)
    y = np.sort(drawn.uniform(-10, height + 10, (count, 2)), axis=1)
    boxes = np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1).astype("float32")
    boxes[-1] = 0
    return boxes


def check_equal(found, expected, scores=1e-4, boxes=1e-2):
    """That two answers for an image are the same."""
    assert int(found["count"]) == int(expected["count"])
    np.testing.assert_array_equal(found["classes"], expected["classes"])
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=scores)
    np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=boxes)
