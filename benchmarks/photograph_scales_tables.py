"""The results of `photograph_scales.py` as Markdown: a function of what is in its JSON file."""

import math
from collections.abc import Sequence
from typing import Any

import machines

from spp_keras.report import intervals
from spp_keras.zoo import imagenet

SIDES = (128, 160, 192, 224, 256, 288, 320, 384)
AVERAGES = ((192, 256), (192, 224, 256, 288), (160, 224, 320), (160, 192, 224, 256))
_FIRST = "efficientnet_lite0"
_SIX_SIDES = (224, 256, 300, 360, 448, 560)
# Probabilities are kept with four digits.
_LEAST = 5e-5
_TITLES = {
    "photographs": "Whole photographs",
    "cut-outs": "Cut-outs on white, as small as they are in their package",
}

Row = dict[str, Any]


def name_average(kind: str, sides: Sequence[int]) -> str:
    """The name of the mean over several sizes, `kind` with a place for each."""
    return f"{kind.partition(' {')[0]}, mean of {', '.join(map(str, sides))}"


def markdown(results: dict[str, Any]) -> str:
    """A table for each group and network, and what and where it was measured."""
    machine, rows = results["machine"], results["rows"]
    groups = {name: [row for row in rows if row["group"] == name] for name in _TITLES}
    counts = ", ".join(f"{len(of)} {name}" for name, of in groups.items() if of)
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        f"Pictures: {counts}. A picture counts as right where the best class is one that a person "
        "accepted before. Intervals are Wilson's of 95%. The log score is the mean logarithm of "
        "the probability of what is right, the higher the better; the rule is the one with the "
        "highest on every second picture, and `others` are the pictures that had no say in that. "
        "Pixels are those that the network convolves, in thousands for a picture in the middle.",
    ]
    for name, of in groups.items():
        networks = of[0]["answers"] if of else ()
        for network in networks:
            lines += ["", f"**{_TITLES[name]}, `{network}`, n = {len(of)}**", ""]
            lines += _list_protocols(network, of)
    if groups["photographs"]:
        lines += ["", *_list_missed(groups["photographs"])]
    return "\n".join(lines) + "\n"


def choose(network: str, rows: Sequence[Row], kinds: Sequence[str] = ("",)) -> str:
    """The protocol with the highest log score on every second picture.

    Args:
        network: Name of the network.
        rows: Pictures.
        kinds: What the names of protocols must begin with, one of them.
    """
    names = [name for name in rows[0]["answers"][network] if name.startswith(tuple(kinds))]
    return max(names, key=lambda name: _measure(network, name, rows[::2])[2])


def _list_protocols(network: str, rows: Sequence[Row]) -> list[str]:
    best = choose(network, rows)
    whole = choose(network, rows, ("own size", "short side ", "area "))
    short_side = choose(network, rows, ("short side ",))
    lines = [
        "| | pixels | top-1 | top-5 | probability | log score | on others: top-1 | log score |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for name in rows[0]["answers"][network]:
        top1, top5, log, probability = _measure(network, name, rows)
        other_top1, _, other_log, _ = _measure(network, name, rows[1::2])
        low, high = intervals.wilson(round(top1 * len(rows)), len(rows))
        label = f"**{name}**" if name in (best, whole, short_side) else name
        pixels = sorted(_count_pixels(network, name, row["size"]) for row in rows)
        lines.append(
            f"| {label} | {pixels[len(pixels) // 2] / 1000:.0f} "
            f"| {top1:.1%} [{low:.1%}, {high:.1%}] | {top5:.1%} | {probability:.2f} | {log:.2f} "
            f"| {other_top1:.1%} | {other_log:.2f} |"
        )
    return [
        *lines,
        "",
        f"Chosen: {best}; for the whole picture at one size {whole}; by its short side "
        f"{short_side}.",
    ]


def _measure(network: str, name: str, rows: Sequence[Row]) -> tuple[float, float, float, float]:
    """Top-1, top-5, log score and probability of what is right."""
    answers = [row["answers"][network][name] for row in rows]
    ranks, probabilities = zip(*answers, strict=True)
    count = len(answers)
    return (
        sum(rank == 1 for rank in ranks) / count,
        sum(rank <= 5 for rank in ranks) / count,
        sum(math.log(max(one, _LEAST)) for one in probabilities) / count,
        sum(probabilities) / count,
    )


def _count_pixels(network: str, name: str, size: Sequence[int]) -> float:
    aspect = max(size) / min(size)
    train_size = {"efficientnet_lite0": 224, "efficientnet_lite1": 240}.get(network, 260)
    if name == "own size":
        return size[0] * size[1]
    if name in ("warp", "crop"):
        return train_size**2
    if name in ("10-view-map", "short side 256, mirrored too"):
        return 2 * 256**2 * aspect
    if name == "96-view":
        return 2 * sum(side**2 for side in _SIX_SIDES) * aspect
    kind, _, sides = name.partition(", mean of ")
    numbers = sides or kind.split()[-1].partition("x")[0]
    pixels = sum(int(side) ** 2 for side in numbers.split(", "))
    return pixels * (aspect if kind.startswith("short side") else 1)


def _list_missed(rows: Sequence[Row]) -> list[str]:
    """The photographs that the chosen rule gets wrong, with their rank."""
    best, labels = choose(_FIRST, rows), imagenet.list_labels()
    missed = [
        f"{row['name'].partition(' ')[2]} ({' or '.join(labels[i] for i in row['classes'])}: "
        f"{row['answers'][_FIRST][best][0]})"
        for row in rows
        if row["answers"][_FIRST][best][0] > 1
    ]
    return [f"Not first by the rule, and the rank instead: {', '.join(missed)}."]
