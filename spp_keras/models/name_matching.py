"""Finds the layers of a weight file that are those of a network, by their names alone."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

# The name of a layer behind the names of the models and layers that it is part of.
Names = tuple[str, ...]


def match_names(ours: Sequence[Names], theirs: Sequence[Names]) -> dict[int, int]:
    """Indices of names of a file for indices of those of a network, where they are certain.

    Equal names go first, then those that end alike, then those whose last ones are equal. A
    name that fits several layers of the file fits none.

    Args:
        ours: Names of the layers of a network.
        theirs: Names of the layers of a file.

    Example:

    >>> match_names([("conv",), ("block.conv",)], [("block", "conv"), ("conv",)])
    {0: 1, 1: 0}
    """
    # `any_size` names a layer `block.conv` where `conv` is the name of another one.
    ours, theirs = ([_split(names) for names in side] for side in (ours, theirs))
    agreements: list[Callable[[Names, Names], bool]] = [
        lambda mine, other: mine == other,
        lambda mine, other: mine == other[-len(mine) :],
        lambda mine, other: mine[-1] == other[-1],
    ]
    free: dict[str, set[int]] = defaultdict(set)
    for index, names in enumerate(theirs):
        free[names[-1]].add(index)
    matches: dict[int, int] = {}
    for agree in agreements:
        for index in sorted(range(len(ours)), key=lambda index: -len(ours[index])):
            same = free[ours[index][-1]] if index not in matches else ()
            candidates = [other for other in same if agree(ours[index], theirs[other])]
            if len(candidates) == 1:
                matches[index] = candidates[0]
                free[ours[index][-1]].remove(candidates[0])
    return dict(sorted(matches.items()))


def match_numbered_names(
    ours: Sequence[Names], theirs: Sequence[Names], classes: Collection[str]
) -> dict[int, int]:
    """Likewise, where names that Keras gave, such as `conv2d_7`, may have other numbers.

    Keras numbers the layers of a class through all models of a process as they are made. So a
    model that is built again has other names, in the same order.

    Args:
        ours: Names of the layers of a network.
        theirs: Names of the layers of a file.
        classes: Names of the classes of layers.

    Returns:
        The indices; none where a class has not as many layers on both sides.

    Example:

    >>> match_numbered_names([("add_7",), ("add_11",)], [("add_1",), ("add",)], ["Add"])
    {0: 1, 1: 0}
    """
    bases = {name.lower() for name in classes}
    (ours, our_counts), (theirs, their_counts) = (_number(side, bases) for side in (ours, theirs))
    return match_names(ours, theirs) if our_counts == their_counts else {}


def _split(names: Names) -> Names:
    return tuple(".".join(names).split("."))


def _number(side: Sequence[Names], bases: Collection[str]) -> tuple[list[Names], dict[str, int]]:
    """Names with their numbers counted anew from 0, and how many each has."""
    numbers: dict[str, list[int]] = defaultdict(list)
    parsed: list[tuple[str, int] | None] = []
    for names in side:
        match = re.fullmatch(r"(.+?)(?:_(\d+))?", names[-1])
        # "max_pooling2d" of "MaxPooling2D"
        if match is None or match[1].replace("_", "") not in bases:
            parsed.append(None)
            continue
        parsed.append((match[1], int(match[2] or 0)))
        numbers[match[1]].append(int(match[2] or 0))
    numbered = [
        names
        if name is None
        else (*names[:-1], f"{name[0]} {sorted(numbers[name[0]]).index(name[1])}")
        for names, name in zip(side, parsed, strict=True)
    ]
    return numbered, {base: len(counted) for base, counted in numbers.items()}
