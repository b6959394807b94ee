"""Whole, warped and cropped images: each network tested in the form that it was trained in.

    python benchmarks/paper/train.py --runs runs/paper
    python benchmarks/paper/sizes.py --runs runs/paper
    python benchmarks/paper/sizes.py --render    # text and drawing again, from the JSON

The same network with a pyramid, trained on whole images of one short side, on images warped to
a square, and on square crops, with as many pixels each. The unseen images of `shapes` come as in
training, and scaled to short sides that no training saw: they are then sent whole, warped to the
square, or cropped to it. Writes sizes.json, .md and .png.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import convergence
import measuring
import networks
import numpy as np
import publishing
import tensorflow as tf
import verdicts

from spp_keras.data import image_ops, size_policies
from spp_keras.evaluation import protocols, views

_NET = "overfeat7"
_TITLES = {"whole": "whole", "warped": "warped", "single": "cropped"}
# Short sides as in training; whatever it is, a warped image is squeezed from it into the square.
_OWN = {"whole": networks.WHOLE_SHORT_SIDE, "warped": None, "single": networks.SHORT_SIDE}
_NEAR, _FAR = (96, 112, 128, 160), (224, 320, 512)
_SHORT_SIDES = (networks.WHOLE_SHORT_SIDE, *_NEAR, *_FAR)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes."""
    options = publishing.parser(__doc__).parse_args(arguments)
    stem = options.out / "sizes"
    if not options.render:
        started = publishing.begin("sizes", options)
        publishing.keep(stem, started, *_measure(options))
    publishing.render(stem, markdown, _draw)
    return 0


def _measure(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts that hold for all rows, and the rows."""
    unseen = measuring.Unseen(options.data_dir)
    seeds = networks.seeds(options.runs, [_NET], list(_TITLES))
    rows, used = [], {}
    for variant in _TITLES:
        for seed in seeds:
            run = networks.run(options.runs, _NET, variant, seed)
            used.setdefault(variant, []).append(run)
            shorts = _short_sides(variant)
            ways = {
                f"{variant}-{short or 'own'}": lambda network, short=short, variant=variant: _ask(
                    network, variant, short
                )
                for short in shorts
            }
            for short, scores in zip(shorts, unseen.asked(run, ways), strict=True):
                rows.append(
                    {
                        "variant": variant,
                        "trained": networks.FORMS[variant],
                        "tested": networks.FORMS[variant],
                        "short side": short,
                        "seed": seed,
                        "top-1": 100 - unseen.errors(scores)["top-1"],
                    }
                )
    return {"images": len(unseen.labels), **convergence.facts(used)}, rows


def _short_sides(variant: str) -> list[int | None]:
    """Those that a network is asked at; `None` for images as they are."""
    least = networks.SIDE if networks.FORMS[variant] == "crop" else 0
    shorts = [short for short in _SHORT_SIDES if short >= least]
    return shorts if _OWN[variant] in shorts else [_OWN[variant], *shorts]


def _ask(network: Any, variant: str, short: int | None) -> measuring.Ask:
    """What looks at an image in the form of the training, as if it had come with a short side."""
    form = networks.FORMS[variant]
    if form == "whole":
        return protocols.Scorer(network, "full", whole=size_policies.Whole(short_side=short))
    if form == "crop":
        return protocols.Scorer(network, "crop", view_size=networks.SIDE, short_side=short)
    if short is None:
        return protocols.Scorer(network, "warp", view_size=networks.SIDE)

    @tf.function(autograph=False, reduce_retracing=True)
    def warped(image: tf.Tensor, size: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        seen = tf.cast(image_ops.decode_resized(image, size, target), tf.float32)
        square = tf.image.resize(seen[None], (networks.SIDE, networks.SIDE), antialias=True)
        return network(square, training=False)[0]

    def ask(image: Any, size: Sequence[int]) -> np.ndarray:
        target = views.scale_size((int(size[0]), int(size[1])), short)
        size = tf.constant(size, tf.int32)
        return warped(tf.constant(image), size, tf.constant(target)).numpy()

    return ask


def _of(rows: list[dict[str, Any]], variant: str, short: int | None) -> list[float]:
    return verdicts.values(rows, "top-1", variant=variant, **{"short side": short})


def _over(rows: list[dict[str, Any]], variant: str, shorts: Sequence[int]) -> list[float]:
    """Mean over sizes, of each seed."""
    return verdicts.together([_of(rows, variant, short) for short in shorts])


def markdown(results: dict[str, Any]) -> str:
    """The table and which form of images is better."""
    rows, count = results["rows"], results["facts"]["images"]
    lines = [
        f"Top-1 accuracy in % of {networks.NETS[_NET]} with its pyramid on the {count} test "
        f"images of `shapes`; mean and standard error over {verdicts.count_seeds(rows)} seeds. "
        "Each network is tested in the form that it was trained in: whole at a short side "
        f"of {networks.WHOLE_SHORT_SIDE}, warped to {networks.SIDE}x{networks.SIDE}, or cropped to "
        f"{networks.SIDE}x{networks.SIDE} from a short side of {networks.SHORT_SIDE}, which are as "
        "many pixels on average. In the other rows images are first scaled to a short side: whole "
        "ones are then sent in sizes, and cropped ones show objects in sizes, that no training "
        "saw; what is warped ends in the same square whatever it was.",
        "",
        "| short side | " + " | ".join(_TITLES.values()) + " |",
        "|---|" + "---|" * len(_TITLES),
        "| **as in training** | "
        + " | ".join(verdicts.cell(_of(rows, *own)) for own in _OWN.items())
        + " |",
    ]
    for short in _SHORT_SIDES:
        cells = [verdicts.cell(of) if (of := _of(rows, each, short)) else "" for each in _TITLES]
        lines.append(f"| {short} | " + " | ".join(cells) + " |")
    lines += ["", *(verdicts.line(claim) for claim in claims(rows))]
    return "\n".join(lines) + "\n"


def claims(rows: list[dict[str, Any]]) -> list[verdicts.Claim]:
    """Whole images against warped and cropped ones, as in training and at other sizes."""
    made = []
    for other in ("warped", "single"):
        gains = verdicts.gains(*(_of(rows, each, _OWN[each]) for each in ("whole", other)))
        text = f"whole images are better than {_TITLES[other]} ones, each as in training"
        made.append(verdicts.Claim(text, verdicts.judge(gains)))
    for shorts in (_NEAR, _FAR):
        for other in ("warped", "single"):
            both = [short for short in shorts if _of(rows, other, short)]
            gains = verdicts.gains(_over(rows, "whole", both), _over(rows, other, both))
            text = (
                f"whole images are better than {_TITLES[other]} ones, short sides of {both[0]} to "
                f"{both[-1]}"
            )
            made.append(verdicts.Claim(text, verdicts.judge(gains)))
    return made


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    with publishing.figure(path) as axes:
        for variant, title in _TITLES.items():
            shorts = [short for short in _SHORT_SIDES if _of(rows, variant, short)]
            means, errors = zip(
                *(verdicts.mean(_of(rows, variant, short)) for short in shorts), strict=True
            )
            (line, _, _) = axes.errorbar(shorts, means, yerr=errors, capsize=3, label=title)
            if own := _OWN[variant]:
                mean, _ = verdicts.mean(_of(rows, variant, own))
                axes.plot(own, mean, "o", color=line.get_color())
        axes.set_xscale("log", base=2)
        # 96 would be written over the first.
        ticks = (networks.WHOLE_SHORT_SIDE, *_NEAR[1:], *_FAR)
        axes.set_xticks(ticks, ticks)
        axes.minorticks_off()
        axes.set_xlabel("short side that images are scaled to first, pixels (dots: as in training)")
        axes.set_ylabel("top-1 accuracy, %")
        axes.legend()


if __name__ == "__main__":
    sys.exit(main())
