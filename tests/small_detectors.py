"""Detectors of random weights whose outputs differ, and inputs for them."""

import keras
import numpy as np
import tensorflow as tf
from photographs import photograph

from spp_keras import detection, run_folder, zoo

LABELS = ("cat", "größe", "red car")
ONE_SCALE, THREE_SCALES, FIVE_SCALES = (120,), (60, 100, 150), (60, 80, 100, 120, 150)
MAX_DETECTIONS = 12


def detector(
    scales=ONE_SCALE, *, labels=LABELS, deltas=True, rpn=False, anchor_sizes=(24, 48), **options
):
    keras.utils.set_random_seed(1)
    network = zoo.zf5_spp(classes=len(labels), width=0.0625, levels=(2, 1))
    vectors = keras.Input((network.get_layer("spp").output.shape[-1],))
    hidden = keras.layers.Dense(8, "relu")(vectors)
    outputs = [keras.layers.Dense(len(labels), "sigmoid", name="scores")(hidden)]
    if deltas:
        outputs.append(keras.layers.Dense(4 * len(labels), name="deltas")(hidden))
    head = keras.Model(vectors, outputs)
    # Scores that differ, and boxes that stay near their RoIs.
    for name, factor in (("scores", 20), ("deltas", 0.2))[: len(outputs)]:
        head.get_layer(name).kernel.assign(head.get_layer(name).kernel * factor)
    if rpn:
        options["rpn"] = detection.RegionProposalNetwork(
            4, anchor_sizes=anchor_sizes, max_proposals=20
        )
    return detection.Detector.from_network(
        network,
        head,
        labels=labels,
        scales=scales,
        input_size=64,
        **{"max_detections": MAX_DETECTIONS, **options},
    )


def make_detector_run(folder, labels=LABELS, *, rpn=True, **options):
    """Writes a detector's run folder as its training leaves it, and returns the detector."""
    model = detector(
        labels=labels, rpn=rpn, anchor_sizes=(32, 64), **{"max_detections": 100, **options}
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / run_folder.DETECTOR)
    return model


def in_graph(model, with_boxes=None):
    """`Detector.detect`, traced once, which takes less time than it saves."""
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


def check_equal(detections, expected, scores=1e-4, boxes=1e-2):
    """That two outputs for an image are the same."""
    assert int(detections["count"]) == int(expected["count"])
    np.testing.assert_array_equal(detections["classes"], expected["classes"])
    np.testing.assert_allclose(detections["scores"], expected["scores"], atol=scores)
    np.testing.assert_allclose(detections["boxes"], expected["boxes"], atol=boxes)
