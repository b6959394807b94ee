"""Checks of arguments, with errors that name the argument, the rule and the value."""

from collections.abc import Sequence
from typing import Any, Literal


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


def size_pair(value: Any, name: str) -> tuple[int, int]:
    """A size as `(rows, columns)`, from an int for both or a pair."""
    pair = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,) * 2
    if len(pair) != 2 or not all(_is_int(n) and n >= 1 for n in pair):
        raise ValueError(
            f"`{name}` must be an int >= 1 or a (rows, columns) pair of them. "
            f"Received: {name}={value!r}."
        )
    return int(pair[0]), int(pair[1])


def one_of(value: Any, choices: Sequence[Any], name: str) -> Any:
    """A value from a closed list."""
    if value not in choices:
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be one of {allowed}. Received: {name}={value!r}.")
    return value


def at_least(value: Any, minimum: int, name: str) -> int:
    """An int with a lower bound."""
    if not _is_int(value) or value < minimum:
        raise ValueError(f"`{name}` must be an int >= {minimum}. Received: {name}={value!r}.")
    return int(value)


def odd(value: Any, name: str) -> int:
    """An odd int, so that it has a middle."""
    if not _is_int(value) or value < 1 or value % 2 == 0:
        raise ValueError(f"`{name}` must be an odd int >= 1. Received: {name}={value!r}.")
    return int(value)


def positive(value: Any, name: str) -> float:
    """A number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"`{name}` must be a number > 0. Received: {name}={value!r}.")
    return float(value)


def not_negative(value: Any, name: str) -> float:
    """A number that is zero or above."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"`{name}` must be a number >= 0. Received: {name}={value!r}.")
    return float(value)


def half_integer(value: Any, name: str) -> float:
    """A multiple of one half."""
    if isinstance(value, bool) or not isinstance(value, int | float) or 2 * value % 1:
        raise ValueError(f"`{name}` must be a multiple of 0.5. Received: {name}={value!r}.")
    return float(value)


def half_integers(value: Any, name: str) -> tuple[float, ...]:
    """A sequence of multiples of one half."""
    try:
        return tuple(half_integer(item, name) for item in value)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be a sequence of multiples of 0.5. Received: {name}={value!r}."
        ) from None


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


def data_format(value: Any) -> Literal["channels_last", "channels_first"]:
    """The position of the channels; by default that of Keras' configuration."""
    if value is None:
        import keras

        value = keras.config.image_data_format()
    return one_of(value, ("channels_last", "channels_first"), "data_format")


def channels_last_only(value: str, description: str) -> None:
    """The data format of what supports channels last only."""
    if value != "channels_last":
        raise ValueError(
            f"`data_format` must be 'channels_last' for {description}. "
            f"Received: data_format={value!r}."
        )


def image_shape(value: Any, min_size: int) -> tuple[int | None, int | None, int]:
    """`(height, width, channels)` of images that a network can map."""
    rule = f"(height, width, channels), height and width None or ints >= {min_size}"
    is_valid = (
        isinstance(value, Sequence) and len(value) == 3 and _is_int(value[2]) and value[2] >= 1
    )
    is_valid = is_valid and all(
        size is None or (_is_int(size) and size >= min_size) for size in value[:2]
    )
    if not is_valid:
        raise ValueError(
            f"`input_shape` must be {rule}, the smallest that the network can map. "
            f"Received: input_shape={value!r}."
        )
    return tuple(value)


def feature_maps(shape: Sequence[int | None], layout: str, name: str) -> int:
    """The number of channels of a batch of feature maps, which must be known."""
    axes = "(batch, height, width, channels)"
    if layout == "channels_first":
        axes = "(batch, channels, height, width)"
    rank(shape, 4, name, axes)
    channels = shape[1 if layout == "channels_first" else -1]
    if channels is None:
        raise ValueError(
            f"`{name}` must have a known number of channels, since the length of the output "
            f"follows from it. Received: {name} of shape {tuple(shape)} in {layout!r}."
        )
    return channels


def _is_int(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
