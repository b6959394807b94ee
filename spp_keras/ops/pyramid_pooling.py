"""Pooling of whole feature maps of any size: spatial pyramids and adaptive pooling."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from spp_keras import _checks, geometry
from spp_keras.ops import _canvases, _grid_pooling, _inputs

if keras.backend.backend() == "tensorflow":
    from spp_keras.ops import _cpu_max_pooling

Mode = Literal["max", "average"]
DataFormat = Literal["channels_last", "channels_first"]


def spatial_pyramid_pool(
    inputs: Any,
    levels: Sequence[int | tuple[int, int]] = (6, 3, 2, 1),
    mode: Mode = "max",
    sizes: Any = None,
    data_format: DataFormat | None = None,
) -> Any:
    """Spatial pyramid pooling: feature maps of any size to vectors of fixed length.

    The operation of the layer `SpatialPyramidPooling`, which describes bins and ties.

    Args:
        inputs: Feature maps `(batch, height, width, channels)` (channels first:
            `(batch, channels, height, width)`), or a `tf.RaggedTensor`
            `(batch, (height), (width), channels)`.
        levels: Sequence of ints, or of `(rows, columns)` pairs.
        mode: `"max"` or `"average"`.
        sizes: Integer tensor `(batch, 2)`, the valid rows and columns of each
            feature map of a padded batch; or `(images, 5)`, feature map, top, left, rows
            and columns of each image, where several lie on one. Defaults to all.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to
            `keras.config.image_data_format()`.

    Returns:
        `(batch, bins * channels)`, or a vector for each of the images: levels in the order
        given; inside a level row by row, inside a bin channel by channel.

    Example:

    >>> tuple(spatial_pyramid_pool(np.ones((1, 13, 9, 4)), levels=(2, 1)).shape)
    (1, 20)
    """
    levels = _checks.levels(levels)
    _checks.one_of(mode, ("max", "average"), "mode")
    features, sizes = _inputs.prepare_ragged_maps(inputs, sizes, data_format, "inputs")
    pool = _max_pyramid if mode == "max" else _average_pyramid
    return pool(features, levels, sizes)


def adaptive_max_pool(
    inputs: Any,
    output_size: int | tuple[int, int],
    sizes: Any = None,
    data_format: DataFormat | None = None,
) -> Any:
    """Adaptive max pooling: feature maps of any size to `rows x columns` bins.

    The bins, and so the answers, are those of `torch.nn.functional.adaptive_max_pool2d`
    and of `keras.ops.adaptive_max_pool`. Height and width may be unknown.

    Args:
        inputs: Feature maps, see `spatial_pyramid_pool`.
        output_size: Rows and columns, or an int for both.
        sizes: See `spatial_pyramid_pool`.
        data_format: See `spatial_pyramid_pool`.

    Returns:
        `(batch, rows, columns, channels)`, channels first
        `(batch, channels, rows, columns)`.

    Example:

    >>> tuple(adaptive_max_pool(np.ones((1, 13, 9, 4)), output_size=(2, 1)).shape)
    (1, 2, 1, 4)
    """
    return _adaptive_pool(inputs, output_size, "max", sizes, data_format)


def adaptive_average_pool(
    inputs: Any,
    output_size: int | tuple[int, int],
    sizes: Any = None,
    data_format: DataFormat | None = None,
) -> Any:
    """Adaptive average pooling: feature maps of any size to `rows x columns` bins.

    The bins, and so the answers, are those of `torch.nn.functional.adaptive_avg_pool2d`
    and of `keras.ops.adaptive_average_pool`. Height and width may be unknown.

    Args:
        inputs: Feature maps, see `spatial_pyramid_pool`.
        output_size: Rows and columns, or an int for both.
        sizes: See `spatial_pyramid_pool`.
        data_format: See `spatial_pyramid_pool`.

    Returns:
        `(batch, rows, columns, channels)`, channels first
        `(batch, channels, rows, columns)`.

    Example:

    >>> tuple(adaptive_average_pool(np.ones((1, 13, 9, 4)), output_size=1).shape)
    (1, 1, 1, 4)
    """
    return _adaptive_pool(inputs, output_size, "average", sizes, data_format)


def _adaptive_pool(
    inputs: Any, output_size: Any, mode: Mode, sizes: Any, data_format: DataFormat | None
) -> Any:
    data_format = _checks.data_format(data_format)
    rows, columns = _checks.size_pair(output_size, "output_size")
    vectors = spatial_pyramid_pool(inputs, ((rows, columns),), mode, sizes, data_format)
    grids = ops.reshape(vectors, (-1, rows, columns, vectors.shape[-1] // (rows * columns)))
    return ops.transpose(grids, (0, 3, 1, 2)) if data_format == "channels_first" else grids


def _max_pyramid(features: Any, levels: Sequence[geometry.Level], sizes: Any) -> Any:
    if keras.backend.backend() != "tensorflow":
        features, sizes = _separate_maps(features, sizes)
        return _grid_pooling.max_pyramid(features, levels, sizes)
    if _is_packed(sizes):
        return _cpu_max_pooling.packed_max_pyramid(features, levels, sizes)
    if _inputs.is_ragged(features):
        return _cpu_max_pooling.ragged_max_pyramid(features, levels, sizes)
    if sizes is not None:
        return _cpu_max_pooling.padded_max_pyramid(features, levels, sizes)
    return _cpu_max_pooling.max_pyramid(features, levels)


def _average_pyramid(features: Any, levels: Sequence[geometry.Level], sizes: Any) -> Any:
    if _inputs.is_ragged(features):
        features = features.to_tensor()
    else:
        features, sizes = _separate_maps(features, sizes)
    return _grid_pooling.average_pyramid(features, levels, sizes)


def _separate_maps(features: Any, sizes: Any) -> tuple[Any, Any]:
    """The map of each image as an item of its own, with zeros beyond its valid size."""
    if _is_packed(sizes):
        return _canvases.unpack(features, sizes)
    if sizes is not None:
        features = _grid_pooling.zero_padding(features, sizes)
    return features, sizes


def _is_packed(sizes: Any) -> bool:
    return sizes is not None and _canvases.is_packed(sizes)
