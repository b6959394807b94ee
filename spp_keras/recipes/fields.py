"""Fields of recipes: their types, their help texts and names near a misspelled one."""

import dataclasses
import difflib
import inspect
import re
import sys
from collections.abc import Sequence
from typing import Any

from spp_keras import _checks

Levels = tuple[int | tuple[int, int], ...]

_RULES: dict[Any, str] = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a finite number",
    tuple[str, ...]: 'a list of strings, such as ["conv1", "conv2"]',
    tuple[int, ...]: "a list of integers, such as [224, 180]",
}


def standardize_fields(recipe: Any) -> None:
    """Brings each field of a frozen dataclass to the type that it is annotated with.

    Lists become tuples and integers become floats where these are due.

    Args:
        recipe: The dataclass instance, which is changed in place.
    """
    for field in dataclasses.fields(recipe):
        value = _standardize(getattr(recipe, field.name), field)
        object.__setattr__(recipe, field.name, value)


def describe_fields(recipe_class: type) -> dict[str, str]:
    """The description of each field, from the `Args:` section of the class's docstring.

    Args:
        recipe_class: A dataclass, such as `Recipe`.

    Returns:
        A dictionary from the field's name to its description on one line.

    Example:

    >>> from spp_keras.recipes import Recipe
    >>> describe_fields(Recipe)["momentum"]
    'Momentum of SGD. Defaults to 0.9.'
    """
    section = inspect.cleandoc(recipe_class.__doc__ or "").split("\nArgs:\n")[1]
    section = section.split("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", section, re.M)
    return {name: " ".join(text.split()) for name, text in entries}


def suggest_name(name: str, names: Sequence[str]) -> str:
    """A sentence with the nearest of some names, or nothing where none is near.

    Example:

    >>> suggest_name("epoch", ["epochs", "seed"])
    ' Did you mean `epochs`?'
    """
    near = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean `{near[0]}`?" if near else ""


def _standardize(value: Any, field: dataclasses.Field) -> Any:
    if field.type == Levels:
        value = _freeze(value)
        _checks.levels(value)
        return value
    if field.type in (tuple[str, ...], tuple[int, ...]):
        item_type = str if field.type == tuple[str, ...] else int
        if isinstance(value, list | tuple) and all(type(item) is item_type for item in value):
            return tuple(value)
    elif field.type is float:
        if type(value) in (int, float) and abs(value) <= sys.float_info.max:
            return float(value)
    elif type(value) is field.type:
        return value
    rule = _RULES[field.type]
    raise ValueError(f"`{field.name}` must be {rule}. Received: {field.name}={value!r}.")


def _freeze(value: Any) -> Any:
    return tuple(map(_freeze, value)) if isinstance(value, list | tuple) else value
