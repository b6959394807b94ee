"""Reads weight files that `torch.save` wrote before PyTorch 1.6, without PyTorch.

Such a file is a row of pickles, and a pickle can call whatever it names. So the reader knows
four names, those of tensors in a dictionary, and refuses a file with any other.
"""

import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
# What a broken or hostile pickle can make Python's unpickler raise.
_PICKLE_ERRORS = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError),
    *(AttributeError, ImportError, OverflowError, MemoryError, RecursionError, UnicodeError),
)


def read_torch_file(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a file of weights, by their names.

    Args:
        path: Path of a file that `torch.save(model.state_dict(), path)` wrote in the old format.

    Returns:
        A dictionary of arrays, float32 or int64.

    Raises:
        ValueError: Where the file is cut, damaged, of another format, or holds anything but
            tensors.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights.pth"
    >>> path.write_bytes(b"no weights")
    10
    >>> read_torch_file(path)
    Traceback (most recent call last):
        ...
    ValueError: `path` must be a file of tensors that `torch.save` wrote in its old format. ...
    """
    try:
        with Path(path).open("rb") as file:
            return _read(file, Path(path).stat().st_size)
    except _PICKLE_ERRORS as error:
        raise ValueError(
            "`path` must be a file of tensors that `torch.save` wrote in its old format. "
            f"Received: path={str(path)!r}, which cannot be read: {error or type(error).__name__}."
        ) from error


class _Storage(NamedTuple):
    """A row of numbers in the file, which tensors are views of."""

    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _read(file: BinaryIO, file_size: int) -> dict[str, np.ndarray]:
    magic, version, system = (_Unpickler(file).load() for _ in range(3))
    if magic != _MAGIC_NUMBER or version != _PROTOCOL_VERSION:
        raise ValueError("it has no header of torch.save")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    state, keys = _Unpickler(file).load(), _Unpickler(file).load()
    if not isinstance(state, OrderedDict) or not all(
        isinstance(name, str) and isinstance(tensor, _Tensor) for name, tensor in state.items()
    ):
        raise ValueError("it holds something else than tensors")
    storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise ValueError("its tensors and its storages differ")
    values = {key: _read_storage(file, storages[key], file_size) for key in keys}
    if file.read(1):
        raise ValueError("something follows its last storage")
    return {name: _view(tensor, values[tensor.storage.key]) for name, tensor in state.items()}


def _read_storage(file: BinaryIO, storage: _Storage, file_size: int) -> np.ndarray:
    length, item_size = int.from_bytes(file.read(8), "little"), int(storage.dtype[-1])
    # Before memory is taken for it.
    if length != storage.length or file.tell() + length * item_size > file_size:
        raise ValueError("it is cut, or the lengths of its storages are wrong")
    return np.frombuffer(file.read(length * item_size), storage.dtype)


def _view(tensor: _Tensor, values: np.ndarray) -> np.ndarray:
    steps = sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    # More elements than numbers would be the same ones over and over.
    if tensor.offset + steps >= len(values) or math.prod(tensor.shape) > len(values):
        raise ValueError("a tensor reaches beyond its storage")
    strides = [stride * values.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(
        values[tensor.offset :], tensor.shape, strides, writeable=False
    ).copy()


class _Unpickler(pickle.Unpickler):
    """Python's unpickler with tensors in a dictionary alone."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _make_tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no tensor needs")

    def persistent_load(self, pid: Any) -> Any:
        kind, storage_type, key, location, length, view = pid
        valid = kind == "storage" and storage_type in _DTYPES and isinstance(key, str)
        if not valid or location != "cpu" or not _is_count(length) or view is not None:
            raise pickle.UnpicklingError("a storage of it is not described as torch.save does")
        return _Storage(key, _DTYPES[storage_type], length)


def _make_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any, hooks: Any
) -> _Tensor:
    counts = (offset, *shape, *strides) if type(shape) is type(strides) is tuple else (-1,)
    valid = isinstance(storage, _Storage) and all(map(_is_count, counts))
    if not valid or len(shape) != len(strides) or 0 in shape:
        raise pickle.UnpicklingError("a tensor of it is not described as torch.save does")
    return _Tensor(storage, offset, shape, strides)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**40
