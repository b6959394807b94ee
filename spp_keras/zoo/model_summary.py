"""Parameters, operations and map sizes of each network, computed from its table."""

from collections.abc import Sequence
from typing import NamedTuple

from spp_keras.zoo import efficientnet_lite_tables, layer_rows, tables, weight_packages

_LEVELS = (6, 3, 2, 1)
_UNITS = (4096, 4096)


class Summary(NamedTuple):
    """A network at full width, with 1000 classes and the pyramid that it has by default.

    Args:
        name: Name of the network.
        title: Name in its paper.
        pyramid: Whether it has a pyramid.
        parameters: Number of weights.
        flops: Operations for an image of 224x224; a multiplication and an addition are two.
        stride: Stride of the last feature map, in pixels.
        map_180: Height and width of the last feature map of an image of 180x180.
        map_224: Height and width of the last feature map of an image of 224x224.
        min_size: Pixels that the shorter side of an image needs.
        weights: `"imagenet"` where there are weights trained on ImageNet, or `None`.
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
    weights: str | None


def summarize_models() -> list[Summary]:
    """The summary of every network: the paper's, without and with a pyramid, then the others."""
    summaries = [_summarize(trunk, pyramid) for trunk in tables.TRUNKS for pyramid in (False, True)]
    return summaries + [_summarize_lite(variant) for variant in efficientnet_lite_tables.VARIANTS]


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
        weights=None,
    )


def _summarize_lite(variant: efficientnet_lite_tables.Variant) -> Summary:
    parameters, products, side = 0, 0, 224

    def add(kernel: int, weights: int, filters: int) -> None:
        """Adds a convolution and its normalization, with four weights a filter."""
        nonlocal parameters, products
        parameters += kernel**2 * weights + 4 * filters
        products += kernel**2 * weights * side**2

    side = _halve(side)
    channels = efficientnet_lite_tables.STEM_FILTERS
    add(3, 3 * channels, channels)
    for block in efficientnet_lite_tables.list_blocks(variant):
        expanded = channels * block.expansion
        if block.expansion > 1:
            add(1, channels * expanded, expanded)
        side = _halve(side) if block.stride == 2 else side
        add(block.kernel, expanded, expanded)
        add(1, expanded * block.filters, block.filters)
        channels = block.filters
    top_filters = efficientnet_lite_tables.TOP_FILTERS
    add(1, channels * top_filters, top_filters)
    dense_parameters, dense_products = _count_dense(top_filters, units=())
    return Summary(
        name=variant.name,
        title=variant.title,
        pyramid=True,
        parameters=parameters + dense_parameters,
        flops=2 * (products + dense_products),
        stride=32,
        map_180=_halve(180, times=5),
        map_224=side,
        min_size=1,
        weights="imagenet" if variant.name in weight_packages.PACKAGES else None,
    )


def _halve(side: int, times: int = 1) -> int:
    """The side of a map behind layers of stride 2 with "same" padding."""
    return -(-side // 2**times)


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


def _count_dense(
    inputs: int, units: Sequence[int] = _UNITS, classes: int = 1000
) -> tuple[int, int]:
    """Weights and multiplications of the dense layers."""
    parameters = products = 0
    for outputs in (*units, classes):
        parameters += inputs * outputs + outputs
        products += inputs * outputs
        inputs = outputs
    return parameters, products
