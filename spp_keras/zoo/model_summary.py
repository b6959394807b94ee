"""What each network of the zoo costs, from its table alone."""

from typing import NamedTuple

from spp_keras.zoo import tables

_LEVELS = (6, 3, 2, 1)
_UNITS = (4096, 4096)


class Summary(NamedTuple):
    """A network at full width, with 1000 classes and the paper's 50 bins."""

    name: str
    title: str
    pyramid: bool
    parameters: int
    flops: int
    """Of one image of 224x224; a multiplication and an addition count as two."""
    stride: int
    map_180: int
    map_224: int
    min_size: int


def summarize_models() -> list[Summary]:
    """Every network of the zoo, those with a pyramid behind those without."""
    return [_summary(trunk, pyramid) for trunk in tables.TRUNKS for pyramid in (False, True)]


def _summary(trunk: tables.Trunk, pyramid: bool) -> Summary:
    conv_parameters, conv_products = _convolutions(trunk)
    bins = sum(n * n for n in _LEVELS) if pyramid else 6 * 6
    dense_parameters, dense_products = _dense(bins * trunk.channels)
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


def _convolutions(trunk: tables.Trunk) -> tuple[int, int]:
    channels, parameters, products = 3, 0, 0
    for row, grid in trunk.grids():
        if isinstance(row, tables.Conv):
            weights = row.kernel**2 * channels * row.filters
            parameters += weights + row.filters
            products += weights * grid.map_size(224) ** 2
            channels = row.filters
    return parameters, products


def _dense(inputs: int, classes: int = 1000) -> tuple[int, int]:
    parameters = products = 0
    for units in (*_UNITS, classes):
        parameters += inputs * units + units
        products += inputs * units
        inputs = units
    return parameters, products
