"""Outputs of the networks of the zoo."""

import keras
import numpy as np
import tensorflow as tf
from frozen import inputs

from spp_keras import zoo

NETWORKS = ("alexnet5", "overfeat5", "overfeat7", "zf5")


def make_network(name, **options):
    """A narrow network of the zoo that returns logits."""
    options = {"width": 0.125, "classes": 10, "classifier_activation": None, **options}
    return inputs.fill_weights(getattr(zoo, name)(**options))


def call_with_all_forms(model):
    batch, sizes = inputs.pad_images(inputs.make_mixed_images())
    return {
        "dense": model(inputs.make_images(64, 91)),
        "ragged": model(tf.ragged.stack(inputs.make_mixed_images())),
        "padded": model({"images": batch, "sizes": sizes}),
    }


def compute_fixed_networks():
    return {name: make_network(name)(inputs.make_images(224, 224)) for name in NETWORKS}


def compute_spp_network(name):
    return call_with_all_forms(make_network(name))


def compute_networks_without_top():
    outputs = {}
    for name in NETWORKS:
        network = getattr(zoo, f"{name}_spp")(include_top=False, width=0.0625)
        outputs[name] = inputs.fill_weights(network)(inputs.make_images(64, 91))
    for pooling in ("avg", "max", "spp"):
        network = zoo.zf5_spp(include_top=False, width=0.0625, pooling=pooling)
        images = tf.ragged.stack(inputs.make_mixed_images())
        outputs[pooling] = inputs.fill_weights(network)(images)
    return outputs


def compute_network_options():
    levels = (5, (2, 3), 1)
    model = make_network("zf5_spp", classifier_activation="softmax", levels=levels, width=0.0625)
    return call_with_all_forms(model)


def compute_full_width():
    model = make_network("zf5_spp", width=1.0, classes=1000)
    return {"zf5_spp": model(inputs.make_images(180, 224, 1))}


def compute_backbone_classifier():
    images = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 128, -1.0)(images)
    x = keras.layers.Conv2D(
        6, 5, strides=3, padding="same", activation="relu", name="backbone_conv1"
    )(x)
    x = keras.layers.BatchNormalization(name="backbone_norm1")(x)
    x = keras.layers.Conv2D(
        8, 3, strides=2, padding="same", activation="relu", name="backbone_conv2"
    )(x)
    backbone = keras.Model(images, x)
    model = zoo.spp_classifier(backbone, 5, levels=(3, 1), units=(16,), classifier_activation=None)
    inputs.fill_weights(model)
    norm = backbone.get_layer("backbone_norm1")
    norm.moving_variance.assign(np.abs(norm.moving_variance) + 1)
    return call_with_all_forms(model)


def compute_with_boxes():
    model = make_network("zf5_spp", width=0.0625)
    images = inputs.make_images(97, 140)
    boxes = np.stack([inputs.make_boxes(97, 140, 6, seed) for seed in range(2)])
    outputs = {
        "whole": model(images),
        "xyxy": zoo.with_boxes(model)({"images": images, "boxes": boxes}),
    }
    boxes = inputs.convert_boxes(boxes, "center_xywh", 97, 140)
    model = zoo.with_boxes(model, "center_xywh")
    outputs["center_xywh"] = model({"images": images, "boxes": boxes})
    return outputs
