"""Finds the pictures that are most like one, by what the pyramid of a trained network gives.

Run it with `python examples/retrieval.py runs/zf5_spp-shapes photographs query.jpg`. Vectors are
kept in a file, so that the next query is quick; remove it when the pictures change. With `--score`
and no query it says how often the nearest are of the same class: a folder's, or a data set's.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import spp_keras
from spp_keras.data import (
    Warp,
    image_formats,
    image_reader,
    image_rules,
    load_records,
    safe_decoding,
)
from spp_keras.zoo import layer_chain

parser = argparse.ArgumentParser()
parser.add_argument("run", help="folder that `spp-keras train` made")
parser.add_argument("pictures", help="folder with them at any depth, or a data set's name")
parser.add_argument("query", nargs="?", help="a picture")
parser.add_argument("--nearest", type=int, default=5, help="how many (%(default)s)")
parser.add_argument("--split", default="validation", help="of a data set (%(default)s)")
parser.add_argument("--layer", default="spp", help="whose output is compared (%(default)s)")
parser.add_argument("--square", type=int, help="side of a square to warp every picture to")
parser.add_argument("--index", default="index.npz", help="file of the vectors (%(default)s)")
parser.add_argument("--score", action="store_true", help="share of the same class")
options = parser.parse_args()

run = spp_keras.load_run(options.run)
network, view, orientation = run.model, run.size_policy, run.orientation
if options.square:
    view = Warp(image_size=options.square)
min_side = layer_chain.min_image_size(network)
pooled = keras.Model(network.input, network.get_layer(options.layer).output)
# One graph for all sizes.
ask = tf.function(pooled.call, input_signature=[tf.TensorSpec((1, None, None, 3))])
decode = tf.function(
    lambda picture: safe_decoding.decode_safely(picture, view, min_side, orientation=orientation)
)


def vector(picture: bytes) -> np.ndarray:
    """What the network makes of a picture at its own aspect, scaled to length 1."""
    decoded = decode(tf.constant(picture))
    if decoded.code != image_rules.OK:
        raise ValueError(decoded.reason.numpy().decode())
    found = ask(tf.cast(decoded.pixels[tf.newaxis], tf.float32))[0].numpy()
    return found / np.linalg.norm(found)


def pictures() -> Iterator[tuple[str, str, bytes]]:
    """Name, class and bytes of each picture."""
    if not Path(options.pictures).is_dir():
        found = load_records(options.pictures, options.split)
        for name, label, span in zip(found.ids, found.labels, found.spans, strict=True):
            yield str(name), str(label), image_reader.read_span(found.files, span)
        return
    for path in sorted(Path(options.pictures).rglob("*")):
        if path.suffix.lower() in image_formats.SUFFIXES:
            yield str(path), path.parent.name, path.read_bytes()


def index() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names, classes and vectors of all pictures, from the file if it is of these."""
    asked = (options.run, options.pictures, options.split, options.layer, options.square)
    if Path(options.index).exists():
        with np.load(options.index) as stored:
            if str(stored["asked"]) == repr(asked):
                return stored["names"], stored["classes"], stored["vectors"]
    rows = []
    for name, label, picture in pictures():
        try:
            rows.append((name, label, vector(picture)))
        except ValueError as error:
            print(f"{name} {error}: left out", file=sys.stderr)
    names, classes, vectors = map(np.array, zip(*rows, strict=True))
    np.savez(options.index, asked=repr(asked), names=names, classes=classes, vectors=vectors)
    return names, classes, vectors


names, classes, vectors = index()
if options.query:
    similarity = vectors @ vector(Path(options.query).read_bytes())
    for number in np.argsort(-similarity, kind="stable")[: options.nearest]:
        print(f"{similarity[number]:.4f}  {names[number]}")
if options.score:
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : options.nearest]
    same = classes[:, np.newaxis] == classes
    found = np.take_along_axis(same, nearest, axis=1).mean()
    chance = (same.sum() - len(same)) / (same.size - len(same))
    print(f"{found:.3f} of the nearest {options.nearest} share the class, {chance:.3f} by chance")
