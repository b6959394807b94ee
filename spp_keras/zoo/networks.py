"""What recipes know of a network by its name, and the classifier that they train.

The networks of the zoo and those of `keras.applications` on equal terms. Knowing them loads
neither TensorFlow nor Keras; building one does.
"""

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from spp_keras.zoo import backbones, registry, tables, weight_packages

if TYPE_CHECKING:
    import keras


class NetworkInfo(NamedTuple):
    """What is known of a network before it is built.

    Args:
        name: Its name.
        has_pyramid: Whether it has a spatial pyramid, and so takes images of any size.
        min_size: Pixels that the shorter side of an image needs.
        has_units: Whether its hidden dense layers can be chosen.
        has_weights: Whether there are weights trained on ImageNet.
    """

    name: str
    has_pyramid: bool
    min_size: int
    has_units: bool
    has_weights: bool


def list_networks() -> list[str]:
    """Names of all networks that recipes can train.

    Example:

    >>> "zf5_spp" in list_networks(), "MobileNetV3Small" in list_networks()
    (True, True)
    """
    return [*registry.list_models(), *backbones.list_backbones()]


def describe_network(name: str) -> NetworkInfo:
    """What is known of a network by its name.

    Args:
        name: Name from `list_networks`.

    Example:

    >>> describe_network("zf5_spp")
    NetworkInfo(name='zf5_spp', has_pyramid=True, min_size=29, has_units=False, has_weights=False)
    """
    if name in backbones.BACKBONES:
        min_size = backbones.find_backbone(name).min_size
        return NetworkInfo(name, True, min_size, has_units=True, has_weights=True)
    if name in weight_packages.PACKAGES:
        return NetworkInfo(name, True, 1, has_units=False, has_weights=True)
    if name in registry.NETWORKS:
        trunk, has_pyramid = tables.get_trunk(name), name.endswith("_spp")
        min_size = trunk.min_size
        if not has_pyramid:
            min_size = trunk.grid.min_pixels(trunk.last_pool.kernel)
        return NetworkInfo(name, has_pyramid, min_size, has_units=False, has_weights=False)
    near = difflib.get_close_matches(str(name), list_networks(), n=1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    raise ValueError(
        f"`model` must be a network of the zoo, {', '.join(registry.list_models())}, or of "
        f"`keras.applications`, such as MobileNetV3Small.{hint} Received: model={name!r}."
    )


def build_classifier(
    name: str,
    classes: int,
    *,
    image_size: int | None,
    weights: str | None,
    levels: Sequence[int | tuple[int, int]],
    mode: str,
    units: Sequence[int],
    width: float,
    dropout: float,
    classifier_activation: str,
    train_normalization: bool,
) -> "keras.Model":
    """A classifier on any network by its name, all of it trainable.

    Args:
        name: Name from `list_networks`.
        classes: Number of classes.
        image_size: Side of the images, for a network without a pyramid.
        weights: `"imagenet"`, the path of a `.weights.h5` file, or `None` for random weights.
        levels: Pyramid levels.
        mode: How the pyramid pools its bins, `"max"` or `"average"`.
        units: Units of the hidden dense layers, for a backbone.
        width: Factor on filters and units.
        dropout: Rate after each hidden dense layer.
        classifier_activation: Activation of the last layer.
        train_normalization: Whether batch normalization is trained, by the statistics of each
            batch.

    Example:

    >>> model = build_classifier(
    ...     "zf5_spp", 5, image_size=None, weights=None, levels=(2, 1), mode="max", units=(),
    ...     width=0.125, dropout=0.5, classifier_activation="softmax", train_normalization=True,
    ... )
    >>> model.output_shape
    (None, 5)
    """
    from spp_keras.zoo.backbone_classifier import spp_classifier

    info = describe_network(name)
    options: dict[str, Any] = {
        "weights": weights,
        "dropout": dropout,
        "classifier_activation": classifier_activation,
    }
    if not info.has_pyramid:
        return registry.create_model(
            name, classes=classes, input_shape=(image_size, image_size, 3), width=width, **options
        )
    options |= {"levels": levels, "mode": mode}
    if width != 1:
        options["alpha" if name in backbones.BACKBONES else "width"] = width
    return spp_classifier(
        name,
        classes,
        units=units,
        train_backbone=True,
        train_normalization=train_normalization,
        **options,
    )
