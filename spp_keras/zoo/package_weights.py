"""Loads weights into a network of the zoo: ImageNet's from a package, or a file's."""

from collections.abc import Iterator, Mapping

import keras
import numpy as np

from spp_keras import _cache
from spp_keras.zoo import torch_files, weight_packages
from spp_keras.zoo import weights as weight_files
from spp_keras.zoo.layer_rows import PREDICTIONS

# Part of cache keys: another number when converted files mean something else.
_FORMAT = 2
# The array of a cache file that names the others.
_NAMES = "names"
_NORMALIZATION = ("weight", "bias", "running_mean", "running_var")


def load_weights(
    model: keras.Model, weights: str | None, network: str, *, with_predictions: bool
) -> None:
    """Loads weights into a network that has weights in a package.

    Args:
        model: The network, built.
        weights: `"imagenet"`, the path of a `.weights.h5` file, or `None` for none.
        network: Name of the network, a key of `weight_packages.PACKAGES`.
        with_predictions: Whether the network pools as the trained one does, so that the layer
            `predictions` can have its weights if there are as many classes.
    """
    if weights is None:
        return
    if weights != "imagenet":
        weight_files.load_weights(model, weights)
        return
    arrays = _read_arrays(network)
    pending = []
    for layer in model.layers:
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if not shapes:
            continue
        stored = arrays.get(layer.name, [])
        if [array.shape for array in stored] == shapes:
            if layer.name != PREDICTIONS or with_predictions:
                pending.append((layer, stored))
        elif layer.name != PREDICTIONS:
            raise ValueError(
                f"`weights` 'imagenet' must fit the network: those of {network} are for width=1 "
                f"and images with 3 channels. Received: {layer.name!r} of {model.name!r} with "
                f"weights of the shapes {shapes}, where the file has "
                f"{[array.shape for array in stored]}."
            )
    # After all checks: no layer changes where one does not fit.
    for layer, stored in pending:
        layer.set_weights(stored)


def _read_arrays(network: str) -> dict[str, list[np.ndarray]]:
    """Weights of each layer, from the cache or, the first time, from the package."""
    package = weight_packages.PACKAGES[network]
    cache = _cache.ArrayCache(
        _cache.user_folder("weights"),
        on_write_error="The weights will be converted again next time",
    )
    key = _cache.make_key(network, package.sha256, _FORMAT)
    arrays = cache.load(key)
    # A damaged directory of the file can leave arrays out.
    if arrays is None or sorted(arrays.pop(_NAMES, ())) != sorted(arrays):
        state = torch_files.read_torch_file(weight_packages.find_weight_file(network))
        layers = dict(_convert_layers(state))
        arrays = {
            f"{name}/{index}": array
            for name, layer_arrays in layers.items()
            for index, array in enumerate(layer_arrays)
        }
        cache.save(key, {**arrays, _NAMES: np.array(list(arrays))})
    by_layer: dict[str, list[np.ndarray]] = {}
    for name in arrays:
        by_layer.setdefault(name.partition("/")[0], []).append(arrays[name])
    return by_layer


def _convert_layers(state: Mapping[str, np.ndarray]) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Each layer's name and weights in Keras' order, from PyTorch's names and layouts."""
    yield from _convert_pair(state, "_conv_stem", "_bn0", "stem_conv", "stem_bn")
    stage, repeat, previous = 0, 0, None
    for block in range(1 + max(int(name.split(".")[1]) for name in state if "_blocks" in name)):
        prefix = f"_blocks.{block}."
        kernel = state[f"{prefix}_depthwise_conv.weight"].shape[-1]
        filters = state[f"{prefix}_project_conv.weight"].shape[0]
        # The blocks of a stage have one width and one kernel.
        if (filters, kernel) == previous:
            repeat += 1
        else:
            stage, repeat, previous = stage + 1, 0, (filters, kernel)
        name = f"block{stage}{chr(ord('a') + repeat)}"
        if f"{prefix}_expand_conv.weight" in state:
            yield from _convert_pair(
                state,
                *(f"{prefix}_expand_conv", f"{prefix}_bn0"),
                *(f"{name}_expand_conv", f"{name}_expand_bn"),
            )
        depthwise = state[f"{prefix}_depthwise_conv.weight"]
        yield f"{name}_dwconv", [depthwise.transpose(2, 3, 0, 1)]
        yield f"{name}_bn", [state[f"{prefix}_bn1.{key}"] for key in _NORMALIZATION]
        yield from _convert_pair(
            state,
            *(f"{prefix}_project_conv", f"{prefix}_bn2"),
            *(f"{name}_project_conv", f"{name}_project_bn"),
        )
    yield from _convert_pair(state, "_conv_head", "_bn1", "top_conv", "top_bn")
    yield PREDICTIONS, [state["_fc.weight"].T, state["_fc.bias"]]


def _convert_pair(
    state: Mapping[str, np.ndarray],
    convolution: str,
    normalization: str,
    convolution_name: str,
    normalization_name: str,
) -> Iterator[tuple[str, list[np.ndarray]]]:
    yield convolution_name, [state[f"{convolution}.weight"].transpose(2, 3, 1, 0)]
    yield normalization_name, [state[f"{normalization}.{key}"] for key in _NORMALIZATION]
