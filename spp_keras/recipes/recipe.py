"""The recipe of a classifier."""

import dataclasses

from spp_keras import _checks
from spp_keras.data import backgrounds
from spp_keras.recipes import fields
from spp_keras.zoo import backbones, networks, shipped_weights

SIZE_POLICIES = ("fixed", "alternating", "range", "warped", "whole", "native")
CROPS = ("corners", "random", "center")
ORIENTATIONS = ("exif", "file")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

# The same size for every image of a batch.
_SQUARE = ("fixed", "alternating", "range", "warped")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a training does, checked when it is made.

    Args:
        task: Always `"classification"`; tells recipe files apart. Defaults to
            `"classification"`.
        model: Name of a network of the zoo, or of `keras.applications` such as
            `"MobileNetV3Small"`. Defaults to `"zf5_spp"`.
        width: Factor on its filters and units, `alpha` of a network of `keras.applications`.
            Defaults to 1.
        levels: Pyramid levels; networks without a pyramid ignore them. Defaults to
            `(6, 3, 2, 1)`.
        mode: `"max"` or `"average"`, how the pyramid pools its bins. Defaults to `"max"`.
        units: Units of hidden dense layers behind the pyramid, for networks of
            `keras.applications`; those of the zoo have their own. Defaults to `()`, none.
        dropout: Dropout rate after each hidden dense layer. Defaults to 0.5.
        weights: A `.weights.h5` file to start from; or `"imagenet"` for weights trained on
            ImageNet, `"shapes"` for those trained on drawn images, where the network has them.
            Batch normalization then keeps its stored statistics. Defaults to `""`, random
            weights.
        freeze: Layers that are not trained, by their names or by beginnings of names
            such as `"conv"`. Defaults to `()`.
        data: Image folder, CSV file of labels, or name of a data set. Defaults to `"shapes"`.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `""`, its own place.
        train_split: Split to train on. Defaults to `""`, the data's own.
        validation_split: Split to validate on. Defaults to `""`, the data's own.
        size_policy: Image sizes in training. `"fixed"`: crops of one size.
            `"alternating"`: crops of the largest size, resized to the next size each
            epoch. `"range"`: the same, resized to a random size each epoch. `"warped"`:
            whole images, warped to a square. `"whole"`: whole images, scaled to one short
            side. `"native"`: whole images at their own size. Defaults to `"native"`.
        image_sizes: Side of the square crops: one for `"fixed"` and `"warped"`, two or
            more for `"alternating"`, smallest and largest for `"range"`, none otherwise.
            Defaults to `()`.
        short_side: Short side that images are scaled to, before a crop or for `"whole"`.
            Defaults to 256.
        crop: Position of crops: `"corners"`, randomly the center or one of the four
            corners of the whole image, as in the paper; `"random"`, anywhere; or
            `"center"`. Defaults to `"corners"`.
        flip: Whether to flip half of the images horizontally. Defaults to `True`.
        color_jitter: Standard deviation of the color shift along the principal axes of
            ImageNet's colors; 0 for none. Defaults to 0.1.
        longest_side: For `"whole"` and `"native"`: larger images are scaled down to this
            longest side; 0 for no limit. Defaults to 0.
        max_pixels: For `"whole"` and `"native"`: largest number of pixels of a batch,
            padding included; 0 for no limit. Defaults to 0.
        batch_size: Images in a batch, over all devices. Defaults to 128.
        epochs: Number of epochs. Defaults to 70.
        learning_rate: Initial learning rate of SGD. Defaults to 0.01.
        momentum: Momentum of SGD. Defaults to 0.9.
        weight_decay: Weight decay of SGD. Defaults to 5e-4.
        top_epochs: Epochs of the layers behind the pyramid alone, before the others: every
            image goes through the rest once, its vector is kept in memory. For networks that
            start from weights. Defaults to 0, none.
        trunk_multiplier: Factor on the learning rate of everything in front of the pyramid.
            Defaults to 1.
        num_lr_drops: How often the learning rate is divided by ten. Defaults to 2.
        patience: Epochs without improvement before the learning rate drops. Defaults to 5.
        early_stopping: Whether training ends before `epochs` once it has stopped learning: all
            drops of the learning rate are made, and `patience` more epochs gained nothing.
            Defaults to `False`.
        class_weight: `"balanced"` weighs images so that every class counts the same in
            training, however many images it has; `""` weighs all images the same. Defaults to
            `""`.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`. Defaults to
            `"float32"`.
        seed: Seed of weights, order, crops and colors. Defaults to 0.
        on_error: What to do about a damaged image: `"skip"` or `"fail"`. Defaults to
            `"skip"`.
        max_skipped_fraction: Fraction of the images that may be skipped. Defaults to 0.05.
        orientation: `"exif"` turns images as their EXIF orientation says, `"file"` leaves
            them as their pixels lie in the file. Exported models do the same. Defaults to
            `"exif"`.
        background: The color behind transparent images, a name or `"#rrggbb"`. Exported models
            have the same. Defaults to `"white"`.
        checkpoint_minutes: Minutes between checkpoints within an epoch. Defaults to 10.

    Example:

    >>> recipe = Recipe(size_policy="alternating", image_sizes=(224, 180))
    >>> recipe.learning_rate, recipe.levels
    (0.01, (6, 3, 2, 1))
    """

    task: str = "classification"
    model: str = "zf5_spp"
    width: float = 1.0
    levels: fields.Levels = (6, 3, 2, 1)
    mode: str = "max"
    units: tuple[int, ...] = ()
    dropout: float = 0.5
    weights: str = ""
    freeze: tuple[str, ...] = ()
    data: str = "shapes"
    data_dir: str = ""
    train_split: str = ""
    validation_split: str = ""
    size_policy: str = "native"
    image_sizes: tuple[int, ...] = ()
    short_side: int = 256
    crop: str = "corners"
    flip: bool = True
    color_jitter: float = 0.1
    longest_side: int = 0
    max_pixels: int = 0
    batch_size: int = 128
    epochs: int = 70
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    top_epochs: int = 0
    trunk_multiplier: float = 1.0
    num_lr_drops: int = 2
    patience: int = 5
    early_stopping: bool = False
    class_weight: str = ""
    precision: str = "float32"
    seed: int = 0
    on_error: str = "skip"
    max_skipped_fraction: float = 0.05
    orientation: str = "exif"
    background: str = backgrounds.WHITE
    checkpoint_minutes: float = 10.0

    def __post_init__(self) -> None:
        fields.standardize_fields(self)
        _check_values(self)
        _check_sizes(self)

    @property
    def has_pyramid(self) -> bool:
        """Whether the network has a spatial pyramid and so takes images of any size."""
        return networks.describe_network(self.model).has_pyramid

    @property
    def min_image_size(self) -> int:
        """Shortest side in pixels of an image that the network can map."""
        return networks.describe_network(self.model).min_size


def _check_values(recipe: Recipe) -> None:
    _check_network(recipe)
    _checks.one_of(recipe.task, ("classification",), "task")
    _checks.one_of(recipe.size_policy, SIZE_POLICIES, "size_policy")
    _checks.one_of(recipe.crop, CROPS, "crop")
    _checks.one_of(recipe.precision, PRECISIONS, "precision")
    _checks.one_of(recipe.class_weight, ("", "balanced"), "class_weight")
    _checks.one_of(recipe.on_error, ("skip", "fail"), "on_error")
    _checks.one_of(recipe.orientation, ORIENTATIONS, "orientation")
    backgrounds.parse_background(recipe.background)
    for name in ("batch_size", "epochs", "patience", "short_side"):
        _checks.at_least(getattr(recipe, name), 1, name)
    for name in ("top_epochs", "num_lr_drops", "seed", "longest_side", "max_pixels"):
        _checks.at_least(getattr(recipe, name), 0, name)
    for name in ("width", "learning_rate", "checkpoint_minutes"):
        _checks.positive(getattr(recipe, name), name)
    for name in ("dropout", "momentum", "max_skipped_fraction"):
        _checks.fraction(getattr(recipe, name), name)
    for name in ("color_jitter", "weight_decay", "trunk_multiplier"):
        _checks.not_negative(getattr(recipe, name), name)
    if recipe.seed >= 2**32:
        raise ValueError(f"`seed` must be below 2**32, as in NumPy. Received: seed={recipe.seed}.")
    if not recipe.data:
        raise ValueError("`data` must be a folder or the name of a data set. Received: data=''.")


def _check_network(recipe: Recipe) -> None:
    """Checks the keys that the network decides on."""
    network = networks.describe_network(recipe.model)
    _checks.one_of(recipe.mode, ("max", "average"), "mode")
    if recipe.units and not network.has_units:
        raise ValueError(
            f"`units` must be empty for {recipe.model}, which has its own dense layers. "
            f"Received: units={list(recipe.units)}."
        )
    for units in recipe.units:
        _checks.at_least(units, 1, "units")
    backbone = backbones.BACKBONES.get(recipe.model)
    if recipe.width != 1 and backbone is not None and not backbone.has_alpha:
        raise ValueError(
            f"`width` must be 1 for {recipe.model}, which has no such factor. "
            f"Received: width={recipe.width}."
        )
    if recipe.weights == "imagenet":
        if not network.has_weights:
            raise ValueError(
                f"`weights` must be a file or empty for {recipe.model}, of which there are no "
                "weights trained on ImageNet: `list_models(weights='imagenet')` lists networks "
                "that have them. Received: weights='imagenet'."
            )
    elif recipe.weights and not recipe.weights.endswith(".weights.h5"):
        names = shipped_weights.list_shipped_weights(recipe.model)
        if recipe.weights not in names:
            raise ValueError(
                "`weights` must be the path of a file ending in .weights.h5, "
                f"{', '.join(map(repr, ['imagenet', *names]))}, or empty. "
                f"Received: weights={recipe.weights!r}."
            )


def _check_sizes(recipe: Recipe) -> None:
    """Checks the keys that depend on the size policy."""
    policy, image_sizes, min_size = recipe.size_policy, recipe.image_sizes, recipe.min_image_size
    if not recipe.has_pyramid and policy not in ("fixed", "warped"):
        raise ValueError(
            f"`size_policy` must be 'fixed' or 'warped' for {recipe.model}, which takes images of "
            f"one size; {recipe.model}_spp takes any size. Received: size_policy={policy!r}."
        )
    _check_image_sizes(recipe)
    if policy not in ("native", "warped") and recipe.short_side < max(
        image_sizes, default=min_size
    ):
        reason = "a crop lies inside its image" if image_sizes else f"{recipe.model} can map images"
        raise ValueError(
            f"`short_side` must be at least {max(image_sizes, default=min_size)}, so that "
            f"{reason}. Received: short_side={recipe.short_side}."
        )
    for name in ("longest_side", "max_pixels"):
        if policy in _SQUARE and getattr(recipe, name):
            raise ValueError(
                f"`{name}` must be 0 for size_policy={policy!r}: it is for whole images, 'whole' "
                f"or 'native'. Received: {name}={getattr(recipe, name)}."
            )
    limit = recipe.short_side if policy == "whole" else min_size
    if 0 < recipe.longest_side < limit:
        reason = "short side" if policy == "whole" else f"smallest that {recipe.model} can map"
        raise ValueError(
            f"`longest_side` must be 0 or at least {limit}, the {reason}. "
            f"Received: longest_side={recipe.longest_side}."
        )


def _check_image_sizes(recipe: Recipe) -> None:
    sizes = recipe.image_sizes
    rules = {
        "fixed": ("one size, such as [224]", len(sizes) == 1),
        "alternating": ("two sizes or more, such as [224, 180]", len(sizes) >= 2),
        "warped": ("one size, such as [224]", len(sizes) == 1),
        "range": (
            "the smallest and the largest size, such as [180, 224]",
            len(sizes) == 2 and sizes[0] < sizes[-1],
        ),
        "whole": ("empty, as `short_side` gives the size", not sizes),
        "native": ("empty, as images keep their size", not sizes),
    }
    rule, is_valid = rules[recipe.size_policy]
    if not is_valid:
        raise ValueError(
            f"`image_sizes` must be {rule}, for size_policy={recipe.size_policy!r}. "
            f"Received: image_sizes={list(sizes)}."
        )
    if sizes and min(sizes) < recipe.min_image_size:
        raise ValueError(
            f"`image_sizes` must be at least {recipe.min_image_size}, the smallest that "
            f"{recipe.model} can map. Received: image_sizes={list(sizes)}."
        )
