"""Training recipes: flat TOML files, checked key by key before anything is loaded."""

import dataclasses
import difflib
import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spp_keras import _checks
from spp_keras.zoo import tables

SIZE_POLICIES = ("fixed", "alternating", "range", "warped", "whole", "native")
CROPS = ("corners", "random", "center")
ORIENTATIONS = ("exif", "file")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
MODELS = tuple(f"{trunk.name}{ending}" for trunk in tables.TRUNKS for ending in ("", "_spp"))

# The same size for every image of a batch.
_SQUARE = ("fixed", "alternating", "range", "warped")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a training does, checked when it is made.

    Args:
        model: Name of a network of the zoo. Defaults to `"zf5_spp"`.
        width: Factor on its filters and units. Defaults to 1.
        levels: Pyramid levels; networks without pyramid have none and ignore
            them. Defaults to `(6, 3, 2, 1)`.
        dropout: Rate after each hidden dense layer. Defaults to 0.5.
        weights: Path of a `.weights.h5` file to start from. Defaults to `""`,
            random ones.
        freeze: Names of layers, or beginnings of names such as `"conv"`, that
            are not trained. Defaults to `()`.
        data: A folder, or a data set's name. Defaults to `"shapes"`.
        data_dir: Where named data sets lie. Defaults to `""`, their own place.
        train_split: Part of the data to learn from. Defaults to `""`, the
            data's own.
        validation_split: Part of the data to measure on, likewise.
        size_policy: What sizes the network sees. `"fixed"`: crops of one size.
            `"alternating"`: crops of the greatest size, scaled to the next one
            each epoch. `"range"`: likewise, scaled to a size drawn each epoch.
            `"warped"`: whole images, squeezed into one square. `"whole"`: whole
            images, scaled to one short side. `"native"`: whole images at their
            own size. Defaults to `"native"`.
        image_sizes: Sides of the squares: one for `"fixed"` and `"warped"`, two
            or more for `"alternating"`, least and greatest for `"range"`, else
            none. Defaults to `()`.
        short_side: Short side that images are scaled to, before a crop or for
            `"whole"`. Defaults to 256.
        crop: Where crops lie: `"corners"`, at random in the center or one of
            the four corners of the whole image, as in the paper; `"random"`,
            anywhere; `"center"`. Defaults to `"corners"`.
        flip: Whether to mirror half of the images. Defaults to `True`.
        color_jitter: Standard deviation of the change of color along its principal
            axes; 0 for none. Defaults to 0.1.
        longest_side: For `"whole"` and `"native"`, images with a longer side
            are scaled down to it; 0 for no limit. Defaults to 0.
        batch_pixels: For `"whole"` and `"native"`, how many pixels a batch may
            have with its padding; 0 for no limit. Defaults to 0.
        batch_size: Images in a batch, over all devices. Defaults to 128.
        epochs: How often all images are seen. Defaults to 70.
        learning_rate: Of SGD, at the start. Defaults to 0.01.
        momentum: Of SGD. Defaults to 0.9.
        weight_decay: Of SGD. Defaults to 5e-4.
        num_lr_drops: How often the learning rate is divided by ten. Defaults to 2.
        patience: Epochs without improvement before a drop. Defaults to 5.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
            Defaults to `"float32"`.
        seed: Of weights, order, crops and colors. Defaults to 0.
        on_error: What a broken image does: `"skip"` or `"fail"`. Defaults to
            `"skip"`.
        max_skipped_fraction: Share of images that may be skipped. Defaults to 0.05.
        orientation: Which way up images are taken: `"exif"`, turned as their EXIF
            orientation says, or `"file"`, as their pixels lie in the file. What is made of
            the run takes them likewise. Defaults to `"exif"`.
        checkpoint_minutes: Time between checkpoints, in the middle of an epoch
            too. Defaults to 10.

    Example:

    >>> recipe = Recipe(size_policy="alternating", image_sizes=(224, 180))
    >>> recipe.learning_rate, recipe.levels
    (0.01, (6, 3, 2, 1))
    """

    model: str = "zf5_spp"
    width: float = 1.0
    levels: tuple[int | tuple[int, int], ...] = (6, 3, 2, 1)
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
    batch_pixels: int = 0
    batch_size: int = 128
    epochs: int = 70
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    num_lr_drops: int = 2
    patience: int = 5
    precision: str = "float32"
    seed: int = 0
    on_error: str = "skip"
    max_skipped_fraction: float = 0.05
    orientation: str = "exif"
    checkpoint_minutes: float = 10.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _typed(getattr(self, field.name), field)
            object.__setattr__(self, field.name, value)
        _check_values(self)
        _check_sizes(self)


def read_recipe(path: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """A recipe from a file or from the zoo, with single keys set anew.

    Args:
        path: Path of a TOML file, or a name from `names()`.
        settings: `"key=value"` each, the value as in TOML; what is not TOML is
            taken as a string. Defaults to `()`.

    Returns:
        A `Recipe`.

    Example:

    >>> recipe = read_recipe("zf5_spp", settings=["batch_size=32", "data=photographs"])
    >>> recipe.batch_size, recipe.data, recipe.epochs
    (32, 'photographs', 70)
    """
    file = _find(path)
    try:
        keys = tomllib.loads(file.read_text(encoding="utf-8"))
        keys |= dict(map(_setting, settings))
        _check_keys(keys)
        return Recipe(**keys)
    except ValueError as error:
        source = ", with ".join([str(file), *settings])
        raise ValueError(f"{error} Read from {source}.") from error


def recipe_to_toml(recipe: Recipe) -> str:
    """The recipe as TOML, every key on its line, which `read_recipe` makes the same recipe of.

    Example:

    >>> print(recipe_to_toml(Recipe(epochs=2)).splitlines()[19])
    epochs = 2
    """
    return "".join(f"{key} = {_toml(value)}\n" for key, value in vars(recipe).items())


def list_recipes() -> list[str]:
    """Recipes of the zoo: that of each network, and others as `network/recipe`.

    Example:

    >>> list_recipes()[:2]
    ['alexnet5', 'alexnet5_spp']
    """
    files = [file.relative_to(_folder()) for file in _folder().glob("*/*.toml")]
    return sorted(
        file.parent.as_posix() if file.stem == "recipe" else file.with_suffix("").as_posix()
        for file in files
    )


def _find(path: str | Path) -> Path:
    if Path(path).is_file():
        return Path(path)
    known = list_recipes()
    if str(path) in known:
        file = _folder() / path
        return file / "recipe.toml" if file.is_dir() else file.with_suffix(".toml")
    raise ValueError(
        f"`path` must be an existing file, or a recipe of the zoo: {', '.join(known)}."
        f"{_nearest(str(path), known)} Received: path={str(path)!r}."
    )


def _folder() -> Path:
    # A wheel has the recipes inside the package, a checkout beside it.
    packaged = Path(__file__).with_name("entries")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "zoo"


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"A setting must be key=value. Received: {text!r}.")
    key, value = key.strip(), value.strip()
    types = {field.name: field.type for field in dataclasses.fields(Recipe)}
    try:
        parsed = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return key, value
    # A folder may be called 2014, and a line break must not smuggle in a key.
    is_text = types.get(key) is str and not isinstance(parsed["value"], str)
    return key, value if is_text or len(parsed) > 1 else parsed["value"]


def _check_keys(keys: dict[str, Any]) -> None:
    known = [field.name for field in dataclasses.fields(Recipe)]
    for key in keys:
        if key not in known:
            raise ValueError(
                f"A recipe has no key `{key}`.{_nearest(key, known)} "
                f"It has: {', '.join(known)}. Received: {key}={keys[key]!r}."
            )


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean `{close[0]}`?" if close else ""


_RULES: dict[Any, str] = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a finite number",
    tuple[str, ...]: 'a list of strings, such as ["conv1", "conv2"]',
    tuple[int, ...]: "a list of integers, such as [224, 180]",
}


def _typed(value: Any, field: dataclasses.Field) -> Any:
    """The value in its one form: lists as tuples, whole numbers as floats where one is due."""
    if field.name == "levels":
        value = _frozen(value)
        _checks.levels(value)
        return value
    if field.type in (tuple[str, ...], tuple[int, ...]):
        part = str if field.type == tuple[str, ...] else int
        if isinstance(value, list | tuple) and all(type(item) is part for item in value):
            return tuple(value)
    elif field.type is float:
        if type(value) in (int, float) and abs(value) <= sys.float_info.max:
            return float(value)
    elif type(value) is field.type:
        return value
    rule = _RULES[field.type]
    raise ValueError(f"`{field.name}` must be {rule}. Received: {field.name}={value!r}.")


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _check_values(recipe: Recipe) -> None:
    if recipe.model not in MODELS:
        raise ValueError(
            f"`model` must be one of {', '.join(MODELS)}.{_nearest(recipe.model, MODELS)} "
            f"Received: model={recipe.model!r}."
        )
    _checks.one_of(recipe.size_policy, SIZE_POLICIES, "size_policy")
    _checks.one_of(recipe.crop, CROPS, "crop")
    _checks.one_of(recipe.precision, PRECISIONS, "precision")
    _checks.one_of(recipe.on_error, ("skip", "fail"), "on_error")
    _checks.one_of(recipe.orientation, ORIENTATIONS, "orientation")
    for name in ("batch_size", "epochs", "patience", "short_side"):
        _checks.at_least(getattr(recipe, name), 1, name)
    for name in ("num_lr_drops", "seed", "longest_side", "batch_pixels"):
        _checks.at_least(getattr(recipe, name), 0, name)
    for name in ("width", "learning_rate", "checkpoint_minutes"):
        _checks.positive(getattr(recipe, name), name)
    for name in ("dropout", "momentum", "max_skipped_fraction"):
        _checks.fraction(getattr(recipe, name), name)
    for name in ("color_jitter", "weight_decay"):
        if getattr(recipe, name) < 0:
            raise ValueError(
                f"`{name}` must be a number >= 0. Received: {name}={getattr(recipe, name)!r}."
            )
    if recipe.seed >= 2**32:
        raise ValueError(f"`seed` must be below 2**32, as in NumPy. Received: seed={recipe.seed}.")
    if not recipe.data:
        raise ValueError("`data` must be a folder or the name of a data set. Received: data=''.")
    if recipe.weights and not recipe.weights.endswith(".weights.h5"):
        raise ValueError(
            "`weights` must be the path of a file ending in .weights.h5, or empty. "
            f"Received: weights={recipe.weights!r}."
        )


def _check_sizes(recipe: Recipe) -> None:
    """What the policy of sizes asks of the other keys."""
    policy, sides = recipe.size_policy, recipe.image_sizes
    trunk = tables.get_trunk(recipe.model)
    pyramid = recipe.model != trunk.name
    if not pyramid and policy not in ("fixed", "warped"):
        raise ValueError(
            f"`size_policy` must be 'fixed' or 'warped' for {recipe.model}, which takes one size alone; "
            f"{recipe.model}_spp takes any. Received: size_policy={policy!r}."
        )
    rules = {
        "fixed": ("one side, such as [224]", len(sides) == 1),
        "alternating": ("two sides or more, such as [224, 180]", len(sides) >= 2),
        "warped": ("one side, such as [224]", len(sides) == 1),
        "range": (
            "the least and the greatest side, such as [180, 224]",
            len(sides) == 2 and sides[0] < sides[-1],
        ),
        "whole": ("empty, as `short_side` says the size", not sides),
        "native": ("empty, as images keep their size", not sides),
    }
    rule, fits = rules[policy]
    if not fits:
        raise ValueError(
            f"`image_sizes` must be {rule}, for size_policy={policy!r}. "
            f"Received: image_sizes={list(sides)}."
        )
    least = trunk.min_size if pyramid else trunk.grid.min_pixels(trunk.last_pool.kernel)
    if sides and min(sides) < least:
        raise ValueError(
            f"`image_sizes` must be at least {least}, the least that {recipe.model} can map. "
            f"Received: image_sizes={list(sides)}."
        )
    if policy not in ("native", "warped") and recipe.short_side < max(sides, default=least):
        raise ValueError(
            f"`short_side` must be at least {max(sides, default=least)}, so that "
            f"{'a crop lies inside its image' if sides else f'{recipe.model} can map images'}. "
            f"Received: short_side={recipe.short_side}."
        )
    for name in ("longest_side", "batch_pixels"):
        if policy in _SQUARE and getattr(recipe, name):
            raise ValueError(
                f"`{name}` must be 0 for size_policy={policy!r}: it is for whole images, 'whole' or "
                f"'native'. Received: {name}={getattr(recipe, name)}."
            )
    lowest = recipe.short_side if policy == "whole" else least
    if 0 < recipe.longest_side < lowest:
        raise ValueError(
            f"`longest_side` must be 0 or at least {lowest}, the "
            f"{'short side' if policy == 'whole' else f'least that {recipe.model} can map'}. "
            f"Received: longest_side={recipe.longest_side}."
        )


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        # TOML's strings are JSON's, but for the one character that JSON lets stand.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
