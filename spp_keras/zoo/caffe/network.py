"""Networks that Caffe has trained, as the zoo's own."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras import geometry
from spp_keras.layers import (
    LocalResponseNormalization,
    MaskPadding,
    PadRagged,
    SpatialPyramidPooling,
)
from spp_keras.zoo.caffe import caffe_files, caffe_rows
from spp_keras.zoo.image_model import ImageModel


def load_caffe_model(
    prototxt: str | Path,
    caffemodel: str | Path,
    *,
    mean: float | Sequence[float] = 128.0,
    scale_train: bool = True,
    name: str | None = None,
) -> keras.Model:
    r"""A network with weights that Caffe has trained, for images of any size.

    How to get weights of ImageNet without training: of the released ZF-5 with
    its pyramid, or of any chain of convolutions, ReLUs, normalizations, max
    poolings and dense layers (CaffeNet, VGG). Its last pooling, or its several
    flattened and concatenated, becomes a `SpatialPyramidPooling` with as many
    bins as it has for the images that the file says. What works with the zoo's
    networks works with it: `with_boxes`, `with_sizes`, ragged batches, export.

    The model takes RGB values 0..255; mean and order of channels are part of
    it. Paddings are the file's, and poolings round up as in Caffe, at any size
    and in batches of mixed sizes. Layers have the file's names, the last dense
    one is `predictions`. Without dense layers in the file the model gives maps.

    Bins are those of `SpatialPyramidPooling`. At the size of training the
    poolings of the released ZF-5 have the same, but for the level of 2: of 13
    cells, theirs covers 7 and 6, ours 7 and 7.

    Args:
        prototxt: Path of the text that describes the network for deployment.
        caffemodel: Path of its weights. Layers that the text does not name are
            passed over.
        mean: What was subtracted from the pixels, one number or one for each of
            blue, green and red, in Caffe's order. Defaults to 128, that of the
            networks released with SPP-net; CaffeNet's and VGG's are
            `(104, 117, 123)`, rounded.
        scale_train: What dropout did in training where the text does not say:
            it scaled then, as Caffe has it (`True`), or only at test, as the
            Caffe of SPP-net's authors had it (`False`). Defaults to `True`.
        name: Name of the model. Defaults to that in the text, or `"caffe"`.

    Returns:
        An `ImageModel`, a functional `keras.Model`.

    Example:

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "deploy.prototxt").write_text('''
    ...     input: "data" input_dim: 1 input_dim: 3 input_dim: 16 input_dim: 16
    ...     layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
    ...             pooling_param { global_pooling: true } }
    ...     layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
    ...             inner_product_param { num_output: 1 bias_term: false } }
    ... ''')
    >>> # Field 100, a layer: its name, and a blob of shape (1, 3) with three floats.
    >>> blob = b"\x3a\x04\x0a\x02\x01\x03" + b"\x2a\x0c" + np.ones(3, "<f4").tobytes()
    >>> layer = b"\x0a\x02fc" + b"\x3a" + bytes([len(blob)]) + blob
    >>> _ = (folder / "net.caffemodel").write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    >>> model = load_caffe_model(folder / "deploy.prototxt", folder / "net.caffemodel", mean=100)
    >>> float(model(np.full((1, 20, 30, 3), 128.0))[0, 0])
    84.0
    """
    network = caffe_files.read_network(prototxt)
    rows = caffe_rows.read_rows(network, scale_train)
    channels = network.shape[0]
    offset = _offset(mean, channels)
    stored = caffe_files.read_weights(caffemodel)
    weights = _weights(rows, channels, stored, str(caffemodel))
    model = _build(rows, channels, offset, name or _plain(network.name) or "caffe")
    for layer, arrays in weights.items():
        model.get_layer(_layer_name(layer, rows)).set_weights(arrays)
    return model


def _build(
    rows: Sequence[caffe_rows.Row], channels: int, offset: float | list[float], name: str
) -> keras.Model:
    """The rows as layers, each preceded by what keeps mixed sizes exact."""
    along = list(caffe_rows.list_grids(rows))
    least = max(grid.min_pixels() for _, _, grid in along)
    ragged = keras.backend.backend() == "tensorflow"
    shape = (None, None, channels)
    images = keras.Input(shape, name="images", **({"ragged": True} if ragged else {}))
    x, sizes = PadRagged(least, name="mixed_sizes")(images)
    x = keras.layers.Rescaling(1.0, offset=offset, name="preprocessing")(x)
    for number, (row, grid, _) in enumerate(along):
        if isinstance(row, caffe_rows.Pyramid):
            x, cells = MaskPadding(*grid, name="valid_cells")(x, sizes=sizes)
            levels = [row.levels[i] for i in _finest_first(row.levels)]
            pool = SpatialPyramidPooling(levels, data_format="channels_last", name="spp")
            x = pool(x, sizes=cells)
            continue
        # Before the first, too: what lies beyond an image has become minus the mean.
        if number == 0 or _pads(row):
            x, _ = MaskPadding(*grid, name=f"valid_before_{_plain(row.name)}")(x, sizes=sizes)
        for layer in _layers(row, rows):
            x = layer(x)
    if not any(isinstance(row, caffe_rows.Pyramid) for row in rows):
        x, _ = MaskPadding(*along[-1][2], name="valid_cells")(x, sizes=sizes)
    return ImageModel(images, x, name=name)


def _pads(row: caffe_rows.Row) -> bool:
    """Whether a row looks beyond the map."""
    if isinstance(row, caffe_rows.CaffeNorm):
        return row.region == "within"
    if isinstance(row, caffe_rows.CaffePool):
        return row.padding > 0 or row.stride > 1
    return isinstance(row, caffe_rows.CaffeConv) and row.padding > 0


def _layers(row: Any, rows: Sequence[caffe_rows.Row]) -> Iterator[keras.layers.Layer]:
    """One row, but for a pyramid."""
    last, name = {"data_format": "channels_last"}, _layer_name(row.name, rows)
    pad: Any = 0
    # The weights come from the file.
    weights: dict[str, Any] = {"name": name, "kernel_initializer": "zeros"}
    if isinstance(row, caffe_rows.CaffeConv | caffe_rows.CaffePool) and row.padding:
        pad = row.padding
    if isinstance(row, caffe_rows.CaffePool) and row.stride > 1:
        # As many cells as rounding down has of a map that is longer by one less than the stride.
        pad = 2 * ((row.padding, row.padding + row.stride - 1),)
    if pad:
        yield keras.layers.ZeroPadding2D(pad, name=f"pad_before_{name}", **last)
    if isinstance(row, caffe_rows.CaffeConv):
        weights |= {"use_bias": row.bias, "activation": "relu" if row.relu else None}
        yield keras.layers.Conv2D(row.filters, row.kernel, row.stride, **weights, **last)
    elif isinstance(row, caffe_rows.CaffePool):
        yield keras.layers.MaxPooling2D(row.kernel, row.stride, name=name, **last)
    elif isinstance(row, caffe_rows.CaffeNorm):
        yield LocalResponseNormalization(
            row.region, row.size, alpha=row.alpha, beta=row.beta, bias=row.bias, name=name
        )
    elif isinstance(row, caffe_rows.Relu):
        yield keras.layers.ReLU(name=name)
    elif isinstance(row, caffe_rows.Dropout):
        yield keras.layers.Dropout(row.rate, name=name)
    else:
        activation = "softmax" if row.softmax else "relu" if row.relu else None
        # Scores in float32, as those of the zoo.
        weights |= {"dtype": "float32"} if name == _LAST else {}
        yield keras.layers.Dense(row.units, activation, row.bias, **weights)


# As in the zoo; what goes by it knows the last layer of a network, however many classes it has.
_LAST = "predictions"


def _layer_name(name: str, rows: Sequence[caffe_rows.Row]) -> str:
    last = rows[-1]
    if isinstance(last, caffe_rows.Dense) and not last.relu and name == last.name:
        return _LAST
    return _plain(name)


def _plain(name: str) -> str:
    """A name as Keras allows them."""
    return name.replace("/", "_")


def _weights(
    rows: Sequence[caffe_rows.Row], channels: int, stored: dict[str, list[np.ndarray]], path: str
) -> dict[str, list[np.ndarray]]:
    """The arrays of each layer as Keras has them."""
    weights, differ = {}, []
    levels: tuple[geometry.Level, ...] = ((1, 1),)
    shape: tuple[int, ...]
    # Caffe's images are blue, green and red, ours the other way round.
    reverse = channels == 3
    for row in rows:
        if isinstance(row, caffe_rows.Pyramid):
            levels = row.levels
            inputs = channels * sum(down * across for down, across in levels)
        if not isinstance(row, caffe_rows.CaffeConv | caffe_rows.Dense):
            continue
        if isinstance(row, caffe_rows.CaffeConv):
            shape = (row.filters, channels // row.groups, row.kernel, row.kernel)
        else:
            shape = (row.units, inputs)
        expected = [shape, shape[:1]] if row.bias else [shape]
        found = [array.shape for array in stored.get(row.name, [])]
        if [_full(one) for one in found] != [_full(one) for one in expected]:
            differ.append(
                f"{row.name}: {_words(expected)} in the text, {_words(found)} in the file"
            )
        elif not differ:
            kernel = stored[row.name][0].reshape(shape)
            if isinstance(row, caffe_rows.CaffeConv):
                kernel = _ungrouped(kernel, row.groups).transpose(2, 3, 1, 0)
                kernel = kernel[:, :, ::-1] if reverse else kernel
            else:
                kernel = row.scale * _channels_last(kernel, levels, reverse)
            weights[row.name] = [kernel, *(one.reshape(-1) for one in stored[row.name][1:])]
        reverse = False
        if isinstance(row, caffe_rows.CaffeConv):
            channels = row.filters
        else:
            inputs, levels = row.units, ((1, 1),)
    if differ:
        raise ValueError(
            "`caffemodel` must have the weights of the layers that `prototxt` names, by their "
            f"names. Received: caffemodel={path!r}, with these differences:\n  "
            + "\n  ".join(differ)
        )
    return weights


def _channels_last(
    kernel: np.ndarray, levels: Sequence[geometry.Level], reverse: bool
) -> np.ndarray:
    """A dense kernel as Keras has it, rows in the order of our pyramid.

    Caffe's are in the order of the file's levels, in each channel by channel
    and in a channel row by row; ours in that of the model's, channels last.
    """
    units, inputs = kernel.shape
    bins = [down * across for down, across in levels]
    channels = inputs // sum(bins)
    starts = np.cumsum([0, *bins[:-1]]) * channels
    parts = []
    for i in _finest_first(levels):
        part = kernel[:, starts[i] : starts[i] + bins[i] * channels]
        part = part.reshape(units, channels, bins[i]).transpose(2, 1, 0)
        parts.append((part[:, ::-1] if reverse else part).reshape(-1, units))
    return np.concatenate(parts)


def _finest_first(levels: Sequence[geometry.Level]) -> list[int]:
    """Numbers of the levels in the order of the paper and of the zoo."""
    return sorted(range(len(levels)), key=lambda i: -levels[i][0] * levels[i][1])


def _ungrouped(kernel: np.ndarray, groups: int) -> np.ndarray:
    """A kernel that sees all channels, with zeros where one of a group sees none.

    TensorFlow has no grouped convolutions on every device, TFLite has none at all.
    """
    filters, channels, *size = kernel.shape
    whole = np.zeros((filters, channels * groups, *size), kernel.dtype)
    for group in range(groups):
        own = slice(group * filters // groups, (group + 1) * filters // groups)
        whole[own, group * channels : (group + 1) * channels] = kernel[own]
    return whole


def _offset(mean: float | Sequence[float], channels: int) -> float | list[float]:
    """What is added to pixels in RGB."""
    values = [mean] if isinstance(mean, int | float) else list(mean)
    if len(values) not in (1, channels) or not all(isinstance(one, int | float) for one in values):
        raise ValueError(
            f"`mean` must be a number or {channels} of them, in Caffe's order of channels. "
            f"Received: mean={mean!r}."
        )
    values = [-float(one) for one in reversed(values)]
    return values[0] if len(values) == 1 else values


def _full(shape: tuple[int, ...]) -> tuple[int, ...]:
    # Until 2015 every array in a file had four dimensions, the first ones 1.
    return (1,) * (4 - len(shape)) + shape


def _words(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(str(tuple(int(side) for side in shape)) for shape in shapes) or "nothing"
