"""The networks of the zoo by name.

Listing them loads neither TensorFlow nor Keras.
"""

import difflib
import fnmatch
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from spp_keras import _checks
from spp_keras.zoo import shipped_weights, weight_packages

if TYPE_CHECKING:
    import keras

# Each network, by the name of its function, and the module that has it.
NETWORKS = {
    "alexnet5": "alexnet",
    "alexnet5_spp": "alexnet",
    "efficientnet_lite0": "efficientnet_lite",
    "efficientnet_lite1": "efficientnet_lite",
    "efficientnet_lite2": "efficientnet_lite",
    "overfeat5": "overfeat",
    "overfeat5_spp": "overfeat",
    "overfeat7": "overfeat",
    "overfeat7_spp": "overfeat",
    "zf5": "zf",
    "zf5_spp": "zf",
}


def list_models(pattern: str = "*", *, weights: str | None = None) -> list[str]:
    """Names of the networks that `create_model` builds.

    Args:
        pattern: Shell pattern, as for `fnmatch`. Defaults to all names.
        weights: `"imagenet"` for those that have weights trained on ImageNet, `"shapes"` for
            those whose weights for drawn images come with this package. Defaults to `None`, all.

    Returns:
        The names that match, sorted.

    Example:

    >>> list_models("zf*")
    ['zf5', 'zf5_spp']
    >>> list_models(weights="imagenet")
    ['efficientnet_lite0', 'efficientnet_lite1', 'efficientnet_lite2']
    >>> list_models(weights="shapes")
    ['zf5_spp']
    """
    with_weights = {"imagenet": set(weight_packages.PACKAGES)}
    for network in NETWORKS:
        for trained in shipped_weights.list_shipped_weights(network):
            with_weights.setdefault(trained, set()).add(network)
    _checks.one_of(weights, (None, *with_weights), "weights")
    names = sorted(NETWORKS if weights is None else with_weights[weights])
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def create_model(name: str, **kwargs: Any) -> "keras.Model":
    """Builds a network of the zoo by its name.

    Args:
        name: Name from `list_models`.
        **kwargs: Arguments of the network, such as `classes`: see `spp_keras.zoo.zf5_spp`.

    Returns:
        The model of `spp_keras.zoo.<name>(**kwargs)`.

    Example:

    >>> create_model("zf5_spp", classes=10, width=0.125).output_shape
    (None, 10)
    """
    model: keras.Model = find_builder(name)(**kwargs)
    return model


def find_builder(name: str) -> "Callable[..., keras.Model]":
    """The function that builds a network.

    Args:
        name: Name from `list_models`.

    Example:

    >>> find_builder("zf5_spp").__name__
    'zf5_spp'
    """
    names = list_models()
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
        hint = f"near names are {', '.join(near)}" if near else "`list_models()` lists them"
        raise ValueError(
            f"`name` must be the name of a network of the zoo; {hint}. Received: name={name!r}."
        )
    module = importlib.import_module(f"spp_keras.zoo.{NETWORKS[name]}")
    builder: Callable[..., keras.Model] = getattr(module, name)
    return builder
