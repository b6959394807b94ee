"""Reads weight files that `torch.save` wrote before PyTorch 1.6, without PyTorch.

Such a file is a row of pickles, and Python's unpickler calls whatever a pickle names. So it is
not used: the reader knows four names, those of tensors in a dictionary, calls nothing, and refuses
a file with any other.
"""

import io
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spp_keras.zoo import torch_pickles
from spp_keras.zoo.torch_pickles import Call, Name, Reference

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_REBUILD_TENSOR = Name("torch._utils", "_rebuild_tensor_v2")
_DTYPES = {Name("torch", "FloatStorage"): "<f4", Name("torch", "LongStorage"): "<i8"}
# More than NumPy has dimensions or a file has numbers.
_MAX_DIMENSIONS, _MAX_COUNT = 32, 2**40


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

    >>> from spp_keras.zoo import weight_packages
    >>> tensors = read_torch_file(weight_packages.find_weight_file("efficientnet_lite0"))
    >>> tensors["_fc.weight"].shape, tensors["_fc.weight"].dtype
    ((1000, 1280), dtype('float32'))
    """
    content = Path(path).read_bytes()
    try:
        return _read(content)
    except (ValueError, IndexError, KeyError) as error:
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


def _read(content: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(content)
    magic, version, system = (torch_pickles.read_pickle(stream) for _ in range(3))
    if not _is_number(magic, _MAGIC_NUMBER) or not _is_number(version, _PROTOCOL_VERSION):
        raise ValueError("it has no header of torch.save")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("its numbers are not little-endian")
    state, keys = (torch_pickles.read_pickle(stream) for _ in range(2))
    if not isinstance(state, dict):
        raise ValueError("it holds something else than tensors")
    tensors = {name: _parse_tensor(value) for name, value in state.items()}
    storages: dict[str, _Storage] = {}
    for tensor in tensors.values():
        if storages.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
            raise ValueError("it describes a storage in two ways")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("it has no list of storages")
    if sorted(keys) != sorted(storages):
        raise ValueError("its tensors and its storages differ")
    start, values = stream.tell(), {}
    for key in keys:
        values[key] = _view_storage(content, start, storages[key])
        start += 8 + values[key].nbytes
    if start != len(content):
        raise ValueError("something follows its last storage")
    return {name: _view_tensor(tensor, values) for name, tensor in tensors.items()}


def _parse_tensor(value: Any) -> _Tensor:
    match value:
        case Call(
            Name() as function, (Reference(description), offset, shape, strides, bool(), {**hooks})
        ):
            storage = _parse_storage(description)
        case Call(Name() as function):
            raise ValueError(f"it calls {'.'.join(function)}, which no tensor needs")
        case _:
            raise ValueError("it holds something else than tensors")
    if function != _REBUILD_TENSOR or hooks:
        raise ValueError(f"it calls {'.'.join(function)} or hooks, which no tensor needs")
    counts = (offset, *shape, *strides) if type(shape) is type(strides) is tuple else (-1,)
    if not all(map(_is_count, counts)) or not len(shape) == len(strides) <= _MAX_DIMENSIONS:
        raise ValueError("a tensor of it is not described as torch.save does")
    if 0 in shape:
        raise ValueError("it has a tensor without elements")
    return _Tensor(storage, offset, shape, strides)


def _parse_storage(description: Any) -> _Storage:
    match description:
        case ("storage", Name() as kind, str(key), "cpu", length, None):
            if kind in _DTYPES and _is_count(length):
                return _Storage(key, _DTYPES[kind], length)
    raise ValueError("a storage of it is not described as torch.save does")


def _view_storage(content: bytes, start: int, storage: _Storage) -> np.ndarray:
    """The numbers of a storage, in the file's own memory, behind eight bytes for its length."""
    length = int.from_bytes(content[start : start + 8], "little")
    end = start + 8 + storage.length * int(storage.dtype[-1])
    if length != storage.length or end > len(content):
        raise ValueError("it is cut, or the lengths of its storages are wrong")
    return np.frombuffer(content, storage.dtype, length, start + 8)


def _view_tensor(tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    """A tensor in the file's own memory: no file can make it take more."""
    values = storages[tensor.storage.key]
    steps = sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    # More elements than numbers would be the same ones over and over.
    if tensor.offset + steps >= len(values) or math.prod(tensor.shape) > len(values):
        raise ValueError("a tensor reaches beyond its storage")
    strides = [stride * values.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MAX_COUNT


def _is_number(value: Any, expected: int) -> bool:
    return type(value) is int and value == expected
