"""A `.keras` file of any Keras CNN as a file of a network for images of any size."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import keras

from spp_keras import _files
from spp_keras.conversion import per_image_layers, placement_layers
from spp_keras.conversion.transformation import any_size
from spp_keras.layers import PadRagged, PerImage, SpatialPyramidPooling
from spp_keras.models.graph_run import min_image_size

# Layers of a converted network that its original does not have.
_HELPERS = (
    keras.layers.InputLayer,
    PadRagged,
    placement_layers.CellPlacements,
    placement_layers.MaskCells,
    placement_layers.SpreadToCells,
    placement_layers.UnpackImages,
)


class ConvertedFile(NamedTuple):
    """A file that `convert_file` wrote.

    Args:
        path: Its path.
        layers: How many layers were converted.
        min_size: Pixels that the shorter side of an image needs at least.
        pooling: Name of the layer that makes vectors of maps; `None` for a network that
            gives maps.
        bins: Rows and columns of its pyramid level; `None` where that is no single one.
        per_image: Whether the network runs on one image at a time.
    """

    path: Path
    layers: int
    min_size: int
    pooling: str | None
    bins: tuple[int, int] | None
    per_image: bool


def convert_file(path: str | Path, output: str | Path, *, per_image: bool = False) -> ConvertedFile:
    """Converts the model of a file by `any_size`, and writes the result.

    The file is loaded in Keras' safe mode, so that nothing in it is executed. The result is not
    compiled.

    Args:
        path: Path of a `.keras` file.
        output: Path of the `.keras` file to write or replace.
        per_image: See `spp_keras.any_size`. Defaults to `False`.

    Example:

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> images = keras.Input((None, None, 3))
    >>> maps = keras.layers.Conv2D(4, 3, strides=2)(images)
    >>> keras.Model(images, keras.layers.GlobalMaxPooling2D()(maps)).save(folder + "/old.keras")
    >>> converted = convert_file(folder + "/old.keras", folder + "/any.keras")
    >>> converted.layers, converted.min_size, converted.bins
    (2, 3, (1, 1))
    """
    model = _load_safely(Path(path))
    result = any_size(model, per_image=per_image)
    with _files.replace_file(output) as temporary:
        result.save(temporary)
    pooling, bins = _find_pooling(result)
    return ConvertedFile(
        Path(output),
        sum(not isinstance(layer, _HELPERS) for layer in result.layers),
        min_image_size(result),
        pooling,
        bins,
        any(isinstance(layer, PerImage) for layer in result.layers),
    )


def _load_safely(path: Path) -> keras.Model:
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        if "Lambda" in str(error):
            problem = (
                "It has a Lambda layer, Python code that would be executed. Replace the Lambda by "
                "Keras layers or operations of `keras.ops`, and save the model again"
            )
        else:
            # Keras tells of the model first, and of the layer at the end.
            reason = " ".join(str(error).rpartition("Exception encountered: ")[2].split())
            problem = (
                f"{reason[:500] or repr(error)}. A model with classes of your own can be converted "
                "in Python: import them, load it by `keras.models.load_model`, and call "
                "`spp_keras.any_size`"
            )
        raise ValueError(
            "`path` must be a file that Keras loads in safe mode. Received: "
            f"path={str(path)!r}, which it does not load. {problem}."
        ) from error


def _find_pooling(model: keras.Model) -> tuple[str | None, tuple[int, int] | None]:
    """The last layer that pools each image, where the output is a vector, and its level."""
    if any(len(output.shape) == 4 for output in model.outputs):
        return None, None
    kinds = (
        per_image_layers.GlobalAveragePooling2D,
        per_image_layers.GlobalMaxPooling2D,
        SpatialPyramidPooling,
    )
    layers = [layer for layer in model.layers if isinstance(layer, kinds)]
    if not layers:
        return None, None
    if not isinstance(layers[-1], SpatialPyramidPooling):
        return layers[-1].name, (1, 1)
    levels = layers[-1].levels
    return layers[-1].name, (levels[0][0], levels[0][1]) if len(levels) == 1 else None
