"""What the layers of a network make of an image, each as one vector."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras.evaluation import protocols, run_settings, score_cache
from spp_keras.layers import SpatialPyramidPooling


def make_extractor(
    network: keras.Model, layers: Sequence[str], protocol: str, **settings: Any
) -> Callable[..., list[np.ndarray]]:
    """Makes what makes the features of several layers from an image, in one pass.

    Maps are flattened row by row, cells by channels; what a pyramid gives is a
    vector already, and `"spp/6x6"` is the part of it that one level makes.

    Args:
        network: Model of the zoo.
        layers: Names of layers, see `list_layers`.
        protocol: `"crop"` or `"full"`, see `protocols.Scorer`.
        **settings: `side`, `short_side` and `whole` of the `Scorer`.

    Returns:
        A function from bytes, size and orientation of an image, as for a `Scorer`, to a
        float32 vector for each layer.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> features = make_extractor(model, ["conv5", "spp", "spp/6x6"], "crop", side=64)
    >>> photograph = tf.io.encode_jpeg(tf.zeros((60, 80, 3), "uint8"))
    >>> [vector.shape for vector in features(photograph)]
    [(288,), (1600,), (1152,)]
    """
    check_layers(network, layers, protocol)
    vectors = [_vector(network, layer) for layer in layers]
    joined = keras.layers.Concatenate(name="vectors")(vectors) if vectors[1:] else vectors[0]
    # A network whose scores are features: views and their pixels are as in all protocols.
    scorer = protocols.Scorer(keras.Model(network.input, joined), protocol, **settings)
    image = keras.KerasTensor((1, scorer.side, scorer.side, network.input_shape[-1]))
    shapes = keras.Model(network.input, vectors).compute_output_spec(image)
    ends = np.cumsum([shape.shape[1] for shape in keras.tree.flatten(shapes)])[:-1]

    def features(encoded: Any, size: Any = None, orientation: Any = None) -> list[np.ndarray]:
        return np.split(scorer(encoded, size, orientation), ends)

    return features


def extract_features(
    member: run_settings.EvaluatedRun,
    protocol: str,
    layers: Sequence[str],
    network: Callable[[], keras.Model],
    images: Sequence[score_cache.ImageChunks],
    folder: Path,
) -> Iterator[list[np.ndarray]]:
    """Features of images, a layer at a time; those that are kept in a folder are not made again.

    Args:
        member: A run that is asked for features, see `members.for_features`.
        protocol: Of that.
        layers: Names of layers, see `list_layers`.
        network: Gives the run's network. Not called if all are there.
        images: Several lots of images.
        folder: Folder for what is kept.

    Returns:
        An iterator over the vectors of each lot, of one layer after the other.
    """
    folders = [
        folder / run_settings.cache_key(member, f"{protocol}-{layer.replace('/', '-')}")
        for layer in layers
    ]
    for lot in images:
        score_cache.fill_caches(
            lot,
            lambda: make_extractor(network(), layers, protocol, **member.settings),
            folders,
            f"Features of {lot.records.name}",
        )
    for one in folders:
        yield [score_cache.load_vectors(lot, one) for lot in images]


def list_layers(network: keras.Model) -> list[str]:
    """The layers that features can be taken of, and the levels of a pyramid.

    Example:

    >>> list_layers(zf5_spp(classes=10, width=0.125))[-11:-6]
    ['conv5', 'spp', 'spp/6x6', 'spp/3x3', 'spp/2x2']
    """
    found = []
    for layer in network.layers:
        # Others have a second output, the sizes of the images in a mixed batch.
        if isinstance(layer.output, keras.KerasTensor) and layer.output is not network.input:
            found.append(layer.name)
        if isinstance(layer, SpatialPyramidPooling):
            found += [f"{layer.name}/{rows}x{columns}" for rows, columns in layer.levels]
    return found


def check_layers(network: keras.Model, layers: Sequence[str], protocol: str) -> None:
    """That there are such layers, and that they make vectors of one length."""
    known = list_layers(network)
    if not layers or len(set(layers)) < len(layers) or not set(layers) <= set(known):
        raise ValueError(
            f"`layer` must be one or more of {', '.join(map(repr, known))}, the layers of "
            f"{network.name}, none twice. Received: layer={list(layers)}."
        )
    for layer in layers:
        shape = network.get_layer(layer.partition("/")[0]).output.shape
        if protocol == "full" and None in shape[1:]:
            behind = [name for name in known if None not in _shape(network, name)[1:]]
            raise ValueError(
                f"`layer` must be one behind the pyramid of {network.name} where images are sent "
                "whole, since maps of images of other aspects have other lengths: take "
                f"{', '.join(map(repr, behind))}, or crops, by a `side`. "
                f"Received: layer={layer!r}."
            )


def _vector(network: keras.Model, name: str) -> Any:
    name, _, level = name.partition("/")
    layer = network.get_layer(name)
    if not level:
        flatten = keras.layers.Flatten(data_format="channels_last", name=f"{name}_vector")
        return flatten(layer.output)
    bins = [rows * columns for rows, columns in layer.levels]
    number = [f"{rows}x{columns}" for rows, columns in layer.levels].index(level)
    channels = layer.output.shape[1] // sum(bins)
    first = sum(bins[:number]) * channels
    return layer.output[:, first : first + bins[number] * channels]


def _shape(network: keras.Model, name: str) -> tuple[int | None, ...]:
    return network.get_layer(name.partition("/")[0]).output.shape
