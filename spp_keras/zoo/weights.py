"""Weights from a file, or an error that says in what file and model differ."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import keras
import numpy as np

_Shapes = Mapping[str, Sequence[tuple[int, ...]]]


def load_weights(model: keras.Model, path: str) -> tuple[str, ...]:
    """Loads a file that `model.save_weights` wrote, each layer by its name.

    The file may come from another form of the network: `with_sizes` of it, a
    subclass, a model around it, another precision. For fine-tuning, a file with
    another number of classes gives every layer but `predictions`, and a model
    without top takes the convolutions from a file that has one. Whatever else
    differs is an error, and no layer changes.

    Args:
        model: Built model of this zoo.
        path: Path of a `.weights.h5` file.

    Returns:
        Names of the layers that stay as they were: `("predictions",)` where the
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
        with h5py.File(path, "r") as file:
            stored = _stored(file)
            shapes = {name: [part.shape for part in parts] for name, parts in stored.items()}
            kept = _check(model, shapes, path)
            for name in layers.keys() - set(kept):
                layers[name].set_weights([_array(part) for part in stored[name]])
    except (OSError, KeyError) as error:
        raise ValueError(
            "`weights` must be a file that `model.save_weights` of Keras 3 wrote, and a whole one. "
            f"Received: weights={path!r}, which cannot be read: {error}."
        ) from error
    return kept


def _stored(file: h5py.File) -> dict[str, list[h5py.Dataset]]:
    """Weights by the names of their layers, however deep in the file.

    Keras names a layer's group after its class and its place, and keeps the
    layer's own name beside the weights: `layers/conv2d_1/vars`, `name="conv2"`.
    """
    groups: dict[str, dict[int, h5py.Dataset]] = {}

    def visit(where: str, part: h5py.Group | h5py.Dataset) -> None:
        place = re.fullmatch(r"((?:.*/)?layers/[^/]+/vars)/(\d+)", where)
        if place and isinstance(part, h5py.Dataset):
            # As in Keras: a weight file must not make us read other files.
            if part.external or part.is_virtual:
                raise KeyError(f"{where} lies outside it")
            groups.setdefault(place[1], {})[int(place[2])] = part

    file.visititems(visit)
    found: dict[str, list[h5py.Dataset]] = {}
    for where, parts in groups.items():
        name = file[where].attrs["name"]
        if name in found:
            raise KeyError(f"two of its layers are named {name!r}")
        found[name] = [parts[number] for number in sorted(parts)]
    if not found:
        raise KeyError("it has no layers with weights")
    return found


def _array(part: h5py.Dataset) -> np.ndarray:
    # HDF5 has no bfloat16: Keras writes its bytes, the upper two of a float32, and says so.
    if part.attrs.get("dtype") == "bfloat16":
        return (np.asarray(part).view("uint16").astype("uint32") << 16).view("float32")
    return np.asarray(part)


def _check(model: keras.Model, found: _Shapes, path: str) -> tuple[str, ...]:
    """The layers that the file cannot fill and need not; an error for all others."""
    expected = {
        layer.name: [tuple(weight.shape) for weight in layer.weights]
        for layer in model.layers
        if layer.weights
    }
    if not any(map(_of_top, expected)):
        found = {name: shapes for name, shapes in found.items() if not _of_top(name)}
    top = "predictions"
    kept: tuple[str, ...] = ()
    if top in expected and top in found and expected[top] != found[top]:
        inputs = [shapes[0][:-1] for shapes in (expected[top], found[top])]
        kept = (top,) if inputs[0] == inputs[1] else ()
    names = [*expected, *(name for name in found if name not in expected)]
    differ = [name for name in names if name not in kept and expected.get(name) != found.get(name)]
    if differ:
        lines = [
            f"{name}: {_words(expected.get(name))} in the model, "
            f"{_words(found.get(name))} in the file"
            for name in differ
        ]
        raise ValueError(
            f"`weights` must fit the model {model.name!r}, but for the number of classes. "
            f"{_explanation(expected, found)} Received: weights={path!r}, with these differences:"
            "\n  " + "\n  ".join(lines)
        )
    return kept


def _explanation(expected: _Shapes, found: _Shapes) -> str:
    """Which argument, set as it was for the file, makes the differences go."""
    if _convolutions(expected) != _convolutions(found):
        return "The file is of another network: build the one that it was saved from."
    missing = [name for name in expected if name not in found]
    if missing:
        return "`include_top` explains it: the file has no top. Load it with include_top=False."
    first = next(name for name in expected if expected[name] != found[name])
    model, file = expected[first][0], found[first][0]
    if model[-1] != file[-1]:
        return f"`width` explains it: {first} has {file[-1]} units in the file, {model[-1]} here."
    if not _of_top(first):
        return (
            f"`input_shape` explains it: images have {file[-2]} channels there, {model[-2]} here."
        )
    channels = [kernel[-1] for name, (kernel, *_) in expected.items() if not _of_top(name)][-1]
    return (
        f"`levels` explains it, or `input_shape` where there is no pyramid: {first} takes "
        f"{file[0] // channels} bins in the file, {model[0] // channels} here."
    )


def _convolutions(shapes: _Shapes) -> dict[str, tuple[int, ...]]:
    return {name: kernel[:2] for name, (kernel, *_) in shapes.items() if not _of_top(name)}


def _of_top(name: str) -> bool:
    return re.fullmatch(r"fc\d+|predictions", name) is not None


def _words(shapes: Sequence[tuple[int, ...]] | None) -> str:
    return "nothing" if shapes is None else " and ".join(str(shape) for shape in shapes)
