"""Outputs of exported models."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from frozen import inputs
from frozen.detection_outputs import make_detector, rename_detections
from frozen.network_outputs import make_network

from spp_keras import export_model


def sort_by_length(vectors):
    """Vectors of any names, the longest first."""
    return sorted(vectors.values(), key=lambda vector: -vector.shape[-1])


def compute_exported_classifier():
    model = make_network("zf5_spp", width=0.0625, classes=3)
    images = tf.constant(inputs.make_images(64, 91))
    pixels = [inputs.make_pixels(90, 124), inputs.make_pixels(64, 70, 1)]
    files = tf.constant([inputs.encode_png(each) for each in pixels])
    with tempfile.TemporaryDirectory() as folder:
        version = export_model(
            model, Path(folder) / "models" / "pets", labels=inputs.LABELS, top_k=2
        )
        signatures = tf.saved_model.load(str(version)).signatures
        top = signatures["bytes"](image_bytes=files)
        outputs = {
            "pixels": signatures["serving_default"](images=images)["scores"],
            "uint8": signatures["uint8"](images=inputs.make_pixels(70, 64)[None])["scores"],
            "bytes scores": top["scores"],
            "bytes indices": top["indices"],
            "bytes labels": top["labels"],
        }
        vectors = {
            "features": signatures["features"](images=images),
            "features of bytes": signatures["bytes_features"](image_bytes=files),
        }
    for name, by_layer in vectors.items():
        for index, vector in enumerate(sort_by_length(by_layer)):
            outputs[f"{name} {index}"] = vector
    return outputs


def compute_exported_detector():
    model = make_detector(rpn=True, scales=(120,))
    images = tf.constant(inputs.make_images(97, 140))
    boxes = np.stack([inputs.make_boxes(97, 140, 15, seed) for seed in range(2)])
    pixels = [inputs.make_pixels(97, 140), inputs.make_pixels(70, 64)]
    files = tf.constant([inputs.encode_png(each) for each in pixels])
    with tempfile.TemporaryDirectory() as folder:
        version = export_model(model, Path(folder) / "models" / "pets")
        signatures = tf.saved_model.load(str(version)).signatures
        given = signatures["detect"](images=images, boxes=tf.constant(boxes))
        proposing = signatures["bytes"](image_bytes=files)
    return {
        **rename_detections(given, "detect"),
        "detect labels": given["labels"],
        **rename_detections(proposing, "bytes"),
        "bytes labels": proposing["labels"],
    }


def compute_tflite():
    model = make_network("zf5_spp", width=0.0625, classes=3)
    with tempfile.TemporaryDirectory() as folder:
        path = export_model(model, Path(folder) / "pets.tflite", labels=inputs.LABELS)
        interpreter = Interpreter(str(path))
    (images_details,) = interpreter.get_input_details()
    (scores_details,) = interpreter.get_output_details()
    outputs = {}
    for size in inputs.MIXED_SIZES:
        interpreter.resize_tensor_input(images_details["index"], (1, *size, 3), strict=True)
        interpreter.allocate_tensors()
        interpreter.set_tensor(images_details["index"], inputs.make_image(*size)[None])
        interpreter.invoke()
        outputs[f"{size[0]}x{size[1]}"] = interpreter.get_tensor(scores_details["index"])
    return outputs
