"""Checks of arguments. Every message names the argument, the rule and the value."""

from collections.abc import Sequence
from typing import Any


def levels(value: Any) -> tuple[tuple[int, int], ...]:
    """Pyramid levels as `(rows, columns)` pairs."""
    rule = "must be a non-empty sequence of ints >= 1 or (rows, columns) pairs of them"
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ValueError(f"`levels` {rule}, such as (6, 3, 2, 1). Received: levels={value!r}.")
    pairs = []
    for level in value:
        pair = level if isinstance(level, Sequence) and not isinstance(level, str) else (level,) * 2
        if len(pair) != 2 or not all(_is_int(n) and n >= 1 for n in pair):
            raise ValueError(
                f"`levels` {rule}. Received: levels={value!r}, where {level!r} is neither."
            )
        pairs.append((int(pair[0]), int(pair[1])))
    return tuple(pairs)


def one_of(value: Any, choices: Sequence[Any], name: str) -> Any:
    """A value from a closed list."""
    if value not in choices:
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be one of {allowed}. Received: {name}={value!r}.")
    return value


def at_least(value: Any, least: int, name: str) -> int:
    """An int with a lower bound."""
    if not _is_int(value) or value < least:
        raise ValueError(f"`{name}` must be an int >= {least}. Received: {name}={value!r}.")
    return int(value)


def positive(value: Any, name: str) -> float:
    """A number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"`{name}` must be a number > 0. Received: {name}={value!r}.")
    return float(value)


def fraction(value: Any, name: str) -> float:
    """A number in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"`{name}` must be a number in [0, 1). Received: {name}={value!r}.")
    return float(value)


def rank(shape: Sequence[int | None], expected: int, name: str, axes: str) -> None:
    """A tensor of the right number of dimensions."""
    if len(shape) != expected:
        raise ValueError(
            f"`{name}` must have {expected} dimensions, {axes}. "
            f"Received: {name} of shape {tuple(shape)}."
        )


def _is_int(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
