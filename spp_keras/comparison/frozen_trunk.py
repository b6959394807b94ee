"""The frozen trunk of a network, from images to vectors."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from spp_keras import _cache
from spp_keras.models import features
from spp_keras.zoo import model_parts, networks


def check_network(network: str, weights: str, short_side: int) -> None:
    """Raises unless a network takes whole images of that short side, and has the weights.

    Args:
        network: Name from `spp_keras.zoo.networks.list_networks`.
        weights: `"imagenet"` or the path of a file.
        short_side: Short side of whole images.
    """
    info = networks.describe_network(network)
    if not info.has_pyramid:
        raise ValueError(
            "`network` must have a pyramid, to take whole images: "
            f"take {network}_spp. Received: network={network!r}."
        )
    if weights == "imagenet" and not info.has_weights:
        with_weights = [
            name for name in networks.list_networks() if networks.describe_network(name).has_weights
        ]
        raise ValueError(
            f"`weights` must be the path of a .weights.h5 file for {network}, which was not "
            f"trained on ImageNet; {', '.join(with_weights[:3])} were. "
            f"Received: weights={weights!r}."
        )
    if not isinstance(weights, str):
        raise ValueError(
            "`weights` must be 'imagenet' or the path of a .weights.h5 file: vectors of a trunk "
            f"without trained weights say little. Received: weights={weights!r}."
        )
    smallest = -(-info.min_size * 16 // 15)
    if short_side < smallest:
        raise ValueError(
            f"`short_side` must be at least {smallest} for {network}. "
            f"Received: short_side={short_side}."
        )


def make_pool(
    network: str, weights: str, levels: Sequence[Any], mode: str
) -> tuple[Callable[[Any], Any], str]:
    """The function from images of one size to vectors, and a key of all that it depends on.

    Args:
        network: Name from `spp_keras.zoo.networks.list_networks`.
        weights: `"imagenet"` or the path of a file.
        levels: Pyramid levels.
        mode: How the pyramid pools its bins, `"max"` or `"average"`.
    """
    model = networks.build_classifier(
        network,
        # Of the layer behind the pyramid, which is not used.
        classes=2,
        image_size=None,
        weights=weights,
        levels=levels,
        mode=mode,
        units=(),
        width=1.0,
        dropout=0.0,
        classifier_activation="softmax",
        train_normalization=False,
    )
    pooling, top = model_parts.find_top(model)
    unused = {id(weight) for layer in top for weight in layer.weights}
    arrays = [
        keras.ops.convert_to_numpy(weight).tobytes()
        for weight in model.weights
        if id(weight) not in unused
    ]
    key = _cache.make_key(network, levels, mode, keras.__version__, *arrays)
    return features(model, pooling.name), f"{network}-{key}"
