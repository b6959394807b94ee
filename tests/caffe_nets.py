"""Small Caffe networks: their two files byte by byte, and Caffe's arithmetic by plain loops.

Nothing of ours and no protocol buffers are imported: what is read there must be right here.
"""

import math
from typing import NamedTuple

import numpy as np
import oracles

FORMS = ("layer", "layers", "layers of layer")

_PARAMETERS = {
    "Convolution": "convolution_param",
    "Pooling": "pooling_param",
    "LRN": "lrn_param",
    "InnerProduct": "inner_product_param",
    "Dropout": "dropout_param",
    "Concat": "concat_param",
    "ReLU": "relu_param",
}
_SECOND = {"InnerProduct": "INNER_PRODUCT"}
_FIRST = {"Convolution": "conv", "Pooling": "pool", "InnerProduct": "inner_product"}
_NUMBERS = {"Convolution": 4, "InnerProduct": 14}


class Layer(NamedTuple):
    name: str
    kind: str
    bottoms: str
    top: str
    parameters: str = ""


def text(layers, form="layer", size=(224, 224), channels=3):
    """A prototxt."""
    sides = "".join(f"input_dim: {side}\n" for side in (1, channels, *size))
    return f'name: "small"\ninput: "data"\n{sides}' + "\n".join(_text(one, form) for one in layers)


def _text(layer, form):
    ends = "".join(f' bottom: "{bottom}"' for bottom in layer.bottoms.split())
    ends += f' top: "{layer.top}"'
    parameters = ""
    if layer.parameters:
        name = _PARAMETERS[layer.kind]
        if form == "layers of layer":
            name = name.replace("convolution", "conv").replace("pooling", "pool")
        parameters = f"{name} {{ {layer.parameters} }}"
    if parameters and layer.kind in ("Convolution", "InnerProduct"):
        # What trains a network is of no concern to who reads it.
        filler = 'weight_filler { type: "gaussian" std: 0.01 } }'
        rate = " param { lr_mult: 1 }" if form == "layer" else " blobs_lr: 1. blobs_lr: 2."
        parameters = parameters.removesuffix("}") + filler + rate + "  # as in training\n"
    name = f'name: "{layer.name}"'
    if form == "layer":
        return f'layer {{ {name} type: "{layer.kind}" {ends} {parameters} }}'
    if form == "layers":
        kind = _SECOND.get(layer.kind, layer.kind.upper())
        return f"layers {{ {name} type: {kind} {ends} {parameters} }}"
    kind = _FIRST.get(layer.kind, layer.kind.lower())
    return f'layers {{ layer {{ {name} type: "{kind}" {parameters} }} {ends} }}'


def content(layers, weights, form="layer"):
    """A caffemodel."""
    kinds = {layer.name: layer.kind for layer in layers}
    return b"".join(_content(name, kinds.get(name), blobs, form) for name, blobs in weights.items())


def _content(name, kind, blobs, form):
    blobs = [_blob(blob, form) for blob in blobs]
    if form == "layer":
        return _part(100, _part(1, name.encode()) + b"".join(_part(7, blob) for blob in blobs))
    if form == "layers":
        kind = _varint(5 << 3) + _varint(_NUMBERS[kind])
        parts = b"".join(_part(6, blob) for blob in blobs)
        return _part(2, _part(4, name.encode()) + kind + parts)
    parts = b"".join(_part(50, blob) for blob in blobs)
    return _part(2, _part(1, _part(1, name.encode()) + _part(2, b"conv") + parts))


def _blob(array, form):
    if form == "layer":
        shape = _part(7, _part(1, b"".join(_varint(side) for side in array.shape)))
    else:
        shape = (1,) * (4 - array.ndim) + array.shape
        shape = b"".join(_varint(i << 3) + _varint(side) for i, side in enumerate(shape, start=1))
    return shape + _part(5, array.astype("<f4").tobytes())


def _part(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value):
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def drawn(shapes, seed=11):
    """Weights `{name: [kernel, bias]}` with answers of size one, in Caffe's shapes."""
    generator = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes.items():
        kernel = generator.normal(0, 1.6 / math.sqrt(math.prod(shape[1:])), shape)
        bias = generator.uniform(-0.3, 0.3, shape[:1])
        weights[name] = [kernel.astype("float32"), bias.astype("float32")]
    return weights


def data(image, mean):
    """`(blue/green/red, rows, columns)` less its mean, of an image in RGB."""
    mean = np.broadcast_to(mean, 3)
    return np.stack([image[:, :, 2 - c].astype("float64") - mean[c] for c in range(3)])


def convolution(x, weights, stride=1, pad=0, groups=1):
    kernel, bias = (one.astype("float64") for one in weights)
    filters, channels, size, _ = kernel.shape
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    rows, columns = ((side - size) // stride + 1 for side in x.shape[1:])
    y = np.zeros((filters, rows, columns))
    for i, j in np.ndindex(rows, columns):
        window = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
        for group in range(groups):
            own = slice(group * filters // groups, (group + 1) * filters // groups)
            seen = window[group * channels : (group + 1) * channels]
            y[own, i, j] = np.tensordot(kernel[own], seen, 3) + bias[own]
    return y


def relu(x):
    return np.maximum(x, 0)


def normalized_within(x, size, alpha, beta):
    y, reach = np.zeros_like(x), size // 2
    for i, j in np.ndindex(x.shape[1:]):
        around = x[:, max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1]
        energy = 1 + alpha / size**2 * np.sum(around**2, axis=(1, 2))
        y[:, i, j] = x[:, i, j] / energy**beta
    return y


def normalized_across(x, size, alpha, beta, k):
    y, reach = np.zeros_like(x), size // 2
    for channel in range(len(x)):
        around = x[max(channel - reach, 0) : channel + reach + 1]
        y[channel] = x[channel] / (k + alpha / size * np.sum(around**2, axis=0)) ** beta
    return y


def pooled(x, kernel, stride, pad=0):
    """Rounding up, windows cut at the border."""
    counts = [math.ceil((side + 2 * pad - kernel) / stride) + 1 for side in x.shape[1:]]
    y = np.zeros((len(x), *counts))
    for i, j in np.ndindex(*counts):
        top, left = i * stride - pad, j * stride - pad
        window = x[:, max(top, 0) : top + kernel, max(left, 0) : left + kernel]
        y[:, i, j] = window.max(axis=(1, 2))
    return y


def binned(x, level):
    """The paper's bins of a level, as a map."""
    flat = oracles.pyramid(x.transpose(1, 2, 0), (level,), "max")
    return flat.reshape(level, level, -1).transpose(2, 0, 1)


def dense(x, weights):
    kernel, bias = (one.astype("float64") for one in weights)
    return kernel.reshape(len(bias), -1) @ x + bias


def softmax(x):
    powers = np.exp(x - x.max())
    return powers / powers.sum()
