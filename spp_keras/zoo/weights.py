"""Loads a weight file by layer names, or raises an error that lists the differences."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import keras

from spp_keras.models import weight_files
from spp_keras.zoo.layer_rows import PREDICTIONS

_Shapes = Mapping[str, Sequence[tuple[int, ...]]]


def load_weights(model: keras.Model, path: str) -> tuple[str, ...]:
    """Loads a file that `model.save_weights` wrote, each layer by its name.

    The file may come from another form of the network: `with_sizes` of it, a
    subclass, a model around it, another precision. For fine-tuning, a file with
    another number of classes fills every layer but `predictions`, and a model
    without top takes the convolutions of a file with top. Any other
    difference is an error, and no layer changes.

    Args:
        model: Built model of this zoo.
        path: Path of a `.weights.h5` file.

    Returns:
        Names of the layers that are not loaded: `("predictions",)` where the
        file has another number of classes, else `()`.

    Example:

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/ten.weights.h5"
    >>> zf5_spp(classes=10, width=0.05).save_weights(path)
    >>> load_weights(zf5_spp(classes=20, width=0.05), path)
    ('predictions',)
    """
    path = str(path)
    if not path.endswith(".weights.h5"):
        raise ValueError(
            f"`weights` must be the path of a file that `model.save_weights` wrote, ending in "
            f".weights.h5, or None. Received: weights={path!r}."
        )
    if not Path(path).is_file():
        raise ValueError(f"`weights` must be an existing file. Received: weights={path!r}.")
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    try:
        with weight_files.open_weights(path) as file:
            stored = _list_datasets(file)
            shapes = {name: [data.shape for data in datasets] for name, datasets in stored.items()}
            skipped = _check_shapes(model, shapes, path)
            for name in layers.keys() - set(skipped):
                layers[name].set_weights([weight_files.read_array(data) for data in stored[name]])
    except (OSError, KeyError) as error:
        raise ValueError(
            "`weights` must be a file that `model.save_weights` of Keras 3 wrote, and a whole one. "
            f"Received: weights={path!r}, which cannot be read: {error}."
        ) from error
    return skipped


def _list_datasets(file: h5py.File) -> dict[str, list[h5py.Dataset]]:
    """The weights of each layer by its name."""
    datasets: dict[str, list[h5py.Dataset]] = {}
    for layer in weight_files.list_layers(file):
        if layer.name in datasets:
            raise KeyError(f"two of its layers are named {layer.name!r}")
        keys = sorted(filter(str.isdigit, layer.datasets), key=int)
        datasets[layer.name] = [layer.datasets[key] for key in keys]
    if not datasets:
        raise KeyError("it has no layers with weights")
    return datasets


def _check_shapes(model: keras.Model, stored: _Shapes, path: str) -> tuple[str, ...]:
    """Names of layers that the file cannot fill and need not; an error for other differences."""
    expected = {
        layer.name: [tuple(weight.shape) for weight in layer.weights]
        for layer in model.layers
        if layer.weights
    }
    if not any(map(_is_top, expected)):
        stored = {name: shapes for name, shapes in stored.items() if not _is_top(name)}
    skipped: tuple[str, ...] = ()
    if _only_classes_differ(expected, stored):
        skipped = (PREDICTIONS,)
    names = [*expected, *(name for name in stored if name not in expected)]
    differing = [
        name for name in names if name not in skipped and expected.get(name) != stored.get(name)
    ]
    if differing:
        lines = [
            f"{name}: {_format_shapes(expected.get(name))} in the model, "
            f"{_format_shapes(stored.get(name))} in the file"
            for name in differing
        ]
        raise ValueError(
            f"`weights` must fit the model {model.name!r}, but for the number of classes. "
            f"{_explain(expected, stored)} Received: weights={path!r}, with these differences:"
            "\n  " + "\n  ".join(lines)
        )
    return skipped


def _only_classes_differ(expected: _Shapes, stored: _Shapes) -> bool:
    """Whether both have `predictions` with the same inputs and another number of classes."""
    ours, theirs = expected.get(PREDICTIONS), stored.get(PREDICTIONS)
    if ours is None or theirs is None or ours == theirs:
        return False
    return ours[0][:-1] == theirs[0][:-1]


def _explain(expected: _Shapes, stored: _Shapes) -> str:
    """The argument of the network that has another value than in the file."""
    if _kernel_sizes(expected) != _kernel_sizes(stored):
        return "The file is of another network: build the one that it was saved from."
    if any(name not in stored for name in expected):
        return "`include_top` explains it: the file has no top. Load it with include_top=False."
    first = next(name for name in expected if expected[name] != stored[name])
    model, file = expected[first][0], stored[first][0]
    if model[-1] != file[-1]:
        return f"`width` explains it: {first} has {file[-1]} units in the file, {model[-1]} here."
    if not _is_top(first):
        return (
            f"`input_shape` explains it: images have {file[-2]} channels there, {model[-2]} here."
        )
    channels = [kernel[-1] for name, (kernel, *_) in expected.items() if not _is_top(name)][-1]
    return (
        f"`levels` explains it, or `input_shape` where there is no pyramid: {first} takes "
        f"{file[0] // channels} bins in the file, {model[0] // channels} here."
    )


def _kernel_sizes(shapes: _Shapes) -> dict[str, tuple[int, ...]]:
    """Height and width of the kernels of convolutions."""
    return {name: kernel[:2] for name, (kernel, *_) in shapes.items() if not _is_top(name)}


def _is_top(name: str) -> bool:
    return re.fullmatch(rf"fc\d+|{PREDICTIONS}", name) is not None


def _format_shapes(shapes: Sequence[tuple[int, ...]] | None) -> str:
    return "nothing" if shapes is None else " and ".join(str(shape) for shape in shapes)
