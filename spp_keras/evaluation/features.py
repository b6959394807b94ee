"""Features of images: the outputs of a network's layers, each as one vector."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras.conversion.placement_layers import CellPlacements, MaskCells
from spp_keras.evaluation import protocols, run_settings, score_cache
from spp_keras.evaluation.run_settings import EvaluatedRun
from spp_keras.layers import SpatialPyramidPooling


def make_extractor(
    network: keras.Model, layers: Sequence[str], protocol: str, **settings: Any
) -> Callable[..., list[np.ndarray]]:
    """Makes the function that computes the features of several layers in one pass.

    Feature maps are flattened row by row, cells by channels; the output of a pyramid is a
    vector already, and `"spp/6x6"` is the part of it from one level.

    Args:
        network: Model of the zoo.
        layers: Names of layers, see `list_layers`.
        protocol: `"crop"` or `"full"`, see `protocols.Scorer`.
        **settings: `view_size`, `short_side` and `whole` of the `Scorer`.

    Returns:
        A function from the arguments of a `Scorer` to a float32 vector for each layer.

    Example:

    >>> model = zf5_spp(classes=10, width=0.125)
    >>> features = make_extractor(model, ["conv5", "spp", "spp/6x6"], "crop", view_size=64)
    >>> image = tf.io.encode_jpeg(tf.zeros((60, 80, 3), "uint8"))
    >>> [vector.shape for vector in features(image)]
    [(288,), (1600,), (1152,)]
    """
    check_layers(network, layers, protocol)
    vectors = [_make_vector(network, layer) for layer in layers]
    joined = keras.layers.Concatenate(name="vectors")(vectors) if vectors[1:] else vectors[0]
    # A network whose scores are features, so that views are as in all protocols.
    scorer = protocols.Scorer(keras.Model(network.input, joined), protocol, **settings)
    image = keras.KerasTensor((1, scorer.view_size, scorer.view_size, network.input_shape[-1]))
    shapes = keras.Model(network.input, vectors).compute_output_spec(image)
    ends = np.cumsum([shape.shape[1] for shape in keras.tree.flatten(shapes)])[:-1]

    def extract(encoded: Any, *how: Any) -> list[np.ndarray]:
        return np.split(scorer(encoded, *how), ends)

    return extract


def extract_features(
    run: EvaluatedRun,
    protocol: str,
    layers: Sequence[str],
    network: keras.Model,
    splits: Sequence[score_cache.ImageChunks],
    folder: Path,
) -> Iterator[list[np.ndarray]]:
    """Features of images, a layer at a time, cached in a folder.

    Args:
        run: The run, see `run_settings.read_run_for_features`.
        protocol: Its protocol.
        layers: Names of layers, see `list_layers`.
        network: Network of the run.
        splits: The images of several splits.
        folder: Folder of the cache.

    Returns:
        An iterator over the layers, with the vectors of each split.
    """
    folders = [
        folder / run_settings.cache_key(run, f"{protocol}-{layer.replace('/', '-')}")
        for layer in layers
    ]
    for images in splits:
        score_cache.fill_caches(
            images,
            lambda: make_extractor(network, layers, protocol, **run.views._asdict()),
            folders,
            f"Features of {images.records.name}",
        )
    for layer_folder in folders:
        yield [score_cache.load_vectors(images, layer_folder) for images in splits]


def list_layers(network: keras.Model) -> list[str]:
    """Names of the layers that have features, and of the levels of a pyramid.

    Example:

    >>> list_layers(zf5_spp(classes=10, width=0.125))[-11:-6]
    ['conv5', 'spp', 'spp/6x6', 'spp/3x3', 'spp/2x2']
    """
    names = []
    for layer in network.layers:
        # Those for mixed batches have sizes of images as an output, or mask the map before them.
        is_helper = isinstance(layer, keras.layers.InputLayer | CellPlacements | MaskCells)
        if isinstance(layer.output, keras.KerasTensor) and not is_helper:
            names.append(layer.name)
        if isinstance(layer, SpatialPyramidPooling):
            names += [f"{layer.name}/{rows}x{columns}" for rows, columns in layer.levels]
    return names


def check_layers(network: keras.Model, layers: Sequence[str], protocol: str) -> None:
    """Raises unless the layers exist and their vectors have one length for all images."""
    known = list_layers(network)
    if not layers or len(set(layers)) < len(layers) or not set(layers) <= set(known):
        raise ValueError(
            f"`layers` must be one or more of {', '.join(map(repr, known))}, the layers of "
            f"{network.name}, none twice. Received: layers={list(layers)}."
        )
    for layer in layers:
        if protocol == "full" and None in _output_shape(network, layer)[1:]:
            usable = [name for name in known if None not in _output_shape(network, name)[1:]]
            raise ValueError(
                f"`layers` must be after the pyramid of {network.name} where images are sent "
                "whole, since the length of a feature map depends on the aspect ratio: take "
                f"{', '.join(map(repr, usable))}, or crops, by a `view_size`. "
                f"Received: layers={list(layers)}, with {layer!r}."
            )


def _make_vector(network: keras.Model, name: str) -> Any:
    name, _, level = name.partition("/")
    layer = network.get_layer(name)
    if not level:
        flatten = keras.layers.Flatten(data_format="channels_last", name=f"{name}_vector")
        return flatten(layer.output)
    bins = [rows * columns for rows, columns in layer.levels]
    index = [f"{rows}x{columns}" for rows, columns in layer.levels].index(level)
    channels = layer.output.shape[1] // sum(bins)
    start = sum(bins[:index]) * channels
    return layer.output[:, start : start + bins[index] * channels]


def _output_shape(network: keras.Model, name: str) -> tuple[int | None, ...]:
    shape: tuple[int | None, ...] = network.get_layer(name.partition("/")[0]).output.shape
    return shape
