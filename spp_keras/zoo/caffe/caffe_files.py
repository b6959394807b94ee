"""Caffe's two files: a network's layers as text, their weights in protocol buffers."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError

from spp_keras.zoo.caffe import caffe_messages


class CaffeLayer(NamedTuple):
    """One layer as the text has it.

    Args:
        name: Its name, by which its weights are found.
        kind: Its type, in small letters without underscores, however it is spelt.
        bottoms: Names of what it takes.
        tops: Names of what it gives.
        message: Where its parameters are.
    """

    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Any

    def parameters(self, *names: str) -> Any:
        """The message of that name or, in another form of the file, of that other name."""
        known = [name for name in names if name in self.message.DESCRIPTOR.fields_by_name]
        return getattr(self.message, known[0])


class CaffeNetwork(NamedTuple):
    """What the text says.

    Args:
        name: Name of the network, may be empty.
        input: Name of the images.
        shape: Channels, height and width of the images that it was trained on.
        layers: All but the input, in their order.
    """

    name: str
    input: str
    shape: tuple[int, int, int]
    layers: tuple[CaffeLayer, ...]


def read_network(path: str | Path) -> CaffeNetwork:
    """The layers of a `.prototxt` file.

    Args:
        path: Path of the file.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "deploy.prototxt"
    >>> _ = path.write_text(
    ...     'input: "data" input_shape { dim: 1 dim: 3 dim: 224 dim: 224 }'
    ...     'layers { name: "relu1" type: RELU bottom: "data" top: "data" }'
    ... )
    >>> network = read_network(path)
    >>> network.shape, network.layers[0].kind
    ((3, 224, 224), 'relu')
    """
    net, path = caffe_messages.NetParameter(), Path(path)
    try:
        text = path.read_text("utf-8")
        # What trains a network, or fills it at random, is of no concern here.
        text_format.Parse(text, net, allow_unknown_field=True, descriptor_pool=caffe_messages.POOL)
    except (UnicodeDecodeError, text_format.ParseError) as error:
        raise ValueError(
            "`prototxt` must be the text that describes a Caffe network; `caffemodel`, which comes "
            f"second, has its weights. Received: prototxt={str(path)!r}, which cannot be read: "
            f"{error}."
        ) from error
    layers = _layers(net)
    inputs = [layer for layer in layers if layer.kind == "input"]
    shapes = [tuple(shape.dim) for shape in net.input_shape]
    shapes += [tuple(net.input_dim[:4])] if net.input_dim else []
    shapes += [tuple(shape.dim) for one in inputs for shape in one.message.input_param.shape]
    names = [*net.input, *(top for one in inputs for top in one.tops)]
    if not names or not shapes or len(shapes[0]) != 4:
        raise ValueError(
            "`prototxt` must say what images the network takes, by an `Input` layer or by `input` "
            "and `input_dim`, as the file for deployment does; that for training does not. "
            f"Received: prototxt={str(path)!r}, with the inputs {names} of shapes {shapes}."
        )
    rest = tuple(layer for layer in layers if layer.kind != "input")
    return CaffeNetwork(net.name, names[0], shapes[0][1:], rest)


def read_weights(path: str | Path) -> dict[str, list[np.ndarray]]:
    """The arrays of each layer of a `.caffemodel` file, by the layers' names.

    Args:
        path: Path of the file.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "one.caffemodel"
    >>> net = _caffe_messages.NetParameter()
    >>> blob = net.layer.add(name="conv1").blobs.add(data=[np.ones(6, "<f4").tobytes()])
    >>> blob.shape.dim.extend([3, 2])
    >>> _ = path.write_bytes(net.SerializeToString())
    >>> {name: [array.shape for array in arrays] for name, arrays in read_weights(path).items()}
    {'conv1': [(3, 2)]}
    """
    net, path = caffe_messages.NetParameter(), Path(path)
    wrong = (
        "`caffemodel` must be a whole file of weights that Caffe wrote, not in HDF5; `prototxt`, "
        f"which comes first, has no weights. Received: caffemodel={str(path)!r}"
    )
    try:
        net.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{wrong}, which cannot be read: {error}.") from error
    weights = {}
    for layer in _layers(net):
        if layer.message.blobs:
            weights[layer.name] = [_array(blob, layer.name, wrong) for blob in layer.message.blobs]
    if not weights:
        raise ValueError(f"{wrong}, which has no layers with weights.")
    return weights


def _layers(net: Any) -> list[CaffeLayer]:
    """The layers of a file, whichever of the three forms they have."""
    found = []
    for outer in [*net.layers, *net.layer]:
        oldest = outer.DESCRIPTOR.name == "V1LayerParameter" and outer.HasField("layer")
        message = outer.layer if oldest else outer
        kind = message.type
        if isinstance(kind, int):
            kind = caffe_messages.KINDS[kind]
        kind = kind.replace("_", "").lower()
        kind = {"conv": "convolution", "pool": "pooling"}.get(kind, kind)
        found.append(CaffeLayer(message.name, kind, tuple(outer.bottom), tuple(outer.top), message))
    return found


def _array(blob: Any, layer: str, wrong: str) -> np.ndarray:
    kind, content = ("<f8", blob.double_data) if blob.double_data else ("<f4", blob.data)
    values = np.frombuffer(b"".join(content), kind)
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    if values.size != math.prod(shape):
        raise ValueError(
            f"{wrong}, where the layer {layer!r} has {values.size} numbers for the shape {shape}."
        )
    return values.reshape(shape).astype("float32", copy=False)
