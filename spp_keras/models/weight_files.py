"""What Keras' weight files hold, layer by layer, each under its own name."""

import contextlib
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

# The file of weights within a `.keras` file.
_WEIGHTS = "model.weights.h5"


class StoredLayer(NamedTuple):
    """A layer with variables of its own in a weight file.

    Args:
        names: Its name behind those of the models and layers that it is part of.
        group: Path of its group. Keras names that after the layer's class and position.
        datasets: Its variables, by the key that the layer gave each.
    """

    names: tuple[str, ...]
    group: str
    datasets: Mapping[str, h5py.Dataset]

    @property
    def name(self) -> str:
        """The name of the layer itself."""
        return self.names[-1]


@contextlib.contextmanager
def open_weights(path: str | Path) -> Iterator[h5py.File]:
    """Opens the weights of a `.weights.h5` or a `.keras` file.

    Args:
        path: Path of the file.
    """
    if not str(path).endswith(".keras"):
        with h5py.File(path, "r") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        # Keras does not compress it: what is much larger than the file is no file of Keras.
        size, limit = archive.getinfo(_WEIGHTS).file_size, 100 * Path(path).stat().st_size
        if size > limit:
            raise OSError(f"its weights would take {size} bytes")
        content = io.BytesIO(archive.read(_WEIGHTS))
    with h5py.File(content, "r") as file:
        yield file


def list_layers(file: h5py.File) -> list[StoredLayer]:
    """Every layer with variables of its own, however deep in a file.

    Keras names a layer's group after its class and its position, and keeps the layer's own
    name beside the variables: `layers/conv2d_1/vars`, `name="conv2"`.

    Args:
        file: Open weight file.
    """
    names: dict[str, str] = {}

    def visit(path: str, node: h5py.Group | h5py.Dataset) -> None:
        if path.endswith("/vars") and "name" in node.attrs:
            names[path.removesuffix("/vars")] = str(node.attrs["name"])

    file.visititems(visit)
    return [
        StoredLayer(_list_names(group, names), group, datasets)
        for group, datasets in _list_datasets(file, "(?:.*/)?layers/.+").items()
    ]


def list_optimizer_variables(file: h5py.File) -> Mapping[str, h5py.Dataset]:
    """The variables of the optimizer by their keys; none where the file has no optimizer.

    Args:
        file: Open weight file.
    """
    return _list_datasets(file, "optimizer").get("optimizer", {})


def read_array(data: h5py.Dataset) -> np.ndarray:
    """The values of a variable.

    Args:
        data: Dataset of a weight file.
    """
    # HDF5 has no bfloat16: Keras writes the upper two bytes of a float32 and marks them.
    if data.attrs.get("dtype") == "bfloat16":
        return (np.asarray(data).view("uint16").astype("uint32") << 16).view("float32")
    return np.asarray(data)


def _list_datasets(file: h5py.File, groups: str) -> dict[str, dict[str, h5py.Dataset]]:
    """The variables of each group whose path a regular expression matches."""
    datasets: dict[str, dict[str, h5py.Dataset]] = {}

    # Links are not followed: a weight file must not make us read other files.
    def visit(path: str, node: h5py.Group | h5py.Dataset) -> None:
        match = re.fullmatch(rf"({groups})/vars/([^/]+)", path)
        if match and isinstance(node, h5py.Dataset):
            if node.external or node.is_virtual:
                raise KeyError(f"{path} lies outside it")
            datasets.setdefault(match[1], {})[match[2]] = node

    file.visititems(visit)
    return datasets


def _list_names(group: str, names: Mapping[str, str]) -> tuple[str, ...]:
    if group not in names:
        raise KeyError(f"{group} has no name, as in files of the first versions of Keras 3")
    parts = group.split("/")
    paths = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return tuple(names[path] for path in paths if path in names)
