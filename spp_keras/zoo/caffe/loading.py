"""Loads a Caffe network with its weights as a Keras model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from spp_keras.conversion import transformation
from spp_keras.zoo import layer_builder, layer_rows
from spp_keras.zoo.caffe.caffemodel import read_caffemodel
from spp_keras.zoo.caffe.layer_weights import convert_weights, sort_levels
from spp_keras.zoo.caffe.network_rows import read_rows
from spp_keras.zoo.caffe.prototxt import read_prototxt


def load_caffe_model(
    prototxt: str | Path,
    caffemodel: str | Path,
    *,
    mean: float | Sequence[float] = 128.0,
    scale_train: bool = True,
    name: str | None = None,
) -> keras.Model:
    r"""Loads a network with weights trained in Caffe, for images of any size.

    A way to weights of ImageNet without training. It takes the released ZF-5 with
    its pyramid, and any chain of convolutions, ReLUs, normalizations, max
    poolings and dense layers (CaffeNet, VGG). The last pooling, or several that are
    flattened and concatenated, becomes a `SpatialPyramidPooling` with as many
    bins as the pooling has at the image size in the file. The model can do all that the
    zoo's networks do: `with_boxes`, `with_sizes`, ragged batches, export.

    The model takes RGB values 0..255; it subtracts the mean and reorders channels itself.
    Paddings are those of the file, and poolings round up as in Caffe, at any size
    and in batches of mixed sizes. Layers have the file's names, the last dense
    layer is `predictions`. Without dense layers in the file the model returns feature maps.

    Bins are those of `SpatialPyramidPooling`. At the training size they equal the
    poolings of the released ZF-5, except at level 2: of 13
    cells, the bins of the release cover 7 and 6, ours 7 and 7.

    Args:
        prototxt: Path of the text that describes the network for deployment.
        caffemodel: Path of its weights. Layers that the text does not name are
            ignored.
        mean: The mean subtracted from the pixels, one number or one for each of
            blue, green and red, in Caffe's order. Defaults to 128, the mean of the
            networks released with SPP-net; CaffeNet and VGG have
            `(104, 117, 123)`, rounded.
        scale_train: Where a dropout layer of the text does not say: whether it scaled in
            training, as in Caffe (`True`), or at test time, as in the Caffe of SPP-net's
            authors (`False`). Defaults to `True`.
        name: Name of the model. Defaults to the name in the text, or `"caffe"`.

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
    network = read_prototxt(prototxt)
    rows = read_rows(network, scale_train)
    channels = network.shape[0]
    offset = _make_offset(mean, channels)
    weights = convert_weights(rows, channels, read_caffemodel(caffemodel), str(caffemodel))
    named_rows = [_rename(row, is_last=row is rows[-1]) for row in rows]
    model = _build_model(named_rows, channels, offset, name or _to_keras_name(network.name))
    for row, named in zip(rows, named_rows, strict=True):
        if not isinstance(row, layer_rows.Pyramid) and row.name in weights:
            model.get_layer(named.name).set_weights(weights[row.name])
    return model


def _build_model(
    rows: Sequence[Any], channels: int, offset: float | list[float], name: str
) -> keras.Model:
    pyramids = [i for i, row in enumerate(rows) if isinstance(row, layer_rows.Pyramid)]
    end = pyramids[0] if pyramids else len(rows)
    images = keras.Input((None, None, channels), name="images")
    x = keras.layers.Rescaling(1.0, offset=offset, name="preprocessing")(images)
    # Kernels are zeros until the weights of the file are set.
    x = layer_builder.apply_rows(x, rows[:end], "zeros")
    if pyramids:
        x = layer_builder.make_pyramid(sort_levels(rows[end].levels))(x)
        x = layer_builder.build_top(x, rows[end + 1 :], "zeros")
    return transformation.any_size(keras.Model(images, x), name=name or "caffe")


def _rename(row: Any, is_last: bool) -> Any:
    """The row under the name of its Keras layer."""
    if isinstance(row, layer_rows.Pyramid):
        return row
    if is_last and isinstance(row, layer_rows.Dense) and row.activation != "relu":
        return row._replace(name=layer_rows.PREDICTIONS)
    return row._replace(name=_to_keras_name(row.name))


def _to_keras_name(name: str) -> str:
    return name.replace("/", "_")


def _make_offset(mean: float | Sequence[float], channels: int) -> float | list[float]:
    """The value to add to pixels in the order red, green, blue."""
    values = [mean] if isinstance(mean, int | float) else list(mean)
    if len(values) not in (1, channels) or not all(isinstance(v, int | float) for v in values):
        raise ValueError(
            f"`mean` must be a number or {channels} of them, in Caffe's order of channels. "
            f"Received: mean={mean!r}."
        )
    offsets = [-float(value) for value in reversed(values)]
    return offsets[0] if len(offsets) == 1 else offsets
