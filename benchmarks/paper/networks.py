"""The networks in small whose tests make the tables: what they are and where they lie.

Everything of the paper's training is halved but the finest level of the pyramid: crops of
112 from a short side of 128, 90 as the second size. From 112 pixels the maps are of 6x6
(ZF-5, Convnet*-5) and 8x8 cells (Overfeat), so that 6x6 bins are what a network without
pyramid gives its first dense layer; the zoo's own, such as `zf5`, would give it 2x2. From 90
pixels they are of 4x4 and 7x7 cells: of ZF-5 and Convnet*-5 nothing can be said about training
at two sizes, see `find_coarse_map`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from spp_keras import recipes, run_folder
from spp_keras.zoo import tables

# Where the trainings of these networks are written down, for results.
RECIPES = "benchmarks/paper/networks.py"
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
    "none": {"levels": (6,), "size_policy": "fixed", "image_sizes": (SIDE,)},
    "single": {"size_policy": "fixed", "image_sizes": (SIDE,)},
    "multi": {"size_policy": "alternating", "image_sizes": (SIDE, SECOND)},
    "random": {"size_policy": "range", "image_sizes": (SECOND, SIDE)},
    "whole": {"size_policy": "whole", "short_side": WHOLE_SHORT_SIDE},
    "warped": {"size_policy": "warped", "image_sizes": (SIDE,)},
}
VARIANTS = {
    "none": "no SPP",
    "single": "SPP, one size",
    "multi": "SPP, two sizes",
    "random": "SPP, random sizes",
    "whole": "SPP, whole images",
    "warped": "SPP, warped images",
}
# In what form a network saw the images of its training.
FORMS = {
    "none": "crop",
    "single": "crop",
    "multi": "crop",
    "random": "crop",
    "whole": "whole",
    "warped": "warp",
}
# What the tables need: sizes at random and the forms of training are compared for one network.
PAIRS = [(net, variant) for net in NETS for variant in ("none", "single", "multi")] + [
    ("overfeat7", variant) for variant in ("random", "whole", "warped")
]


def recipe(net: str, variant: str, seed: int) -> recipes.Recipe:
    """How a network is trained."""
    settings: dict[str, Any] = {"short_side": SHORT_SIDE, **_VARIANTS[variant]}
    return recipes.Recipe(
        model=f"{net}_spp",
        width=0.125,
        dropout=0.2,
        data="shapes",
        color_jitter=0.0,
        batch_size=32,
        epochs=14,
        num_lr_drops=1,
        patience=4,
        seed=seed,
        **settings,
    )


def find_coarse_map(net: str, variant: str) -> str:
    """Why a network cannot tell what its sizes of training are good for; empty if it can.

    It cannot where the map of one of them has fewer cells than the finest level has bins: those
    bins share cells, and the pyramid says little that its coarser levels do not.

    Example:

    >>> find_coarse_map("zf5", "multi")
    'the second map (4x4 cells, of 90 pixels) is coarser than the pyramid (6x6)'
    >>> find_coarse_map("overfeat7", "multi")
    ''
    """
    made = recipe(net, variant, seed=0)
    sides = made.image_sizes or (made.short_side,)
    side = min(sides)
    cells, bins = tables.get_trunk(net).grid.map_size(side), max(made.levels)
    if cells >= bins:
        return ""
    which = "second" if made.size_policy == "alternating" else "smallest"
    return (
        f"the {which} map ({cells}x{cells} cells, of {side} pixels) is coarser than the pyramid "
        f"({bins}x{bins})"
    )


def coarse_maps(pairs: Iterable[tuple[str, str]]) -> str:
    """A sentence about those of some networks and variants that `find_coarse_map` finds.

    Example:

    >>> coarse_maps([("overfeat5", "multi"), ("overfeat7", "multi")])
    ''
    """
    found = [(NETS[net], variant, find_coarse_map(net, variant)) for net, variant in pairs]
    return "".join(f" {name}, {VARIANTS[variant]}: {why}." for name, variant, why in found if why)


def run(folder: Path, net: str, variant: str, seed: int) -> Path:
    """Its run folder."""
    return folder / f"{net}-{variant}-{seed}"


def is_trained(folder: Path) -> bool:
    """Whether a training has come to its end."""
    return (folder / run_folder.BEST_WEIGHTS).exists() and (folder / run_folder.CURVES).exists()


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
