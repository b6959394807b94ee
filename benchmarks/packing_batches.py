"""Sizes of images in batches that packing must get right, or is measured with."""

from collections.abc import Callable

import numpy as np

# Long sides over short ones, at most.
_RATIO = 20.0


def draw_batch(
    random: np.random.Generator, least: int, most: int, kind: str | None = None
) -> tuple[str, np.ndarray]:
    """Draws the sizes of a batch of one of `KINDS`, and which it is.

    Args:
        random: Generator of all draws.
        least: Pixels of the shortest side that the network takes.
        most: Pixels that no side exceeds.
        kind: One of `KINDS`. Defaults to any.
    """
    kind = kind or str(random.choice(list(KINDS)))
    return kind, KINDS[kind](random, least, most).astype("int32")


def draw_large_batch(random: np.random.Generator, least: int, most: int) -> np.ndarray:
    """Draws a batch with one image that reaches the longest side, and some small ones."""
    shorter = draw_side(random, max(least, most // int(_RATIO)), most // 3)
    sides = np.array([[most, shorter]])[:, :: random.choice([1, -1])]
    others = draw_sizes(random, int(random.integers(1, 4)), least, most // 4)
    return random.permutation(np.concatenate([sides, others])).astype("int32")


def draw_sizes(random: np.random.Generator, count: int, least: int, most: int) -> np.ndarray:
    """Draws sides evenly by their logarithms, with ratios that are not above 1:20."""
    sizes = np.array([[draw_side(random, least, most) for _ in range(2)] for _ in range(count)])
    return np.maximum(sizes, np.ceil(sizes[:, ::-1] / _RATIO).astype(int))


def draw_side(random: np.random.Generator, least: int, most: int) -> int:
    """Draws one side, short ones as often as long ones."""
    return int(np.exp(random.uniform(np.log(least), np.log(most + 1))))


def _draw_any(random: np.random.Generator, least: int, most: int) -> np.ndarray:
    return draw_sizes(random, int(random.integers(2, 13)), least, most)


def _draw_duplicates(random: np.random.Generator, least: int, most: int) -> np.ndarray:
    some = draw_sizes(random, int(random.integers(1, 4)), least, most)
    return random.permutation(np.repeat(some, int(random.integers(2, 5)), axis=0))


def _draw_one(random: np.random.Generator, least: int, most: int) -> np.ndarray:
    return draw_sizes(random, 1, least, most)


def _draw_alike(random: np.random.Generator, least: int, most: int) -> np.ndarray:
    return np.repeat(draw_sizes(random, 1, least, most), int(random.integers(2, 9)), axis=0)


def _draw_tiny(random: np.random.Generator, least: int, most: int) -> np.ndarray:
    tiny = draw_sizes(random, int(random.integers(1, 9)), least, least + 3)
    others = draw_sizes(random, int(random.integers(1, 3)), least, most)
    return random.permutation(np.concatenate([tiny, others]))


def _draw_strips(random: np.random.Generator, least: int, most: int) -> np.ndarray:
    """As long and narrow as the ratio and the network allow, upright or lying."""
    strips = []
    for _ in range(int(random.integers(2, 9))):
        length = draw_side(random, max(least, most // 2), most)
        sides = [length, max(least, int(np.ceil(length / _RATIO)))]
        strips.append(sides[:: random.choice([1, -1])])
    return np.array(strips)


KINDS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "any": _draw_any,
    "duplicates": _draw_duplicates,
    "one image": _draw_one,
    "all alike": _draw_alike,
    "tiny": _draw_tiny,
    "strips": _draw_strips,
}
