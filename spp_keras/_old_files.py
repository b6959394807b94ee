"""`.keras` files of spp_keras 0.1: their classes under the old names, which only raise.

0.2 renamed classes and the keys of their configurations. A file with an old name gets an error
that explains how to keep its weights.
"""

from typing import Any, NoReturn

# Names of 0.1 that 0.2 does not have, as Keras' files state them behind `spp_keras>`.
OLD_CLASSES = (
    "MixedSizeImages",
    "OneSizeAtATime",
    "OverImages",
    "Proposer",
    "RegionDetector",
    "RoiSpatialPyramidPooling",
    "ValidCells",
)


class OldClass:
    """A class of 0.1 in Keras' registry.

    Args:
        name: Name of the class in 0.1.
    """

    def __init__(self, name: str):
        self.name = name

    def from_config(self, config: dict[str, Any]) -> NoReturn:
        """Raises an error that names the version that can load the file."""
        raise make_error(self.name)

    def __repr__(self) -> str:
        return f"<{self.name} of spp_keras 0.1>"


def make_error(name: str) -> ValueError:
    """The error for a file with a class of 0.1.

    Args:
        name: Name of the class, old or unchanged.

    Example:

    >>> str(make_error("ValidCells"))[:38]
    'This file was saved by spp_keras 0.1, '
    """
    return ValueError(
        "This file was saved by spp_keras 0.1, whose files later versions cannot load. Load it "
        'with spp_keras 0.1.1, call `model.save_weights("model.weights.h5")` '
        "there, and pass that file as `weights` to the same network here, for instance "
        '`spp_keras.create_model("zf5_spp", weights=...)`; or train again. A detector has to be '
        f"trained again. Received: a file with the class {name!r} of 0.1."
    )
