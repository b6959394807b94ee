"""Outputs of detectors, of operations on boxes and of the metrics of detection."""

import keras
import numpy as np
import tensorflow as tf
from frozen import inputs

from spp_keras import metrics, ops, zoo
from spp_keras.data.sources import Objects
from spp_keras.detection import Detections, Detector, RegionProposalNetwork


def make_detector(rpn=False, scales=(60, 100, 150)):
    trunk = zoo.zf5_spp(include_top=False, width=0.0625)
    vectors = keras.Input((5 * trunk.output_shape[-1],))
    hidden = keras.layers.Dense(8, "relu", name="head_hidden")(vectors)
    scores = keras.layers.Dense(3, "sigmoid", name="head_scores")(hidden)
    deltas = keras.layers.Dense(12, name="head_corrections")(hidden)
    detector = Detector(
        trunk,
        keras.Model(vectors, [scores, deltas]),
        labels=inputs.LABELS,
        grid=(16, 14),
        levels=(2, 1),
        scales=scales,
        input_size=64,
        rpn=RegionProposalNetwork(4, anchor_sizes=(24, 48), max_proposals=20) if rpn else None,
        max_detections=40,
    )
    return inputs.fill_weights(detector, {"head_scores/kernel": 20, "last/kernel": 3})


def rename_detections(detections, name):
    """The outputs of a detector by their names in the file."""
    return {
        f"{name} boxes": detections["boxes"],
        f"{name} scores": detections["scores"],
        f"{name} classes": detections["classes"],
        f"{name} count": detections["count"],
    }


def compute_detector():
    images = inputs.make_images(97, 140)
    boxes = np.stack([inputs.make_boxes(97, 140, 15, seed) for seed in range(2)])
    given = make_detector()((images, boxes))
    one_scale = make_detector(scales=(120,))((images, boxes))
    detector = make_detector(rpn=True)
    proposing = detector(tf.ragged.stack(inputs.make_mixed_images()))
    feature_maps = detector.compute_feature_maps(tf.constant(inputs.make_image(97, 140)))
    return {
        **rename_detections(given, "given"),
        **rename_detections(one_scale, "one scale"),
        **rename_detections(proposing, "proposing"),
        "windows proposed": detector.propose(feature_maps, tf.constant([97, 140])),
        "maps": feature_maps[1],
    }


def compute_box_arithmetic():
    boxes1, boxes2 = inputs.make_boxes(97, 140, 30), inputs.make_boxes(97, 140, 30, seed=1)
    deltas = ops.encode_boxes(boxes1, boxes2)
    outputs = {
        "overlaps": ops.box_iou(boxes1, boxes2),
        "encoded": deltas,
        "decoded": ops.decode_boxes(tf.constant(boxes1), 2 * deltas),
        "clipped": ops.clip_boxes(tf.constant(boxes1), tf.constant([97, 140])),
    }
    scores = np.random.default_rng(2).permutation(30).astype("float32")
    scores[[3, 8]] = scores[5]
    boxes1[7] = 0
    for iou_threshold in (0.3, 0.7):
        name = f"kept {iou_threshold}"
        outputs[name], outputs[f"{name} count"] = ops.nms(
            tf.constant(boxes1), tf.constant(scores), 25, iou_threshold
        )
    return outputs


def make_detections_and_objects(rng):
    """Detections in four images, and the objects in them."""
    detections, objects = [], []
    for seed in range(4):
        true_boxes = inputs.make_boxes(100, 150, 4, seed).clip(0, [150, 100] * 2)
        moved = true_boxes + rng.normal(0, 3, (2, 4, 4))
        boxes = np.concatenate([moved.reshape(-1, 4), inputs.make_boxes(100, 150, 6, seed + 9)])
        detections.append(
            Detections(
                boxes.astype("float32"),
                rng.uniform(0, 1, 14).astype("float32"),
                np.concatenate([np.arange(8) % 2, rng.integers(0, 2, 6)]).astype("int32"),
            )
        )
        relative = (true_boxes / [150, 100, 150, 100])[:, [1, 0, 3, 2]].astype("float32")
        difficult = np.array([False, False, seed == 2, False])
        objects.append(Objects(relative, np.arange(4, dtype="int32") % 2, difficult))
    return detections, objects


def compute_detection_metrics(rng):
    """A part of the subject "metrics", whose random numbers come from one generator."""
    detections, objects = make_detections_and_objects(rng)
    arguments = (detections, objects, [(100, 150)] * 4, inputs.LABELS)
    outputs = {}
    for rule in ("area", "11-point"):
        voc = metrics.evaluate_voc(*arguments, rule=rule)
        outputs[f"voc {rule}"] = [voc.mean, *list(voc.average_precision.values())[:2]]
        outputs[f"voc {rule} recall"] = list(voc.recall.values())[:2]
    coco = metrics.evaluate_coco(*arguments)
    outputs["coco"] = [coco[name] for name in ("AP", "AP50", "AP75", "AR")]
    return outputs
