"""Loads a weight file into a network by the names of its layers.

Keras goes by the class and the position of each layer. In a network of `spp_keras.any_size` the
layers of nested models have other positions than in a file of the original.
"""

import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras

from spp_keras._private_apis import list_sublayers
from spp_keras.models import weight_files
from spp_keras.models.name_matching import Names, match_names, match_numbered_names
from spp_keras.models.weight_files import StoredLayer

_Shapes = Mapping[str, tuple[int, ...]]


class _Target(NamedTuple):
    """A layer with variables of its own: itself, its names as in a file, and their shapes."""

    layer: keras.Layer
    names: Names
    shapes: _Shapes


def load_by_name(model: keras.Model, path: str | Path, skip_mismatch: bool = False) -> None:
    """Loads a file that `save_weights` or `save` wrote, each layer by its name.

    The file may be of the network, of the model that it was made from, of a part of either or
    of a model around one. Every layer of the network that has weights must be in it with the same
    shapes, or nothing changes; further layers of the file are left out. Names that Keras gave,
    such as `conv2d_7`, may have other numbers, in the same order. The state of the optimizer is
    loaded where the network is compiled and the file has it.

    Args:
        model: Network.
        path: Path of a `.weights.h5` or `.keras` file.
        skip_mismatch: Whether layers that differ are left as they are, with a warning.
            Defaults to `False`.

    Example:

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/model.weights.h5"
    >>> model = zf5_spp(classes=10, width=0.05)
    >>> model.save_weights(path)
    >>> load_by_name(zf5_spp(classes=10, width=0.05), path)
    """
    if not Path(path).is_file():
        raise ValueError(f"`filepath` must be an existing file. Received: filepath={str(path)!r}.")
    try:
        with weight_files.open_weights(path) as file:
            _load_file(model, file, str(path), skip_mismatch)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            "`filepath` must be a weight file of Keras 3, and a whole one. Received: "
            f"filepath={str(path)!r}, which cannot be read: {error}."
        ) from error


def _load_file(model: keras.Model, file: h5py.File, path: str, skip_mismatch: bool) -> None:
    targets, stored = _list_targets(model), weight_files.list_layers(file)
    ours, theirs = [target.names for target in targets], [layer.names for layer in stored]
    matches = match_names(ours, theirs)
    differences = _list_differences(targets, stored, matches)
    if differences and not skip_mismatch:
        classes = {type(target.layer).__name__ for target in targets}
        numbered = match_numbered_names(ours, theirs, classes)
        if not _list_differences(targets, stored, numbered):
            matches, differences = numbered, {}
    if differences:
        _report(model, path, list(differences.values()), skip_mismatch)
    loaded = {
        index: stored[matches[index]] for index in range(len(ours)) if index not in differences
    }
    for index, layer in loaded.items():
        values = {key: weight_files.read_array(data) for key, data in layer.datasets.items()}
        targets[index].layer.load_own_variables(values)
    _load_optimizer(model, file, path, [layer.group for layer in loaded.values()])


def _list_targets(model: keras.Model) -> list[_Target]:
    """The layers that have variables of their own, in the order of the network's weights."""
    targets: list[_Target] = []
    seen: set[int] = set()

    def visit(layer: keras.Layer, names: Names) -> None:
        for part in list_sublayers(layer):
            if id(part) in seen:
                continue
            seen.add(id(part))
            variables: dict[str, Any] = {}
            part.save_own_variables(variables)
            if variables:
                shapes = {key: tuple(value.shape) for key, value in variables.items()}
                targets.append(_Target(part, (*names, part.name), shapes))
            visit(part, (*names, part.name))

    visit(model, ())
    return targets


def _list_differences(
    targets: Sequence[_Target], stored: Sequence[StoredLayer], matches: Mapping[int, int]
) -> dict[int, str]:
    """A line for each layer of the network that the file cannot fill, by its index."""
    differences = {}
    for index, target in enumerate(targets):
        shapes: _Shapes = {}
        held = f"{sum(layer.name == target.layer.name for layer in stored)} layers of that name"
        if index in matches:
            datasets = stored[matches[index]].datasets
            shapes = {key: data.shape for key, data in datasets.items()}
            held = _format_shapes(shapes)
        if shapes != target.shapes:
            expected = _format_shapes(target.shapes)
            differences[index] = (
                f"{target.layer.name}: {expected} in the network, {held} in the file"
            )
    return differences


def _report(model: keras.Model, path: str, lines: Sequence[str], skip_mismatch: bool) -> None:
    """Raises for layers that a file cannot fill, or warns that they are left as they are."""
    listed = "\n  " + "\n  ".join(lines)
    if skip_mismatch:
        warnings.warn(
            f"These layers of {model.name!r} are left as they are, since {path!r} has others:"
            f"{listed}",
            stacklevel=5,
        )
        return
    raise ValueError(
        f"`filepath` must be a file with the weights of {model.name!r}: each of its layers by its "
        "name, with the same shapes. Nothing was loaded. A network that `spp_keras.any_size` made "
        "in this process shares its variables with its original, which can load the file, too; "
        "`skip_mismatch=True` loads what fits. "
        f"Received: filepath={path!r}, with these differences:{listed}"
    )


def _load_optimizer(model: keras.Model, file: h5py.File, path: str, groups: Sequence[str]) -> None:
    """Loads the state of the optimizer, whose variables have the order of the network's weights."""
    optimizer = getattr(model, "optimizer", None)
    variables = weight_files.list_optimizer_variables(file)
    if optimizer is None or not variables:
        return
    if not _is_ordered(groups):
        warnings.warn(
            f"The state of the optimizer in {path!r} is not loaded: the file has the layers of "
            f"{model.name!r} in another order.",
            stacklevel=5,
        )
        return
    optimizer.load_own_variables(
        {key: weight_files.read_array(data) for key, data in variables.items()}
    )


def _is_ordered(groups: Sequence[str]) -> bool:
    """Whether groups of each class of layers are in the order of their numbers."""
    last: dict[str, int] = {}
    for group in groups:
        match = re.fullmatch(r"(.+?)(?:_(\d+))?", group)
        name, number = (match[1], int(match[2] or 0)) if match else (group, 0)
        if number < last.get(name, 0):
            return False
        last[name] = number
    return True


def _format_shapes(shapes: _Shapes) -> str:
    return " and ".join(str(shape) for shape in shapes.values())
