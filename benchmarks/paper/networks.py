"""The networks in small whose tests make the tables: what they are and where they lie.

Everything of the paper's training is halved but the finest level of the pyramid: crops of
112 from a short side of 128, 90 as the second size. From 112 pixels the maps are of 6x6
(ZF-5, Convnet*-5) and 8x8 cells (Overfeat), so that 6x6 bins are what a network without
pyramid gives its first dense layer; the zoo's own, such as `zf5`, would give it 2x2.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spp_keras import runs
from spp_keras.zoo import recipes

NETS = {
    "zf5": "ZF-5",
    "alexnet5": "Convnet*-5",
    "overfeat5": "Overfeat-5",
    "overfeat7": "Overfeat-7",
}
SIDE, SECOND, SHORT_SIDE = 112, 90, 128
# Whole images of `shapes` with this short side have as many pixels on average as SIDE squared.
WHOLE_SHORT_SIDE = 93
_VARIANTS = {
    "none": {"levels": (6,), "sizes": "fixed", "image_sizes": (SIDE,)},
    "single": {"sizes": "fixed", "image_sizes": (SIDE,)},
    "multi": {"sizes": "alternating", "image_sizes": (SIDE, SECOND)},
    "random": {"sizes": "range", "image_sizes": (SECOND, SIDE)},
    "whole": {"sizes": "whole", "short_side": WHOLE_SHORT_SIDE},
    "warped": {"sizes": "warped", "image_sizes": (SIDE,)},
}
VARIANTS = {
    "none": "no SPP",
    "single": "SPP, one size",
    "multi": "SPP, two sizes",
    "random": "SPP, random sizes",
    "whole": "SPP, whole images",
    "warped": "SPP, warped images",
}


def recipe(net: str, variant: str, seed: int) -> recipes.Recipe:
    """How a network is trained."""
    settings: dict[str, Any] = {"short_side": SHORT_SIDE, **_VARIANTS[variant]}
    return recipes.Recipe(
        model=f"{net}_spp",
        width=0.125,
        dropout=0.2,
        data="shapes",
        colour=0.0,
        batch_size=32,
        epochs=14,
        drops=1,
        patience=4,
        seed=seed,
        **settings,
    )


def run(folder: Path, net: str, variant: str, seed: int) -> Path:
    """Its run folder."""
    return folder / f"{net}-{variant}-{seed}"


def is_trained(folder: Path) -> bool:
    """Whether a training has come to its end."""
    return (folder / runs.BEST).exists() and (folder / runs.CURVES).exists()


def seeds(folder: Path, nets: Sequence[str], variants: Sequence[str]) -> range:
    """Those of which all these networks are trained: 0 to some number."""
    count = 0
    while all(is_trained(run(folder, net, one, count)) for net in nets for one in variants):
        count += 1
    if count < 2:
        raise SystemExit(
            f"{folder} must have networks of two seeds or more: train them with "
            f"`python benchmarks/paper/train.py --runs {folder}`."
        )
    return range(count)
