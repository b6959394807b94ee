"""Weights from a file, or an error that says in what file and model differ."""

from pathlib import Path

import h5py
import keras


def load(model: keras.Model, path: str) -> None:
    """Loads a file that `model.save_weights` wrote into a model of the same build.

    Args:
        model: Built model.
        path: Path of a `.weights.h5` file.
    """
    if not str(path).endswith(".weights.h5"):
        raise ValueError(
            f"`weights` must be the path of a file that `model.save_weights` wrote, ending in "
            f".weights.h5, or None. Received: weights={str(path)!r}."
        )
    if not Path(path).is_file():
        raise ValueError(f"`weights` must be an existing file. Received: weights={str(path)!r}.")
    differences = _differences(_expected(model), _found(path))
    if differences:
        raise ValueError(
            f"`weights` must fit the model {model.name!r}; build the model that the file was saved "
            f"from, with its `classes`, `levels`, `width` and `include_top`. Received: "
            f"weights={str(path)!r}, with these differences:\n  " + "\n  ".join(differences)
        )
    model.load_weights(path)


def _expected(model: keras.Model) -> dict[str, list[tuple[int, ...]]]:
    return {
        layer.name: [tuple(weight.shape) for weight in layer.weights]
        for layer in model.layers
        if layer.weights
    }


def _found(path: str) -> dict[str, list[tuple[int, ...]]]:
    shapes = {}
    try:
        with h5py.File(path, "r") as file:
            for group in file["layers"].values():
                weights = group["vars"]
                if len(weights):
                    name = weights.attrs["name"]
                    shapes[name] = [weights[key].shape for key in sorted(weights, key=int)]
    except (OSError, KeyError) as error:
        raise ValueError(
            "`weights` must be a file that `model.save_weights` of Keras 3 wrote, and a whole one. "
            f"Received: weights={str(path)!r}, which cannot be read: {error}."
        ) from error
    return shapes


def _differences(expected: dict[str, list], found: dict[str, list]) -> list[str]:
    lines = []
    for name in [*expected, *(name for name in found if name not in expected)]:
        model, file = expected.get(name), found.get(name)
        if model != file:
            lines.append(f"{name}: {_words(model)} in the model, {_words(file)} in the file")
    return lines


def _words(shapes: list | None) -> str:
    return "nothing" if shapes is None else " and ".join(str(shape) for shape in shapes)
