"""Finds the images that are most similar to a query, by the pyramid vectors of a trained network.

Run it with `python examples/retrieval.py photos query.jpg`. The network is EfficientNet-Lite0 with
ImageNet weights, or that of a run, `--run runs/zf5_spp-shapes`. Vectors are stored in a file for
the next query; delete it when the images change. `--score` without a query prints how often the
nearest images have the same class.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

import spp_keras
from spp_keras.data import Warp, image_rules, load_records
from spp_keras.data.image_formats import SUFFIXES
from spp_keras.data.image_reader import read_span
from spp_keras.data.safe_decoding import decode_safely
from spp_keras.models import graph_run

parser = argparse.ArgumentParser()
parser.add_argument("images", help="folder of images at any depth, or name of a data set")
parser.add_argument("query", nargs="?", help="an image")
parser.add_argument("--run", default="efficientnet_lite0", help="run folder (%(default)s)")
parser.add_argument("--nearest", type=int, default=5, help="number of images (%(default)s)")
parser.add_argument("--split", default="validation", help="of a data set (%(default)s)")
parser.add_argument("--layer", default="spp", help="layer to compare (%(default)s)")
parser.add_argument("--image-size", type=int, help="warp every image to a square of this size")
parser.add_argument("--index", default="index.npz", help="file of the vectors (%(default)s)")
parser.add_argument("--score", action="store_true", help="fraction of the same class")
options = parser.parse_args()

run = spp_keras.load_run(options.run)
size_policy = Warp(image_size=options.image_size) if options.image_size else run.size_policy
min_size = graph_run.min_image_size(run.model)
extract = spp_keras.features(run.model, options.layer)
decode = tf.function(
    lambda file: decode_safely(
        file, size_policy, min_size, orientation=run.orientation, background=run.background
    )
)


def compute_vector(file: bytes) -> np.ndarray:
    """The feature vector of an image at its own aspect ratio, normalized to length 1."""
    decoded = decode(tf.constant(file))
    if decoded.code != image_rules.OK:
        raise ValueError(decoded.reason.numpy().decode())
    features = extract(tf.cast(decoded.pixels[tf.newaxis], tf.float32))[0].numpy()
    return features / np.linalg.norm(features)


def read_images() -> Iterator[tuple[str, str, bytes]]:
    """Name, class and bytes of each image."""
    if not Path(options.images).is_dir():
        records = load_records(options.images, options.split)
        for name, label, span in zip(records.ids, records.labels, records.spans, strict=True):
            yield str(name), str(label), read_span(records.files, span)
        return
    for path in sorted(Path(options.images).rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            yield str(path), path.parent.name, path.read_bytes()


def load_index() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names, classes and vectors of all images, from the file if it has the same settings."""
    settings = (options.run, options.images, options.split, options.layer, options.image_size)
    if Path(options.index).exists():
        with np.load(options.index) as stored:
            if str(stored["settings"]) == repr(settings):
                return stored["names"], stored["classes"], stored["vectors"]
    rows = []
    for name, label, file in read_images():
        try:
            rows.append((name, label, compute_vector(file)))
        except ValueError as error:
            print(f"{name} {error}: left out", file=sys.stderr)
    names, classes, vectors = map(np.array, zip(*rows, strict=True))
    np.savez(options.index, settings=repr(settings), names=names, classes=classes, vectors=vectors)
    return names, classes, vectors


names, classes, vectors = load_index()
if options.query:
    similarity = vectors @ compute_vector(Path(options.query).read_bytes())
    for row in np.argsort(-similarity, kind="stable")[: options.nearest]:
        print(f"{similarity[row]:.4f}  {names[row]}")
if options.score:
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : options.nearest]
    same = classes[:, np.newaxis] == classes
    fraction = np.take_along_axis(same, nearest, axis=1).mean()
    chance = (same.sum() - len(same)) / (same.size - len(same))
    score = f"{fraction:.3f} of the nearest {options.nearest} share the class"
    print(f"{score}, {chance:.3f} by chance")
