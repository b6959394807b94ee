"""Recipes as TOML files, of a user or of the zoo."""

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

from spp_keras.recipes import fields
from spp_keras.recipes.detector_recipe import DetectorRecipe
from spp_keras.recipes.recipe import Recipe
from spp_keras.zoo import networks
from spp_keras.zoo.zoo_folder import find_zoo_folder

# Keys of older versions: the last version that has them, the next one, and their names there.
_OLD_KEYS = {
    "sizes": ("0.1", "0.2", "size_policy"),
    "crops": ("0.1", "0.2", "crop"),
    "colour": ("0.1", "0.2", "color_jitter"),
    "drops": ("0.1", "0.2", "num_lr_drops"),
    "most_skipped": ("0.1", "0.2", "max_skipped_fraction"),
    "batch_pixels": ("0.2", "0.3", "max_pixels"),
}
_TASKS: dict[str, type[Recipe] | type[DetectorRecipe]] = {
    "classification": Recipe,
    "detection": DetectorRecipe,
}


@overload
def read_recipe(
    path: str | Path, *, task: Literal["classification"], **overrides: Any
) -> Recipe: ...
@overload
def read_recipe(
    path: str | Path, *, task: Literal["detection"], **overrides: Any
) -> DetectorRecipe: ...
@overload
def read_recipe(path: str | Path, **overrides: Any) -> Recipe | DetectorRecipe: ...
def read_recipe(
    path: str | Path, *, task: str | None = None, **overrides: Any
) -> Recipe | DetectorRecipe:
    """Reads a recipe from a file or from the zoo.

    Args:
        path: Path of a TOML file, or a name from `list_recipes()`, such as `"zf5_spp/imagenet"`.
        task: `"classification"` or `"detection"`, if the recipe must be for that.
            Defaults to `None`, either.
        **overrides: Other values for keys of the recipe. With another `size_policy`
            the file's keys for its own policy do not count.

    Returns:
        A `Recipe`, or a `DetectorRecipe` where the key `task` is `"detection"`.

    Example:

    >>> recipe = read_recipe("zf5_spp/imagenet", batch_size=32, data="photos")
    >>> recipe.batch_size, recipe.data, recipe.epochs
    (32, 'photos', 70)
    """
    file = _find_file(path)
    try:
        keys = tomllib.loads(file.read_text(encoding="utf-8"))
        keys = override_keys(keys, overrides)
        kind = keys.get("task", "classification")
        if kind not in _TASKS or task not in (None, kind):
            raise ValueError(_describe_wrong_task(kind, task))
        recipe_class = _TASKS[kind]
        _check_keys(keys, recipe_class)
        return recipe_class(**keys)
    except ValueError as error:
        source = ", with ".join([str(file), *(f"{key}={overrides[key]!r}" for key in overrides)])
        message = f"{error}." if isinstance(error, tomllib.TOMLDecodeError) else str(error)
        raise ValueError(f"{message} Read from {source}.") from error


def override_keys(keys: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a recipe with other values for some.

    With another `size_policy`, the keys that only the former one can have are left out.

    Args:
        keys: Keys and their values.
        overrides: The other values.

    Example:

    >>> override_keys({"size_policy": "native", "longest_side": 160}, {"size_policy": "fixed"})
    {'size_policy': 'fixed'}
    """
    if "size_policy" in overrides:
        whole_images = overrides["size_policy"] in ("whole", "native")
        dropped = ("image_sizes",) if whole_images else ("longest_side", "max_pixels")
        keys = {key: value for key, value in keys.items() if key not in dropped}
    return {**keys, **overrides}


def recipe_to_toml(
    recipe: Recipe | DetectorRecipe, reasons: Mapping[str, str] | None = None
) -> str:
    """The recipe as TOML, each key on a line of its own, as `read_recipe` reads it.

    Args:
        recipe: The recipe.
        reasons: Comments on keys, by their names. Defaults to `None`, no comments.

    Example:

    >>> print(recipe_to_toml(Recipe(), {"model": "small"}).splitlines()[1])
    model = "zf5_spp"                   # small
    """
    lines = []
    for key, value in vars(recipe).items():
        line, reason = f"{key} = {_value_to_toml(value)}", (reasons or {}).get(key)
        lines.append(f"{line:<35} # {reason}\n" if reason else f"{line}\n")
    return "".join(lines)


def list_recipes(task: str | None = None) -> list[str]:
    """Names of the zoo's recipes, as `network/recipe`.

    Args:
        task: Only those for this task, `"classification"` or `"detection"`.
            Defaults to `None`, all.

    Example:

    >>> list_recipes()[:2]
    ['alexnet5/imagenet', 'alexnet5_spp/imagenet']
    """
    names = []
    for file in find_zoo_folder().glob("*/*.toml"):
        kind = tomllib.loads(file.read_text(encoding="utf-8")).get("task", "classification")
        if task in (None, kind):
            names.append(file.relative_to(find_zoo_folder()).with_suffix("").as_posix())
    return sorted(names)


def read_card(model: str) -> str:
    """The model card of a network of the zoo, in Markdown.

    Args:
        model: Name of the network.

    Example:

    >>> read_card("zf5_spp").splitlines()[0]
    '# zf5_spp'
    """
    cards = {file.parent.name: file for file in find_zoo_folder().glob("*/card.md")}
    if model not in cards:
        raise ValueError(
            f"`model` must be a network of the zoo.{fields.suggest_name(model, sorted(cards))} "
            f"`spp-keras zoo` lists them. Received: model={model!r}."
        )
    return cards[model].read_text(encoding="utf-8").rstrip()


def _find_file(path: str | Path) -> Path:
    if Path(path).is_file():
        return Path(path)
    name, names = str(path), list_recipes()
    if name in names:
        return find_zoo_folder() / f"{name}.toml"
    if name in networks.list_networks():
        own = [other for other in names if other.startswith(f"{name}/")]
        hint = f"{name} is a network; its recipes are {', '.join(own)}. " if own else ""
        hint += "`spp_keras.train` and `spp-keras train` choose a recipe for a network and data. "
    else:
        near = difflib.get_close_matches(name, [*names, *networks.list_networks()], n=3)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise ValueError(
        "`recipe` must be an existing file or the name of a recipe in the zoo. "
        f"{hint}`spp-keras zoo` lists them. Received: recipe={name!r}."
    )


def _describe_wrong_task(kind: Any, task: str | None) -> str:
    if kind not in _TASKS:
        return f"`task` must be one of {', '.join(map(repr, _TASKS))}. Received: task={kind!r}."
    commands = {"classification": "spp-keras train", "detection": "spp-keras train-detector"}
    return f"`recipe` must be for {task}; this one is for {kind}: take it to `{commands[kind]}`."


def _check_keys(keys: dict[str, Any], recipe_class: type[Recipe] | type[DetectorRecipe]) -> None:
    names = [field.name for field in dataclasses.fields(recipe_class)]
    for key in keys:
        if key in names:
            continue
        if key in _OLD_KEYS:
            version, next_version, name = _OLD_KEYS[key]
            of_run = {
                "0.1": "a run folder of 0.1 needs spp_keras 0.1.1, or another training",
                "0.2": "in the recipe.toml of a run folder of 0.2, too",
            }
            raise ValueError(
                f"The recipe is of spp_keras {version}: since {next_version} its key `{key}` is "
                f"`{name}`. Rename it in a recipe of your own; {of_run[version]}."
            )
        raise ValueError(
            f"A recipe has no key `{key}`.{fields.suggest_name(key, names)} "
            f"It has: {', '.join(names)}. Received: {key}={keys[key]!r}."
        )


def _value_to_toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value_to_toml, value))}]"
    if isinstance(value, str):
        # TOML's strings are JSON's, but for the one character that JSON lets stand.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
