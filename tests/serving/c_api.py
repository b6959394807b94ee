"""TensorFlow's own loader of saved models, called without TensorFlow's Python.

`TF_LoadSessionFromSavedModel` wraps the C++ function that TensorFlow Serving loads with, so
what runs here needs nothing but operations and kernels of TensorFlow. Run as
`python c_api.py FOLDER REQUESTS ANSWERS`: two pickles, a list of `(signature, arguments)`, and
what became of it.
"""

import ctypes
import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np

STRING = 7
DTYPES = {1: np.float32, 3: np.int32, 4: np.uint8, 9: np.int64, STRING: object}
TSTRING_BYTES = 24

Pointer = ctypes.c_void_p
# What functions return that do not return an int.
POINTERS = [
    "TF_AllocateTensor",
    "TF_GetAllOpList",
    "TF_GraphOperationByName",
    "TF_LoadSessionFromSavedModel",
    "TF_NewBuffer",
    "TF_NewGraph",
    "TF_NewSessionOptions",
    "TF_NewStatus",
    "TF_StringGetDataPointer",
    "TF_TensorData",
]
LENGTHS = ["TF_Dim", "TF_StringGetSize", "TF_TensorByteSize"]


class Buffer(ctypes.Structure):
    _fields_ = (("data", Pointer), ("length", ctypes.c_size_t), ("deallocator", Pointer))


class Output(ctypes.Structure):
    _fields_ = (("operation", Pointer), ("index", ctypes.c_int))


def library():
    found = importlib.util.find_spec("tensorflow")
    (folder,) = found.submodule_search_locations
    for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2"):
        loaded = ctypes.CDLL(str(Path(folder) / name), mode=ctypes.RTLD_GLOBAL)
    for name in POINTERS:
        getattr(loaded, name).restype = Pointer
    for name in LENGTHS:
        getattr(loaded, name).restype = ctypes.c_size_t
    loaded.TF_Message.restype = ctypes.c_char_p
    return loaded


TF = library()


class Refused(Exception):
    """A status other than OK."""


class Session:
    """A saved model, loaded by tag `serve`.

    `signatures` holds inputs and outputs of each by name: name of the tensor, number of its
    type.
    """

    def __init__(self, folder):
        self._graph, meta = Pointer(TF.TF_NewGraph()), Pointer(TF.TF_NewBuffer())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self._session = Pointer(
            _checked(
                TF.TF_LoadSessionFromSavedModel,
                Pointer(TF.TF_NewSessionOptions()),
                None,
                str(folder).encode(),
                tags,
                1,
                self._graph,
                meta,
            )
        )
        self.signatures = {
            name: tuple(
                {alias.decode(): _tensor(info) for alias, info in _entries(signature, field)}
                for field in (1, 2)
            )
            for name, signature in (
                (name.decode(), signature) for name, signature in _entries(_bytes(meta), 5)
            )
            # What initializes the model has no name of a method.
            if _fields(signature).get(3)
        }

    def run(self, signature, arguments):
        inputs, outputs = self.signatures[signature]
        assert set(arguments) == set(inputs)
        feeds = [self._output(inputs[name][0]) for name in arguments]
        values = [_to_tensor(value, inputs[name][1]) for name, value in arguments.items()]
        fetches = [self._output(tensor) for tensor, _ in outputs.values()]
        results = (Pointer * len(fetches))()
        _checked(
            TF.TF_SessionRun,
            self._session,
            None,
            (Output * len(feeds))(*feeds),
            (Pointer * len(values))(*values),
            len(values),
            (Output * len(fetches))(*fetches),
            results,
            len(fetches),
            None,
            0,
            None,
        )
        return {
            name: _to_array(Pointer(result)) for name, result in zip(outputs, results, strict=True)
        }

    def _output(self, tensor):
        operation, index = tensor.split(":")
        found = TF.TF_GraphOperationByName(self._graph, operation.encode())
        assert found, operation
        return Output(found, int(index))


def registered():
    """Names of the operations that TensorFlow has by itself."""
    everything = _bytes(Pointer(TF.TF_GetAllOpList()))
    return {_fields(operation)[1][0].decode() for operation in _fields(everything)[1]}


def _checked(call, *arguments):
    status = Pointer(TF.TF_NewStatus())
    result = call(*arguments, status)
    if TF.TF_GetCode(status):
        raise Refused(TF.TF_Message(status).decode())
    return result


def _to_tensor(value, kind):
    value = np.array(value, DTYPES[kind])
    dims = (ctypes.c_int64 * value.ndim)(*value.shape)
    length = value.size * (TSTRING_BYTES if kind == STRING else value.itemsize)
    tensor = TF.TF_AllocateTensor(kind, dims, value.ndim, ctypes.c_size_t(length))
    data = TF.TF_TensorData(Pointer(tensor))
    if kind != STRING:
        ctypes.memmove(data, value.tobytes(), length)
        return tensor
    for i, one in enumerate(value.ravel()):
        place = Pointer(data + i * TSTRING_BYTES)
        TF.TF_StringInit(place)
        TF.TF_StringCopy(place, one, ctypes.c_size_t(len(one)))
    return tensor


def _to_array(tensor):
    kind = TF.TF_TensorType(tensor)
    shape = [TF.TF_Dim(tensor, i) for i in range(TF.TF_NumDims(tensor))]
    data = TF.TF_TensorData(tensor)
    if kind != STRING:
        content = ctypes.string_at(data, TF.TF_TensorByteSize(tensor))
        return np.frombuffer(content, DTYPES[kind]).reshape(shape)
    places = [Pointer(data + i * TSTRING_BYTES) for i in range(int(np.prod(shape)))]
    strings = [
        ctypes.string_at(TF.TF_StringGetDataPointer(place), TF.TF_StringGetSize(place))
        for place in places
    ]
    return np.array(strings, object).reshape(shape)


# What follows reads the wire format of protocol buffers, which is small.


def _bytes(buffer):
    held = Buffer.from_address(buffer.value)
    return ctypes.string_at(held.data, held.length)


def _fields(message):
    """Values by number of field: int, or bytes for what has a length."""
    found, place = {}, 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
        else:
            length, place = _varint(message, place) if kind == 2 else ({1: 8, 5: 4}[kind], place)
            value, place = message[place : place + length], place + length
        found.setdefault(key >> 3, []).append(value)
    return found


def _varint(message, place):
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _entries(message, field):
    """Keys and values of a map."""
    for entry in _fields(message).get(field, []):
        pair = _fields(entry)
        yield pair[1][0], pair[2][0]


def _tensor(info):
    fields = _fields(info)
    return fields[1][0].decode(), fields[2][0]


def main(folder, requests, answers):
    session = Session(folder)
    answered = []
    for signature, arguments in pickle.loads(Path(requests).read_bytes()):
        try:
            answered.append(session.run(signature, arguments))
        except Refused as error:
            answered.append(str(error))
    found = {"answers": answered, "signatures": session.signatures, "registered": registered()}
    Path(answers).write_bytes(pickle.dumps(found))
    ours = {"tensorflow", "keras", "spp_keras"}
    assert not ours & {name.partition(".")[0] for name in sys.modules}


if __name__ == "__main__":
    main(*sys.argv[1:])
