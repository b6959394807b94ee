"""Parameters, operations and map sizes of each network, computed from its table."""

from typing import NamedTuple

from spp_keras.zoo import layer_rows, tables

_LEVELS = (6, 3, 2, 1)
_UNITS = (4096, 4096)


class Summary(NamedTuple):
    """A network at full width, with 1000 classes and the paper's 50 bins.

    Args:
        name: Name of the network.
        title: Name in the paper.
        pyramid: Whether it has a pyramid.
        parameters: Number of weights.
        flops: Operations for an image of 224x224; a multiplication and an addition are two.
        stride: Stride of the last feature map, in pixels.
        map_180: Height and width of the last feature map of an image of 180x180.
        map_224: Height and width of the last feature map of an image of 224x224.
        min_size: Pixels that the shorter side of an image needs.
    """

    name: str
    title: str
    pyramid: bool
    parameters: int
    flops: int
    stride: int
    map_180: int
    map_224: int
    min_size: int


def summarize_models() -> list[Summary]:
    """The summary of every network, first without and then with a pyramid."""
    return [_summarize(trunk, pyramid) for trunk in tables.TRUNKS for pyramid in (False, True)]


def _summarize(trunk: tables.Trunk, pyramid: bool) -> Summary:
    conv_parameters, conv_products = _count_convolutions(trunk)
    bins = sum(n * n for n in _LEVELS) if pyramid else 6 * 6
    dense_parameters, dense_products = _count_dense(bins * trunk.channels)
    return Summary(
        name=f"{trunk.name}_spp" if pyramid else trunk.name,
        title=trunk.title,
        pyramid=pyramid,
        parameters=conv_parameters + dense_parameters,
        flops=2 * (conv_products + dense_products),
        stride=trunk.grid.stride,
        map_180=trunk.grid.map_size(180),
        map_224=trunk.grid.map_size(224),
        min_size=trunk.min_size if pyramid else 224,
    )


def _count_convolutions(trunk: tables.Trunk) -> tuple[int, int]:
    """Weights and multiplications of the convolutions."""
    channels, parameters, products = 3, 0, 0
    for row, _, grid in layer_rows.list_grids(trunk.rows):
        if isinstance(row, layer_rows.Conv):
            weights = row.kernel**2 * channels * row.filters
            parameters += weights + row.filters
            products += weights * grid.map_size(224) ** 2
            channels = row.filters
    return parameters, products


def _count_dense(inputs: int, classes: int = 1000) -> tuple[int, int]:
    """Weights and multiplications of the dense layers."""
    parameters = products = 0
    for units in (*_UNITS, classes):
        parameters += inputs * units + units
        products += inputs * units
        inputs = units
    return parameters, products
