"""Photographs that scikit-image and scikit-learn bring."""

from pathlib import Path

from spp_keras import _extras

# Folders of packages, and pictures in them that show a class of ImageNet: all that there are,
# not those that a network knows best.
_PHOTOGRAPHS = {
    ("skimage", "data"): (
        "chelsea.png",
        "coffee.png",
        "rocket.jpg",
        "motorcycle_left.png",
        "camera.png",
    ),
    ("sklearn", "datasets/images"): ("china.jpg",),
}


def list_photographs() -> list[Path]:
    """Paths of the photographs.

    Example:

    >>> [path.name for path in list_photographs()][:2]
    ['chelsea.png', 'coffee.png']
    """
    paths = []
    for (package, folder), names in _PHOTOGRAPHS.items():
        module = _extras.import_package(package, "demo", "The demo")
        paths += [Path(module.__file__).parent / folder / name for name in names]
    return paths
