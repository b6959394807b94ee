"""The paper's Table 3 in small: one view of an image, the center crop or all of it.

    python benchmarks/paper/train.py --runs runs/paper
    python benchmarks/paper/table3.py --runs runs/paper
    python benchmarks/paper/table3.py --render    # text and drawing again, from the JSON

The unseen images of `shapes`, scaled to one short side. Writes table3.json, .md and .png.
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
import verdicts

_NETS = ("zf5", "overfeat7")
_VARIANTS = ("single", "multi")
# Told apart by what lies outside the center crop, see the card of `shapes`.
_OUTSIDE = ("pin", "hammer", "fork")
_VIEWS = {"crop": "1 crop", "full": "1 full"}
_PAPER = {
    ("zf5", "single"): ("38.01", "37.55"),
    ("zf5", "multi"): ("37.57", "37.07"),
    ("overfeat7", "single"): ("33.18", "32.72"),
    ("overfeat7", "multi"): ("32.57", "31.25"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes."""
    options = publishing.parser(__doc__).parse_args(arguments)
    stem = options.out / "table3"
    if not options.render:
        started = publishing.begin("table3", options)
        publishing.keep(stem, started, *_measure(options))
    publishing.render(stem, markdown, _draw)
    return 0


def _measure(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts that hold for all rows, and the rows."""
    unseen = measuring.Unseen(options.data_dir)
    seeds = networks.seeds(options.runs, _NETS, _VARIANTS)
    rows, used = [], {}
    for net, variant in _PAPER:
        for seed in seeds:
            run = networks.run(options.runs, net, variant, seed)
            used.setdefault(variant, []).append(run)
            of_views = unseen.scores(run, list(_VIEWS))
            for view, scores in zip(_VIEWS, of_views, strict=True):
                row = {"net": net, "variant": variant, "seed": seed, "view": view}
                rows.append({**row, **unseen.errors(scores), **_by_kind(unseen, scores)})
    return {"images": len(unseen.labels), **convergence.facts(used)}, rows


def _by_kind(unseen: measuring.Unseen, scores: np.ndarray) -> dict[str, float]:
    """Top-1 error of the classes that a crop cannot tell apart, and of the others."""
    classes = np.array(unseen.images.records.classes)[unseen.labels]
    outside = np.isin(classes, _OUTSIDE)
    wrong = 100 * (scores.argmax(axis=1) != unseen.labels)
    return {"outside": float(wrong[outside].mean()), "inside": float(wrong[~outside].mean())}


def _of(rows: list[dict[str, Any]], view: str, key: str = "top-1", **which: str) -> list[float]:
    return verdicts.values(rows, key, view=view, **which)


def _gains(rows: list[dict[str, Any]], key: str = "top-1", **which: str) -> list[float]:
    return verdicts.gains(_of(rows, "crop", key, **which), _of(rows, "full", key, **which))


def markdown(results: dict[str, Any]) -> str:
    """The table and what it says of the paper's claims."""
    rows = results["rows"]
    lines = [
        f"Top-1 error in %, one view, of the {results['facts']['images']} test images of `shapes` "
        f"at a short side of {networks.SHORT_SIDE}; mean and standard error over "
        f"{verdicts.count_seeds(rows)} seeds. In brackets the paper's, of ImageNet at 256. Of "
        "twelve classes three (pin, hammer, fork) differ outside the center crop alone. All "
        "networks learned from crops, as the paper's." + networks.coarse_maps(_PAPER),
        "",
        "| | 1 crop | 1 full | those three: crop | full | the others: crop | full |",
        "|---|---|---|---|---|---|---|",
    ]
    for (net, variant), paper in _PAPER.items():
        which = {"net": net, "variant": variant}
        cells = [
            f"{verdicts.cell(_of(rows, view, **which))} ({figure})"
            for view, figure in zip(_VIEWS, paper, strict=True)
        ]
        for kind in ("outside", "inside"):
            cells += [verdicts.cell(_of(rows, view, kind, **which)) for view in _VIEWS]
        title = f"{networks.NETS[net]}, {networks.VARIANTS[variant]}"
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines.append("")
    lines += [verdicts.line(claim) for claim in claims(rows)]
    return "\n".join(lines) + "\n"


def claims(rows: list[dict[str, Any]]) -> list[verdicts.Claim]:
    """The whole image against its crop: networks together, each, and by kind of class."""
    every = [_gains(rows, net=net, variant=variant) for net, variant in _PAPER]
    made = [
        verdicts.Claim(
            "the whole image is better than its center crop, four networks together",
            verdicts.judge(verdicts.together(every)),
        )
    ]
    for (net, variant), gains in zip(_PAPER, every, strict=True):
        title = f"{networks.NETS[net]}, {networks.VARIANTS[variant]}"
        made.append(verdicts.Claim(title, verdicts.judge(gains), level=1))
    for kind, title in (
        ("outside", "so it is for pin, hammer and fork"),
        ("inside", "so it is for the other classes"),
    ):
        of_kind = [_gains(rows, kind, net=net, variant=variant) for net, variant in _PAPER]
        made.append(verdicts.Claim(title, verdicts.judge(verdicts.together(of_kind))))
    return made


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    with publishing.figure(path) as axes:
        for number, (view, title) in enumerate(_VIEWS.items()):
            means, errors = zip(
                *(
                    verdicts.mean(_of(rows, view, net=net, variant=variant))
                    for net, variant in _PAPER
                ),
                strict=True,
            )
            places = [place + 0.3 * (number - 0.5) for place in range(len(_PAPER))]
            axes.bar(places, means, 0.28, yerr=errors, label=title, capsize=3)
        titles = [f"{networks.NETS[net]}\n{networks.VARIANTS[variant]}" for net, variant in _PAPER]
        axes.set_xticks(range(len(_PAPER)), titles)
        axes.set_ylabel("top-1 error, %, one view")
        axes.legend()


if __name__ == "__main__":
    sys.exit(main())
