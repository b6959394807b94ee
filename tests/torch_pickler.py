"""Writes weight files as PyTorch does, without PyTorch, right ones and wrong ones."""

import collections
import io
import pickle
import struct

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
# The first three pickles: magic number, version, what the system is like.
HEADER = b"".join(
    pickle.dumps(value, protocol=2)
    for value in (
        MAGIC_NUMBER,
        1001,
        {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}},
    )
)


class Storage:
    """The description of a storage."""

    def __init__(self, key="0", length=6, kind="FloatStorage", location="cpu", view=None):
        self.description = ("storage", kind, key, location, length, view)


class Tensor:
    """A view of a storage."""

    def __init__(self, storage=None, offset=0, shape=(2, 3), strides=(3, 1), hooks=None):
        hooks = collections.OrderedDict() if hooks is None else hooks
        self.arguments = (storage or Storage(), offset, shape, strides, False, hooks)

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


def dump(value):
    """A pickle whose functions and types of storages are named as PyTorch names them."""
    stream = io.BytesIO()
    _Pickler(stream, protocol=2).dump(value)
    content = stream.getvalue().replace(
        f"c{__name__}\n_rebuild_tensor_v2\n".encode(), b"ctorch._utils\n_rebuild_tensor_v2\n"
    )
    for kind in ("FloatStorage", "LongStorage", "HalfStorage"):
        text = b"X" + struct.pack("<I", len(kind)) + kind.encode()
        content = content.replace(text, f"ctorch\n{kind}\n".encode())
    return content


def make_file(state, keys=("0",), storages=None):
    """A file with a state, or its pickle, and by default with storages of six numbers."""
    if storages is None:
        storages = struct.pack("<q6f", 6, *range(6)) * len(keys)
    state = state if isinstance(state, bytes) else dump(state)
    return HEADER + state + pickle.dumps(list(keys), protocol=2) + storages


def make_file_of_arrays(arrays):
    """A file with float32 arrays, each in a storage of its own."""
    state, storages = collections.OrderedDict(), b""
    for number, (name, array) in enumerate(arrays.items()):
        array = np.ascontiguousarray(array, "<f4")
        strides = tuple(stride // 4 for stride in array.strides)
        state[name] = Tensor(Storage(str(number), array.size), 0, array.shape, strides)
        storages += struct.pack("<q", array.size) + array.tobytes()
    return make_file(state, [str(number) for number in range(len(arrays))], storages)


class _Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.description if isinstance(value, Storage) else None


def _rebuild_tensor_v2(*_):
    raise AssertionError("called")
