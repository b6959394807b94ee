"""Outputs of image decoding and of pipelines."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from frozen import inputs

from spp_keras.data import Crop, Pipeline, Records, Warp, Whole, image_ops


def compute_one_image():
    encoded, size = tf.constant(inputs.encode_png(inputs.make_pixels(90, 124))), [90, 124]
    decode_window = image_ops.decode_window
    outputs = {
        "decoded": image_ops.decode_image(encoded),
        "turned": image_ops.decode_image(encoded, 6),
        "crop": decode_window(encoded, size, [7, 20, 60, 60], [60, 60]),
        "smaller crop": decode_window(encoded, size, [7, 20, 60, 60], [47, 47]),
        "half crop": decode_window(encoded, size, [7, 20, 60, 60], [24, 24]),
        "turned crop": decode_window(encoded, [124, 90], [20, 7, 60, 70], [40, 50], 8),
        "smaller": image_ops.decode_resized(encoded, size, [64, 88]),
        "larger": image_ops.decode_resized(encoded, size, [100, 138]),
    }
    outputs["shifts"] = image_ops.draw_color_shifts(0.1 * inputs.make_feature_maps(4, 3))
    outputs["shifted"] = image_ops.shift_color(outputs["smaller"], outputs["shifts"][1])
    outputs["mirrored"] = image_ops.flip_horizontal(outputs["smaller"], True)
    return outputs


def write_records(folder, count=20):
    """Images of mixed sizes, each of a class of its own."""
    sizes = np.random.default_rng(0).integers(16, 60, (count, 2))
    files, spans = [], []
    for index, size in enumerate(sizes):
        files.append(Path(folder) / f"{index:02}.png")
        files[-1].write_bytes(inputs.encode_png(inputs.make_pixels(*size, index)))
        spans.append((index, 0, files[-1].stat().st_size))
    return Records(
        name="small",
        classes=tuple(f"class {index}" for index in range(count)),
        ids=np.array([file.name for file in files]),
        labels=np.arange(count, dtype="int32"),
        sizes=sizes.astype("int32"),
        objects=None,
        files=tuple(map(str, files)),
        spans=np.array(spans, "int64"),
        skipped=(),
        converted={},
    )


def compute_batches():
    crop = Crop(image_sizes=(24, 18), short_side=28)
    ranged = Crop(image_sizes=(16, 24), short_side=28, schedule="range")
    cases = {
        "own size": {},
        "short side": {"size_policy": Whole(short_side=24, longest_side=40), "flip": True},
        "pixels": {"max_pixels": 6000, "seed": 5},
        "crops": {"size_policy": crop, "flip": True, "color_jitter": 0.1},
        "range": {"size_policy": ranged, "seed": 2},
        "warped": {"size_policy": Warp(image_size=20), "shuffle": False},
    }
    outputs = {}
    with tempfile.TemporaryDirectory() as folder:
        records = write_records(folder)
        for name, options in cases.items():
            pipeline = Pipeline(records, batch_size=6, **options)
            dataset = pipeline.dataset(repeat=True).take(2 * pipeline.steps_per_epoch)
            batches = list(dataset.as_numpy_iterator())
            outputs[f"{name} order"] = np.stack([pipeline.order(epoch) for epoch in range(3)])
            outputs[f"{name} labels"] = np.concatenate([labels for _, labels in batches])
            outputs[f"{name} lengths"] = np.array([len(labels) for _, labels in batches])
            if pipeline.mixed:
                outputs[f"{name} sizes"] = np.concatenate([x["sizes"] for x, _ in batches])
                batches = [(x["images"], labels) for x, labels in batches]
            outputs[f"{name} shapes"] = np.array([images.shape for images, _ in batches])
            outputs[f"{name} pixels"] = np.concatenate([images.ravel() for images, _ in batches])
            outputs[f"{name} padding"] = np.array(1 - pipeline.fill(1))
    return outputs
