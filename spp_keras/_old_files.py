"""`.keras` files of older versions: classes that are gone, which only raise.

0.2 renamed classes and the keys of their configurations; 0.3 builds networks of other layers. A
file with a class that is gone gets an error that explains how to keep its weights.
"""

from typing import Any, NoReturn

# Name, as Keras' files state it behind `spp_keras>`, and the last version that has it.
OLD_CLASSES = {
    "MaskPadding": "0.2",
    "MixedSizeImages": "0.1",
    "OneSizeAtATime": "0.1",
    "OverImages": "0.1",
    "Proposer": "0.1",
    "RegionDetector": "0.1",
    "RoiSpatialPyramidPooling": "0.1",
    "ValidCells": "0.1",
}
_LAST_RELEASES = {"0.1": "0.1.1", "0.2": "0.2.0"}


class OldClass:
    """A class of an older version in Keras' registry.

    Args:
        name: Name of the class.
    """

    def __init__(self, name: str):
        self.name = name

    def from_config(self, config: dict[str, Any]) -> NoReturn:
        """Raises an error that names the version that can load the file."""
        raise make_error(self.name)

    def __repr__(self) -> str:
        return f"<{self.name} of spp_keras {OLD_CLASSES[self.name]}>"


def make_error(name: str) -> ValueError:
    """The error for a file with a class of an older version.

    Args:
        name: Name of the class, old or unchanged.

    Example:

    >>> str(make_error("ValidCells"))[:38]
    'This file was saved by spp_keras 0.1, '
    """
    version = OLD_CLASSES.get(name, "0.1")
    release = _LAST_RELEASES[version]
    return ValueError(
        f"This file was saved by spp_keras {version}, whose files later versions cannot load. Load "
        f'it with spp_keras {release}, call `model.save_weights("model.weights.h5")` '
        "there, and pass that file as `weights` to the same network here, for instance "
        '`spp_keras.create_model("zf5_spp", weights=...)`; or train again. A detector has to be '
        f"trained again. Received: a file with the class {name!r} of {version}."
    )
