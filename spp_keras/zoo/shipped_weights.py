"""Trained weights that come with this package, each beside the recipe that it was trained by.

Knowing which networks have them loads neither TensorFlow nor Keras.
"""

from spp_keras.zoo.zoo_folder import find_zoo_folder

_SUFFIX = ".weights.h5"
# Attribute of a file of shipped weights: names of the classes.
LABELS = "labels"


def list_shipped_weights(network: str) -> list[str]:
    """Names of the weights of a network that come with this package.

    Args:
        network: Name of a network of the zoo.

    Example:

    >>> list_shipped_weights("zf5_spp")
    ['shapes', 'shapes_cropped', 'shapes_warped']
    """
    files = (find_zoo_folder() / network).glob(f"*{_SUFFIX}")
    return sorted(file.name.removesuffix(_SUFFIX) for file in files)


def resolve_weights(network: str, weights: str) -> str:
    """The path of a weight file, also where it is given by its name.

    Args:
        network: Name of a network of the zoo.
        weights: Name from `list_shipped_weights(network)`, or the path of a file.

    Example:

    >>> resolve_weights("zf5_spp", "shapes")[-17:]
    'shapes.weights.h5'
    >>> resolve_weights("zf5_spp", "runs/mine/best.weights.h5")
    'runs/mine/best.weights.h5'
    """
    if str(weights).endswith(_SUFFIX):
        return str(weights)
    names = list_shipped_weights(network)
    if weights not in names:
        known = ", ".join([f"the path of a file ending in {_SUFFIX}", *map(repr, names)])
        raise ValueError(
            f"`weights` must be {known} or None for {network}. Received: weights={weights!r}."
        )
    return str(find_zoo_folder() / network / f"{weights}{_SUFFIX}")


def read_labels(path: str) -> tuple[str, ...]:
    """Names of the classes of shipped weights, which their file holds.

    Args:
        path: Path of the file, from `resolve_weights`.

    Example:

    >>> read_labels(resolve_weights("zf5_spp", "shapes"))[:3]
    ('circle', 'ellipse', 'square')
    """
    import h5py

    with h5py.File(path, "r") as file:
        return tuple(file.attrs[LABELS])
