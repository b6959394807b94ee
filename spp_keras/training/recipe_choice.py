"""The recipe for images of a user's own, with a reason for each key that was chosen."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from spp_keras import recipes
from spp_keras.data.image_rules import ImageLimits
from spp_keras.data.records import Records
from spp_keras.training import recipe_pipelines
from spp_keras.training.data_warnings import MIN_STEPS, list_data_warnings
from spp_keras.zoo import networks, registry, weight_packages

_PRETRAINED, _UNTRAINED = "efficientnet_lite0", "zf5_spp"
# Weights by which a network of the paper is trained in full.
_MANY_IMAGES = 50_000
_BATCH_SIZES = (32, 16, 8)
_GIVEN = "given"
_DATA_KEYS = (
    *("data", "data_dir", "train_split", "validation_split"),
    *("on_error", "max_skipped_fraction", "orientation"),
)

_Keys = dict[str, tuple[Any, str]]


class RecipeChoice(NamedTuple):
    """A recipe that suits some images.

    Args:
        recipe: The recipe.
        reasons: Why keys have their values, by their names; the others have their defaults.
        warnings: What the images lack, a sentence each.
    """

    recipe: recipes.Recipe
    reasons: dict[str, str]
    warnings: tuple[str, ...]


def choose_recipe(
    training: Records, validation: Records, model: str | None = None, **overrides: Any
) -> RecipeChoice:
    """Chooses a recipe by the number and the sizes of images.

    Without a `model`, a small network with ImageNet weights is fine-tuned where the package of
    its weights is installed; otherwise a quarter of ZF-5 is trained. Images stay whole, if the
    network has a pyramid.

    Args:
        training: Images to train on, see `load_records`.
        validation: Images to validate on.
        model: Name of a network, see `spp_keras.zoo.networks.list_networks`. Defaults to
            `None`, chosen.
        **overrides: Values for keys of the recipe, such as `data` and `epochs`.

    Returns:
        A `RecipeChoice`.

    Example:

    >>> import tempfile
    >>> from spp_keras import data
    >>> folder = tempfile.mkdtemp()
    >>> parts = [data.load_records("shapes/tiny", part, folder) for part in ("train", "test")]
    >>> choice = choose_recipe(*parts, "zf5_spp", data="shapes/tiny")
    >>> choice.recipe.size_policy, choice.recipe.batch_size
    ('native', 16)
    """
    keys, model = _choose_network(model)
    info = networks.describe_network(model)
    batch_size = next(
        (size for size in _BATCH_SIZES if len(training) >= MIN_STEPS * size), _BATCH_SIZES[-1]
    )
    keys["batch_size"] = (batch_size, _explain_batch_size(batch_size, len(training)))
    steps = -(-len(training) // batch_size)
    if info.has_weights:
        keys |= _choose_fine_tuning(steps, info)
    else:
        keys |= _choose_training(training, steps, info)
    keys |= _choose_class_weight(training)
    keys["flip"] = (True, "mirror images of photographs are photographs")
    values = {key: value for key, (value, _) in keys.items()}
    values = recipes.override_keys({"model": model, **values}, overrides)
    recipe = recipes.Recipe(**values)
    reasons = {key: reason for key, (_, reason) in keys.items() if key in values}
    reasons |= dict.fromkeys(overrides, _GIVEN)
    warnings = list_data_warnings(training, validation, recipe.batch_size)
    return RecipeChoice(recipe, reasons, tuple(warnings))


def choose_recipe_for_data(model: str | None = None, **overrides: Any) -> RecipeChoice:
    """Chooses a recipe for the images of a folder or data set.

    Args:
        model: Name of a network. Defaults to `None`, chosen.
        **overrides: Values for keys of the recipe, `data` among them.
    """
    keys = {key: overrides[key] for key in _DATA_KEYS if key in overrides}
    images = recipe_pipelines.load_recipe_records(recipes.Recipe(**keys))
    return choose_recipe(*images, model, **overrides)


def _choose_network(model: str | None) -> tuple[_Keys, str]:
    if model is not None:
        return {"model": (model, _GIVEN)}, model
    if weight_packages.is_installed(_PRETRAINED):
        reason = "the smallest network whose ImageNet weights are installed"
        return {"model": (_PRETRAINED, reason)}, _PRETRAINED
    reason = "no package of ImageNet weights is installed; the extra `weights` has one"
    return {"model": (_UNTRAINED, reason)}, _UNTRAINED


def _explain_batch_size(batch_size: int, images: int) -> str:
    if batch_size == _BATCH_SIZES[0]:
        return f"{-(-images // batch_size)} steps an epoch"
    return f"fewer than usual, for {-(-images // batch_size)} steps an epoch"


def _choose_fine_tuning(steps: int, info: networks.NetworkInfo) -> _Keys:
    """Frozen features first, then the whole network by small steps."""
    return {
        "weights": ("imagenet", "photographs have much in common with ImageNet's"),
        "levels": ((2, 1), "five bins: where in the image, roughly, and the whole"),
        "mode": ("average", "as the network was trained"),
        "size_policy": ("whole", "whole images at their own aspect ratio"),
        "short_side": (192, "the scale at which these weights know objects"),
        "longest_side": _limit_longest_side(192, info.min_size),
        "max_pixels": (2_000_000, "in a batch: about 3 GB of memory"),
        "color_jitter": (0.0, "colors tell classes apart"),
        "top_epochs": (30, "of the dense layer alone, on vectors computed once, at most"),
        "epochs": (_count_epochs(steps, 1500, 4, 12), "of the whole network, at most"),
        "early_stopping": (True, "ends when it has stopped learning"),
        "learning_rate": (0.01, "for the dense layer,"),
        "trunk_multiplier": (0.1, "a tenth of it for the others"),
        "weight_decay": (1e-4, "as such networks are trained"),
        "num_lr_drops": (1, "to a tenth, when the validation accuracy stands still"),
        "patience": (3, "epochs of that"),
    }


def _choose_training(training: Records, steps: int, info: networks.NetworkInfo) -> _Keys:
    """A network from random weights."""
    keys: _Keys = {}
    if info.name in registry.NETWORKS and len(training) < _MANY_IMAGES:
        keys["width"] = (0.25, f"a quarter of its filters, for fewer than {_MANY_IMAGES:,} images")
    if not info.has_pyramid:
        keys["size_policy"] = ("fixed", f"{info.name} takes images of one size")
        keys["image_sizes"] = ((224,), "its size")
        keys["short_side"] = (256, "the paper's; crops are cut from it")
        keys["crop"] = ("random", "anywhere in the image")
    else:
        keys |= _choose_size(training.sizes, info.min_size)
    return keys | {
        "color_jitter": (0.0, "colors tell classes apart"),
        "dropout": (0.5, "few images, many weights"),
        "epochs": (_count_epochs(steps, 6000, 20, 100), "at most"),
        "early_stopping": (True, "ends when it has stopped learning"),
        "learning_rate": (0.01, "the paper's"),
        "weight_decay": (5e-4, "the paper's"),
        "num_lr_drops": (2, "the paper's, when the validation accuracy stands still"),
        "patience": (6, "epochs of that"),
    }


def _choose_size(sizes: np.ndarray, min_size: int) -> _Keys:
    """Own sizes, scaled down where that saves most of the time; enlarged where they must be."""
    longest_side = max(256, 2 * min_size)
    scale = np.minimum(1, longest_side / sizes.max(axis=1))
    if np.mean(sizes.min(axis=1) * scale < min_size) > 0.01:
        short_side = -(-max(min_size, 64) // 32) * 32
        return {
            "size_policy": ("whole", "whole images at their own aspect ratio, scaled, as some are"),
            "short_side": (short_side, f"below the {min_size} pixels that the network needs"),
            "longest_side": _limit_longest_side(short_side, min_size),
            "max_pixels": (2_000_000, "in a batch, for its memory"),
        }
    return {
        "size_policy": ("native", "whole images at their own size and aspect ratio,"),
        "longest_side": (longest_side, "scaled down to this longest side, to save time"),
        "max_pixels": (2_000_000, "in a batch, for its memory"),
    }


def _limit_longest_side(short_side: int, min_size: int) -> tuple[int, str]:
    """A limit under which no image becomes narrower than the network maps."""
    limit = max(3 * short_side, round(ImageLimits().max_aspect) * min_size)
    return limit, f"longer ones, above {limit / short_side:.2g}:1, are scaled down"


def _choose_class_weight(training: Records) -> _Keys:
    if training.multi_label:
        return {}
    counts = np.bincount(training.labels, minlength=len(training.classes))
    smallest, largest = int(counts.min()), int(counts.max())
    if largest < 3 * max(smallest, 1):
        return {}
    return {"class_weight": ("balanced", f"classes have {smallest} to {largest} images")}


def _count_epochs(steps: int, total_steps: int, min_epochs: int, max_epochs: int) -> int:
    return int(np.clip(round(total_steps / steps), min_epochs, max_epochs))


def format_choice(
    recipe: recipes.Recipe, reasons: Mapping[str, str], warnings: Sequence[str]
) -> str:
    """The chosen keys with their reasons, and the warnings, for people.

    Args:
        recipe: See `RecipeChoice`, as the others.
        reasons: Why keys have their values.
        warnings: What the images lack.
    """
    lines = recipes.recipe_to_toml(recipe, reasons).splitlines()
    chosen = [line for line in lines if line.partition(" = ")[0] in reasons]
    return "\n".join([*chosen, *(f"Warning: {warning}" for warning in warnings)])
