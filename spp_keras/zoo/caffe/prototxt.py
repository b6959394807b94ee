"""Reads a `.prototxt` file: the layers of a Caffe network, as text."""

from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import text_format

from spp_keras.zoo.caffe import messages


class CaffeLayer(NamedTuple):
    """A layer of a file.

    Args:
        name: Name of the layer, by which its weights are looked up.
        kind: Its type in lower case without underscores, however the file spells it.
        bottoms: Names of its inputs.
        tops: Names of its outputs.
        message: Protobuf message that holds its parameters.
    """

    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Any

    def parameters(self, *names: str) -> Any:
        """The parameter message, under the first name that this form of the file knows."""
        known = [name for name in names if name in self.message.DESCRIPTOR.fields_by_name]
        return getattr(self.message, known[0])


class CaffeNetwork(NamedTuple):
    """A network as its file describes it.

    Args:
        name: Name of the network, may be empty.
        input: Name of the images.
        shape: Channels, height and width of the images that it was trained on.
        layers: All layers but the input, in their order.
    """

    name: str
    input: str
    shape: tuple[int, int, int]
    layers: tuple[CaffeLayer, ...]


def read_prototxt(path: str | Path) -> CaffeNetwork:
    """The network of a `.prototxt` file.

    Args:
        path: Path of the file.

    Example:

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "deploy.prototxt"
    >>> _ = path.write_text(
    ...     'input: "data" input_shape { dim: 1 dim: 3 dim: 224 dim: 224 }'
    ...     'layers { name: "relu1" type: RELU bottom: "data" top: "data" }'
    ... )
    >>> network = read_prototxt(path)
    >>> network.shape, network.layers[0].kind
    ((3, 224, 224), 'relu')
    """
    net, path = messages.NetParameter(), Path(path)
    try:
        text = path.read_text("utf-8")
        # Fields that only matter in training, such as fillers, are not declared: skip them.
        text_format.Parse(text, net, allow_unknown_field=True, descriptor_pool=messages.POOL)
    except (UnicodeDecodeError, text_format.ParseError) as error:
        raise ValueError(
            "`prototxt` must be the text that describes a Caffe network; `caffemodel`, which comes "
            f"second, has its weights. Received: prototxt={str(path)!r}, which cannot be read: "
            f"{error}."
        ) from error
    layers = list_layers(net)
    inputs = [layer for layer in layers if layer.kind == "input"]
    names = [*net.input, *(top for layer in inputs for top in layer.tops)]
    shapes = [tuple(shape.dim) for shape in net.input_shape]
    shapes += [tuple(net.input_dim[:4])] if net.input_dim else []
    shapes += [tuple(shape.dim) for layer in inputs for shape in layer.message.input_param.shape]
    if not names or not shapes or len(shapes[0]) != 4:
        raise ValueError(
            "`prototxt` must state the images that the network takes, by an `Input` layer or by "
            "`input` and `input_dim`, as the file for deployment does; that for training does not. "
            f"Received: prototxt={str(path)!r}, with the inputs {names} of shapes {shapes}."
        )
    others = tuple(layer for layer in layers if layer.kind != "input")
    return CaffeNetwork(net.name, names[0], shapes[0][1:], others)


def list_layers(net: Any) -> list[CaffeLayer]:
    """The layers of a `NetParameter` message, in any of the three forms."""
    layers = []
    for outer in [*net.layers, *net.layer]:
        is_oldest = outer.DESCRIPTOR.name == "V1LayerParameter" and outer.HasField("layer")
        message = outer.layer if is_oldest else outer
        kind = message.type
        if isinstance(kind, int):
            kind = messages.LAYER_TYPES[kind]
        kind = kind.replace("_", "").lower()
        kind = {"conv": "convolution", "pool": "pooling"}.get(kind, kind)
        bottoms, tops = tuple(outer.bottom), tuple(outer.top)
        layers.append(CaffeLayer(message.name, kind, bottoms, tops, message))
    return layers
