"""Sizes never seen in training: accuracy against the size of the image, SPP, warped and cropped.

    python benchmarks/paper/train.py --runs runs/paper
    python benchmarks/paper/sizes.py --runs runs/paper

The unseen images of `shapes` are scaled to short sides of 96 to 512. A network with a pyramid
takes each whole, as it is; one without, which fits squares of its training's size alone, takes
it warped to that square, or the square in the middle. Writes sizes.json, .md and .png.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import measuring
import networks
import numpy as np
import publishing
import tensorflow as tf
import verdicts

from spp_keras.data import images, sizes
from spp_keras.evaluation import protocols, views

_NET = "overfeat7"
_SIZES = (96, 112, 128, 160, 224, 320, 512)
_WAYS = {
    "single": "SPP, one size: whole",
    "random": "SPP, random sizes: whole",
    "warp": "no SPP: warped",
    "crop": "no SPP: cropped",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes."""
    options = publishing.parser(__doc__).parse_args(arguments)
    started = publishing.begin("sizes", options)
    unseen = measuring.Unseen(options.data_dir)
    seeds = networks.seeds(options.runs, [_NET], ["none", "single", "random"])
    rows = []
    for seed in seeds:
        for way in _WAYS:
            variant = way if way in networks.VARIANTS else "none"
            run = networks.run(options.runs, _NET, variant, seed)
            asked = [short for short in _SIZES if way != "crop" or short >= networks.SIDE]
            ways = {
                f"{way}-{short}": lambda network, way=way, short=short: _ask(network, way, short)
                for short in asked
            }
            for short, scores in zip(asked, unseen.asked(run, ways), strict=True):
                accuracy = 100 - unseen.errors(scores)["top-1"]
                rows.append({"way": way, "short side": short, "seed": seed, "top-1": accuracy})
    text = _markdown(rows, len(unseen.labels), len(seeds))
    publishing.publish(options.out / "sizes", started, rows, text)
    _draw(rows, options.out / "sizes.png")
    return 0


def _ask(network: Any, way: str, short: int) -> measuring.Ask:
    """What looks at an image as if it had come with this short side."""
    if way in networks.VARIANTS:
        return protocols.Scorer(network, "full", whole=sizes.Whole(short_side=short))
    if way == "crop":
        return protocols.Scorer(network, "crop", side=networks.SIDE, short_side=short)

    @tf.function(autograph=False, reduce_retracing=True)
    def warped(image: tf.Tensor, size: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        seen = tf.cast(images.whole(image, size, target), tf.float32)
        square = tf.image.resize(seen[None], (networks.SIDE, networks.SIDE), antialias=True)
        return network(square, training=False)[0]

    def ask(image: Any, size: Sequence[int]) -> np.ndarray:
        target = views.scaled((int(size[0]), int(size[1])), short)
        size = tf.constant(size, tf.int32)
        return warped(tf.constant(image), size, tf.constant(target)).numpy()

    return ask


def _of(rows: list[dict[str, Any]], way: str, short: int) -> list[float]:
    return verdicts.values(rows, "top-1", way=way, **{"short side": short})


def _over(rows: list[dict[str, Any]], way: str, shorts: Sequence[int]) -> list[float]:
    """Mean over sizes, of each seed."""
    return verdicts.together([_of(rows, way, short) for short in shorts])


def _markdown(rows: list[dict[str, Any]], count: int, seeds: int) -> str:
    lines = [
        f"Top-1 accuracy in % of {networks.NETS[_NET]} on the {count} test images of `shapes` "
        f"against their short side; mean and standard error over {seeds} seeds. Training saw "
        f"squares of {networks.SIDE} pixels from a short side of {networks.SHORT_SIDE}, at random "
        f"sizes down to {networks.SECOND}.",
        "",
        "| short side | " + " | ".join(_WAYS.values()) + " |",
        "|---|" + "---|" * len(_WAYS),
    ]
    for short in _SIZES:
        cells = [verdicts.cell(of) if (of := _of(rows, way, short)) else "" for way in _WAYS]
        lines.append(f"| {short} | " + " | ".join(cells) + " |")
    lines.append("")
    near, far = (96, 112, 128, 160), (224, 320, 512)
    for shorts, where in ((near, "96 to 160"), (far, "224 to 512")):
        for worse, better, claim in (
            ("warp", "single", "a whole image at its own size is better than a warped one"),
            ("crop", "single", "a whole image at its own size is better than the square in it"),
            ("single", "random", "training at random sizes is better than at one"),
        ):
            of = [short for short in shorts if worse != "crop" or short >= networks.SIDE]
            gains = verdicts.gains(_over(rows, better, of), _over(rows, worse, of))
            lines.append(verdicts.verdict(f"{claim}, short sides of {where}", gains))
    return "\n".join(lines) + "\n"


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    with publishing.figure(path) as axes:
        for way, title in _WAYS.items():
            shorts = [short for short in _SIZES if _of(rows, way, short)]
            means, errors = zip(
                *(verdicts.mean(_of(rows, way, short)) for short in shorts), strict=True
            )
            axes.errorbar(shorts, means, yerr=errors, capsize=3, label=title)
        axes.set_xscale("log", base=2)
        axes.set_xticks(_SIZES, _SIZES)
        axes.axvspan(networks.SECOND, networks.SHORT_SIDE, alpha=0.1)
        axes.set_xlabel("short side of the image, pixels (shaded: sizes of the training)")
        axes.set_ylabel("top-1 accuracy, %")
        axes.legend()


if __name__ == "__main__":
    sys.exit(main())
