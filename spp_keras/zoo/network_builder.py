"""The two kinds of networks of the paper, built from a table: with and without a pyramid."""

from collections.abc import Sequence
from typing import Any, Literal

import keras

from spp_keras import _checks
from spp_keras.conversion import transformation
from spp_keras.layers import SpatialPyramidPooling
from spp_keras.models.image_model import ImageModel
from spp_keras.zoo import layer_builder, layer_rows, shipped_weights, tables
from spp_keras.zoo.weights import load_weights

Levels = Sequence[int | tuple[int, int]]
InputShape = tuple[int | None, int | None, int]

# Pixels 0..255 to -1..1. The released networks subtract one value from every channel, too,
# but do not scale: the weights of their first convolution do.
_MEAN_PIXEL = 128
_HIDDEN_UNITS = 4096


def build_spp_network(
    table: tables.Trunk,
    classes: int,
    *,
    include_top: bool,
    weights: str | None,
    input_shape: InputShape | None,
    pooling: Literal["avg", "max", "spp"] | None,
    classifier_activation: str | None,
    levels: Levels,
    mode: Literal["max", "average"],
    dropout: float,
    width: float,
    name: str,
) -> keras.Model:
    """A network with a pyramid; the arguments are those of `spp_keras.zoo.zf5_spp`."""
    check_options(include_top, pooling, ("avg", "max", "spp"), classes)
    images, maps = _build_trunk(table, input_shape, width)
    if include_top:
        vectors = layer_builder.make_pyramid(levels, mode)(maps)
        top = _list_paper_top(table, classes, classifier_activation, dropout, width)
        outputs = layer_builder.build_top(vectors, top)
    else:
        outputs = pool_maps(maps, pooling, levels, mode)
    return _make_any_size(images, outputs, name, weights, f"{table.name}_spp")


def build_fixed_network(
    table: tables.Trunk,
    classes: int,
    *,
    include_top: bool,
    weights: str | None,
    input_shape: InputShape | None,
    pooling: Literal["avg", "max"] | None,
    classifier_activation: str | None,
    dropout: float,
    width: float,
    name: str,
) -> keras.Model:
    """A network without a pyramid; the arguments are those of `spp_keras.zoo.zf5`."""
    check_options(include_top, pooling, ("avg", "max"), classes)
    if not include_top:
        images, maps = _build_trunk(table, input_shape, width)
        outputs = pool_maps(maps, pooling, ())
        return _make_any_size(images, outputs, name, weights, table.name)

    shape = _checks.image_shape(
        input_shape or (224, 224, 3), table.grid.min_pixels(table.last_pool.kernel)
    )
    if None in shape:
        raise ValueError(
            f"`input_shape` of {table.name} must state height and width, since its first dense "
            f"layer fits one size alone: give a size, or take {table.name}_spp, which takes "
            f"any. Received: input_shape={input_shape}."
        )
    images = keras.Input(shape, name="images")
    x = layer_builder.apply_rows(_make_preprocessing()(images), _scale_filters(table.rows, width))
    pool = table.last_pool._replace(name="last_pool")
    x = keras.layers.Flatten(data_format="channels_last", name="flatten")(
        layer_builder.apply_rows(x, (pool,))
    )
    top = _list_paper_top(table, classes, classifier_activation, dropout, width)
    model = ImageModel(images, layer_builder.build_top(x, top), name=name)
    return _load(model, weights, table.name)


def list_top_rows(
    first: int, units: Sequence[int], dropout: float, classes: int, activation: str | None
) -> list[layer_rows.TopRow]:
    """Hidden dense layers, each with its dropout, and the layer that scores classes.

    Args:
        first: Number of the first hidden layer, which is named `fc{first}`.
        units: Units of each hidden layer.
        dropout: Rate after each hidden layer.
        classes: Number of classes.
        activation: Activation of the last layer.
    """
    rate = _checks.fraction(dropout, "dropout")
    top: list[layer_rows.TopRow] = []
    for number, size in enumerate(units, start=first):
        top += [
            layer_rows.Dense(size, "relu", f"fc{number}"),
            layer_rows.Dropout(rate, f"drop{number}"),
        ]
    return [*top, layer_rows.Dense(classes, activation, layer_rows.PREDICTIONS)]


def pool_maps(
    maps: Any, pooling: str | None, levels: Levels, mode: Literal["max", "average"] = "max"
) -> Any:
    """Vectors of feature maps by the argument `pooling` of a network without top."""
    if pooling is None:
        return maps
    if pooling == "spp":
        return layer_builder.make_pyramid(levels, mode)(maps)
    mode = "max" if pooling == "max" else "average"
    name = f"{pooling}_pool"
    return SpatialPyramidPooling((1,), mode, data_format="channels_last", name=name)(maps)


def check_options(include_top: bool, pooling: Any, choices: Sequence[str], classes: int) -> None:
    """Checks arguments that every network of the zoo has."""
    _checks.one_of(pooling, (None, *choices), "pooling")
    _checks.at_least(classes, 1, "classes")
    if include_top and pooling is not None:
        raise ValueError(
            "`pooling` is for `include_top=False`; the top has its own. "
            f"Received: pooling={pooling!r} with include_top=True."
        )


def _build_trunk(
    table: tables.Trunk, input_shape: InputShape | None, width: float
) -> tuple[Any, Any]:
    """Images and feature maps of the plain network of a table."""
    shape = _checks.image_shape(input_shape or (None, None, 3), table.min_size)
    images = keras.Input(shape, name="images")
    x = _make_preprocessing()(images)
    return images, layer_builder.apply_rows(x, _scale_filters(table.rows, width))


def _make_preprocessing() -> keras.layers.Layer:
    return keras.layers.Rescaling(1 / _MEAN_PIXEL, offset=-1.0, name="preprocessing")


def _list_paper_top(
    table: tables.Trunk, classes: int, activation: str | None, dropout: float, width: float
) -> list[layer_rows.TopRow]:
    first = 1 + layer_rows.count_convolutions(table.rows)
    units = (_scale(_HIDDEN_UNITS, width),) * 2
    return list_top_rows(first, units, dropout, classes, activation)


def _make_any_size(
    images: Any, outputs: Any, name: str, weights: str | None, network: str
) -> keras.Model:
    """A plain network made to take images of any size, with its weights."""
    plain = keras.Model(images, outputs, name=name)
    return _load(transformation.convert_model(plain, images.shape[1:], name), weights, network)


def _load(model: keras.Model, weights: str | None, network: str) -> keras.Model:
    if weights is not None:
        load_weights(model, shipped_weights.resolve_weights(network, weights))
    return model


def _scale_filters(
    table_rows: Sequence[layer_rows.TrunkRow], width: float
) -> list[layer_rows.TrunkRow]:
    return [
        row._replace(filters=_scale(row.filters, width))
        if isinstance(row, layer_rows.Conv)
        else row
        for row in table_rows
    ]


def _scale(count: int, width: float) -> int:
    return max(1, round(count * _checks.positive(width, "width")))
