"""The networks of the paper, with and without a pyramid, as Keras functional models."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras

from spp_keras import _checks, geometry
from spp_keras.layers import (
    LocalResponseNormalization,
    MaskPadding,
    PadRagged,
    PerImage,
    SpatialPyramidPooling,
)
from spp_keras.zoo import tables
from spp_keras.zoo import weights as weight_files
from spp_keras.zoo.image_model import ImageModel

Levels = Sequence[int | tuple[int, int]]

# Pixels 0..255 to -1..1. Like the released networks it subtracts one number from
# every channel; they did not scale, their first convolution's weights did.
_MIDDLE = 128


def _spp_network(trunk: tables.Trunk) -> Callable[..., keras.Model]:
    """The builder of a network with a pyramid."""

    def build(
        *,
        include_top: bool = True,
        weights: str | None = None,
        input_shape: tuple[int | None, int | None, int] | None = None,
        pooling: Literal["avg", "max", "spp"] | None = None,
        classes: int = 1000,
        classifier_activation: str | None = "softmax",
        levels: Levels = (6, 3, 2, 1),
        dropout: float = 0.5,
        width: float = 1.0,
        name: str = f"{trunk.name}_spp",
    ) -> keras.Model:
        _check_options(include_top, pooling, ("avg", "max", "spp"), classes)
        shape = _checks.image_shape(input_shape or (None, None, 3), trunk.min_size)
        images = _any_size_input(shape)
        maps, cells = _mixed_size_trunk(images, trunk, width)
        if include_top:
            pooled = SpatialPyramidPooling(levels, data_format="channels_last", name="spp")
            outputs = _top(
                pooled(maps, sizes=cells),
                first=1 + sum(isinstance(row, tables.Conv) for row in trunk.rows),
                units=(_scaled(4096, width),) * 2,
                dropout=dropout,
                classes=classes,
                activation=classifier_activation,
            )
        elif pooling is None:
            outputs = maps
        else:
            outputs = _pool(maps, cells, pooling, levels)
        return _finish(images, outputs, name, weights)

    return _named(build, f"{trunk.name}_spp", trunk, _SPP_DOCUMENTATION)


def _fixed_network(trunk: tables.Trunk) -> Callable[..., keras.Model]:
    """The builder of a network without a pyramid."""

    def build(
        *,
        include_top: bool = True,
        weights: str | None = None,
        input_shape: tuple[int | None, int | None, int] | None = None,
        pooling: Literal["avg", "max"] | None = None,
        classes: int = 1000,
        classifier_activation: str | None = "softmax",
        dropout: float = 0.5,
        width: float = 1.0,
        name: str = trunk.name,
    ) -> keras.Model:
        _check_options(include_top, pooling, ("avg", "max"), classes)
        if not include_top:
            shape = _checks.image_shape(input_shape or (None, None, 3), trunk.min_size)
            images = _any_size_input(shape)
            maps, cells = _mixed_size_trunk(images, trunk, width)
            outputs = maps if pooling is None else _pool(maps, cells, pooling, ())
            return _finish(images, outputs, name, weights)

        least = trunk.grid.min_pixels(trunk.last_pool.kernel)
        shape = _checks.image_shape(input_shape or (224, 224, 3), least)
        if None in shape:
            raise ValueError(
                f"`input_shape` of {trunk.name} must state height and width, since its first dense "
                f"layer fits one size alone: give a size, or take {trunk.name}_spp, which takes "
                f"any. Received: input_shape={input_shape}."
            )
        images = keras.Input(shape, name="images")
        x = _trunk(_preprocess(images), trunk, width, sizes=None)
        kernel, stride = trunk.last_pool
        x = keras.layers.MaxPooling2D(
            kernel, stride, data_format="channels_last", name="last_pool"
        )(x)
        outputs = _top(
            keras.layers.Flatten(data_format="channels_last", name="flatten")(x),
            first=1 + sum(isinstance(row, tables.Conv) for row in trunk.rows),
            units=(_scaled(4096, width),) * 2,
            dropout=dropout,
            classes=classes,
            activation=classifier_activation,
        )
        return _finish(images, outputs, name, weights)

    return _named(build, trunk.name, trunk, _FIXED_DOCUMENTATION)


def spp_classifier(
    backbone: keras.Model,
    classes: int,
    *,
    levels: Levels = (6, 3, 2, 1),
    units: Sequence[int] = (4096, 4096),
    dropout: float = 0.5,
    classifier_activation: str | None = "softmax",
    train_backbone: bool = False,
    name: str | None = None,
) -> keras.Model:
    """The top of the zoo's SPP networks on any convolutional Keras model.

    Takes images of any size, in every form of `ImageModel`, and answers for each
    as if it were alone: batches of mixed sizes go through the backbone one
    image at a time, see `spp_keras.layers.PerImage`. The backbone runs in
    inference mode, so that batch normalization keeps its stored statistics.

    Args:
        backbone: `keras.Model` built for any height and width, from images to
            one feature map: `keras.applications` with `include_top=False` and
            `input_shape=(None, None, 3)`, keras-hub backbones with
            `(None, None, 3)` likewise. It gets the pixels as they come: put
            the preprocessing it needs into it.
        classes: Number of classes.
        levels: Pyramid levels. Defaults to the paper's `(6, 3, 2, 1)`.
        units: Sizes of the dense layers before the last. A wide backbone has
            many channels in each of the 50 bins: `()` puts the classifier right
            on the pyramid. Defaults to the paper's `(4096, 4096)`.
        dropout: Rate after each of them. Defaults to 0.5.
        classifier_activation: Activation of the last layer; `None` for logits.
            Defaults to `"softmax"`.
        train_backbone: Whether to fine-tune the backbone. Sets its `trainable`.
            Defaults to `False`.
        name: Name of the model. Defaults to that of the backbone and `"_spp"`.

    Returns:
        An `ImageModel`, a functional `keras.Model` from images to class scores.

    Example:

    >>> backbone = keras.applications.MobileNetV2(
    ...     input_shape=(None, None, 3), include_top=False, weights=None, alpha=0.35
    ... )
    >>> model = spp_classifier(backbone, 10, levels=(2, 1), units=())
    >>> tuple(model(np.zeros((1, 64, 80, 3), "float32")).shape)
    (1, 10)
    """
    channels = _check_backbone(backbone)
    _checks.at_least(classes, 1, "classes")
    backbone.trainable = train_backbone
    images = _any_size_input((None, None, channels))
    x, sizes = PadRagged(name="mixed_sizes")(images)
    pooling = SpatialPyramidPooling(levels, data_format="channels_last", name="spp")
    x = PerImage(backbone, pooling, name="backbone")(x, sizes=sizes)
    outputs = _top(x, 1, tuple(units), dropout, classes, classifier_activation)
    return _finish(images, outputs, name or f"{backbone.name}_spp", None)


def _any_size_input(shape: tuple[int | None, ...]) -> Any:
    ragged = keras.backend.backend() == "tensorflow"
    return keras.Input(shape, name="images", **({"ragged": True} if ragged else {}))


def _mixed_size_trunk(images: Any, trunk: tables.Trunk, width: float) -> tuple[Any, Any]:
    x, sizes = PadRagged(trunk.min_size, name="mixed_sizes")(images)
    x = _trunk(_preprocess(x), trunk, width, sizes)
    return MaskPadding(*trunk.grid, name="valid_cells")(x, sizes=sizes)


def _preprocess(images: Any) -> Any:
    return keras.layers.Rescaling(1 / _MIDDLE, offset=-1.0, name="preprocessing")(images)


def _trunk(x: Any, trunk: tables.Trunk, width: float, sizes: Any) -> Any:
    """The rows of a table as layers, each preceded by what keeps mixed sizes exact."""
    number, grid = 0, geometry.CellGrid()
    for row, grid_after in trunk.grids():
        number += isinstance(row, tables.Conv)
        pads = isinstance(row, tables.Norm) and row.region == "within"
        pads = pads or (isinstance(row, tables.Conv) and row.padding > 0)
        if pads and sizes is not None:
            kind = "conv" if isinstance(row, tables.Conv) else "norm"
            x, _ = MaskPadding(*grid, name=f"valid_before_{kind}{number}")(x, sizes=sizes)
        if isinstance(row, tables.Conv):
            if row.padding:
                x = keras.layers.ZeroPadding2D(
                    row.padding, data_format="channels_last", name=f"pad{number}"
                )(x)
            x = keras.layers.Conv2D(
                _scaled(row.filters, width),
                row.kernel,
                row.stride,
                activation="relu",
                data_format="channels_last",
                kernel_initializer="he_normal",
                name=f"conv{number}",
            )(x)
        elif isinstance(row, tables.Norm):
            x = LocalResponseNormalization(
                row.region, row.size, alpha=row.alpha, bias=row.bias, name=f"norm{number}"
            )(x)
        else:
            x = keras.layers.MaxPooling2D(
                row.kernel, row.stride, data_format="channels_last", name=f"pool{number}"
            )(x)
        grid = grid_after
    return x


def _pool(maps: Any, cells: Any, pooling: str, levels: Levels) -> Any:
    if pooling == "spp":
        return SpatialPyramidPooling(levels, data_format="channels_last", name="spp")(
            maps, sizes=cells
        )
    mode: Literal["max", "average"] = "max" if pooling == "max" else "average"
    layer = SpatialPyramidPooling((1,), mode, data_format="channels_last", name=f"{pooling}_pool")
    return layer(maps, sizes=cells)


def _top(
    x: Any,
    first: int,
    units: Sequence[int],
    dropout: float,
    classes: int,
    activation: str | None,
) -> Any:
    dropout = _checks.fraction(dropout, "dropout")
    for number, size in enumerate(units, start=first):
        x = keras.layers.Dense(
            size, activation="relu", kernel_initializer="he_normal", name=f"fc{number}"
        )(x)
        x = keras.layers.Dropout(dropout, name=f"drop{number}")(x)
    # Scores in float32: a softmax in half precision has two or three digits.
    return keras.layers.Dense(
        classes,
        activation=activation,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype="float32",
        name="predictions",
    )(x)


def _finish(images: Any, outputs: Any, name: str, weights: str | None) -> keras.Model:
    model = ImageModel(images, outputs, name=name)
    if weights is not None:
        weight_files.load_weights(model, weights)
    return model


def _scaled(count: int, width: float) -> int:
    return max(1, round(count * _checks.positive(width, "width")))


def _check_options(include_top: bool, pooling: Any, choices: Sequence[str], classes: int) -> None:
    _checks.one_of(pooling, (None, *choices), "pooling")
    _checks.at_least(classes, 1, "classes")
    if include_top and pooling is not None:
        raise ValueError(
            "`pooling` is for `include_top=False`; the top has its own. "
            f"Received: pooling={pooling!r} with include_top=True."
        )


def _check_backbone(backbone: Any) -> int:
    needed = (
        "`backbone` must be a built `keras.Model` from images (batch, None, None, channels) to one "
        "feature map (batch, rows, columns, channels), for instance one of `keras.applications` "
        "with include_top=False and input_shape=(None, None, 3)."
    )
    if not isinstance(backbone, keras.Model) or len(getattr(backbone, "inputs", None) or ()) != 1:
        raise ValueError(f"{needed} Received: backbone={backbone!r}.")
    (images,), maps = backbone.inputs, keras.tree.flatten(backbone.outputs)
    fits = len(images.shape) == 4 and images.shape[1] is None and images.shape[2] is None
    if not fits or len(maps) != 1 or len(maps[0].shape) != 4 or maps[0].shape[-1] is None:
        shapes = [tuple(tensor.shape) for tensor in maps]
        raise ValueError(
            f"{needed} Received: {backbone.name!r} from {tuple(images.shape)} to {shapes}."
        )
    return images.shape[-1]


def _named(
    build: Callable[..., keras.Model], name: str, trunk: tables.Trunk, documentation: str
) -> Callable[..., keras.Model]:
    build.__name__ = build.__qualname__ = name
    build.__doc__ = documentation.format(name=name, title=trunk.title, least=trunk.min_size)
    return build


_SPP_DOCUMENTATION = """{title} with spatial pyramid pooling: images of any size, at their own size.

    Takes a tensor `(batch, height, width, 3)` of any size, a `tf.RaggedTensor` of
    images that each have their own, or padded images with their sizes,
    `{{"images": ..., "sizes": (batch, 2)}}`: see `ImageModel`. Raw RGB values 0..255.
    An image's answer does not depend on the others in its batch.

    Args:
        include_top: Whether to have the dense layers. Defaults to `True`.
        weights: Path of a file that `model.save_weights` wrote, or `None` for
            random ones. From a file with another number of classes all but
            `predictions` is loaded, and without top only the convolutions.
            Defaults to `None`.
        input_shape: `(height, width, channels)`, height and width `None` or at
            least {least}. Defaults to `(None, None, 3)`.
        pooling: Without top: `None` for the feature map, zero beyond each image's
            own part; `"avg"` or `"max"` over the image; `"spp"` for the pyramid.
            Defaults to `None`.
        classes: Number of classes. Defaults to 1000.
        classifier_activation: Activation of the last layer; `None` for logits.
            Defaults to `"softmax"`.
        levels: Pyramid levels. Defaults to the paper's `(6, 3, 2, 1)`.
        dropout: Rate after each hidden dense layer. Defaults to 0.5.
        width: Factor on filters and units, for small machines. Defaults to 1.
        name: Name of the model. Defaults to `"{name}"`.

    Returns:
        An `ImageModel`, a functional `keras.Model`.

    Example:

    >>> model = {name}(classes=10, width=0.125)
    >>> tuple(model(np.zeros((1, 180, 224, 3), "float32")).shape)
    (1, 10)
    """

_FIXED_DOCUMENTATION = """{title} without a pyramid: images of one size.

    Takes a tensor `(batch, height, width, 3)` of the size it was built for, raw
    RGB values 0..255. Without top it takes any size, as `{name}_spp` does.

    Args:
        include_top: Whether to have the dense layers. Defaults to `True`.
        weights: Path of a file that `model.save_weights` wrote, or `None` for
            random ones. From a file with another number of classes all but
            `predictions` is loaded, and without top only the convolutions.
            Defaults to `None`.
        input_shape: `(height, width, channels)`. Defaults to `(224, 224, 3)`, and
            to `(None, None, 3)` without top.
        pooling: Without top: `None` for the feature map, `"avg"` or `"max"` over
            the image. Defaults to `None`.
        classes: Number of classes. Defaults to 1000.
        classifier_activation: Activation of the last layer; `None` for logits.
            Defaults to `"softmax"`.
        dropout: Rate after each hidden dense layer. Defaults to 0.5.
        width: Factor on filters and units, for small machines. Defaults to 1.
        name: Name of the model. Defaults to `"{name}"`.

    Returns:
        An `ImageModel`, a functional `keras.Model`.

    Example:

    >>> model = {name}(classes=10, width=0.125)
    >>> tuple(model(np.zeros((1, 224, 224, 3), "float32")).shape)
    (1, 10)
    """

zf5 = _fixed_network(tables.ZF5)
zf5_spp = _spp_network(tables.ZF5)
alexnet5 = _fixed_network(tables.ALEXNET5)
alexnet5_spp = _spp_network(tables.ALEXNET5)
overfeat5 = _fixed_network(tables.OVERFEAT5)
overfeat5_spp = _spp_network(tables.OVERFEAT5)
overfeat7 = _fixed_network(tables.OVERFEAT7)
overfeat7_spp = _spp_network(tables.OVERFEAT7)
