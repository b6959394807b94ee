"""Reads a `.caffemodel` file: the weights of a Caffe network, as protocol buffers."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from spp_keras.zoo.caffe import messages, prototxt


def read_caffemodel(path: str | Path) -> dict[str, list[np.ndarray]]:
    """The arrays of each layer of a `.caffemodel` file, by the layers' names.

    Args:
        path: Path of the file.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "net.caffemodel"
    >>> net = messages.NetParameter()
    >>> blob = net.layer.add(name="conv1").blobs.add(data=[np.ones(6, "<f4").tobytes()])
    >>> blob.shape.dim.extend([3, 2])
    >>> _ = path.write_bytes(net.SerializeToString())
    >>> {name: [array.shape for array in arrays] for name, arrays in read_caffemodel(path).items()}
    {'conv1': [(3, 2)]}
    """
    net, path = messages.NetParameter(), Path(path)
    rule = (
        "`caffemodel` must be a whole file of weights that Caffe wrote, not in HDF5; `prototxt`, "
        f"which comes first, has no weights. Received: caffemodel={str(path)!r}"
    )
    try:
        net.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{rule}, which cannot be read: {error}.") from error
    weights = {}
    for layer in prototxt.list_layers(net):
        if layer.message.blobs:
            weights[layer.name] = [
                _to_array(blob, layer.name, rule) for blob in layer.message.blobs
            ]
    if not weights:
        raise ValueError(f"{rule}, which has no layers with weights.")
    return weights


def _to_array(blob: Any, layer: str, rule: str) -> np.ndarray:
    dtype, chunks = ("<f8", blob.double_data) if blob.double_data else ("<f4", blob.data)
    values = np.frombuffer(b"".join(chunks), dtype)
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    if values.size != math.prod(shape):
        raise ValueError(
            f"{rule}, where the layer {layer!r} has {values.size} numbers for the shape {shape}."
        )
    return values.reshape(shape).astype("float32", copy=False)
