"""The paper's Table 4 in small: 1, 10 and 96+2 views, and ensembles of 1 to 11 networks.

    python benchmarks/paper/train.py --runs runs/paper
    python benchmarks/paper/table4.py --runs runs/paper
    python benchmarks/paper/table4.py --render    # text and drawing again, from the JSON

Overfeat-7 trained at two sizes, as in the paper; the eleven are drawn many times from all
networks with a pyramid that were. The unseen images of `shapes`. Writes table4.json, .md and
.png.
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

_NET, _VARIANT = "overfeat7", "multi"
_VIEWS = {
    "crop": ("1, center crop", "32.57", "none"),
    "full": ("1, full image", "31.25", "none"),
    "10-view": ("10", "29.68", "10.95"),
    "10-view-map": ("10, from maps", "none", "none"),
    "96-view": ("96, from maps", "none", "9.36"),
    "96-view+full": ("96 + 2 full, from maps", "27.86", "9.14"),
}
_MOST, _DRAWS = 11, 200
# Points of top-5 that views from maps are within, says the paper, Section 3.1.5.
_SAME = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes."""
    options = publishing.parser(__doc__).parse_args(arguments)
    stem = options.out / "table4"
    if not options.render:
        started = publishing.begin("table4", options)
        publishing.keep(stem, started, *_measure(options))
    publishing.render(stem, markdown, _draw)
    return 0


def _measure(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts that hold for all rows, and the rows."""
    unseen = measuring.Unseen(options.data_dir)
    seeds = networks.seeds(options.runs, networks.NETS, [_VARIANT])
    rows, members, used = [], [], []
    for seed in seeds:
        run = networks.run(options.runs, _NET, _VARIANT, seed)
        for view, scores in zip(_VIEWS, unseen.scores(run, list(_VIEWS)), strict=True):
            rows.append({"view": view, "seed": seed, **unseen.errors(scores)})
        for net in networks.NETS:
            run = networks.run(options.runs, net, _VARIANT, seed)
            used.append(run)
            members += unseen.scores(run, ["10-view"])
    rows += _ensembles(unseen, np.stack(members))
    known = {"images": len(unseen.labels), "members": len(members)}
    return known | convergence.facts({_VARIANT: used}), rows


def _ensembles(unseen: measuring.Unseen, members: np.ndarray) -> list[dict[str, Any]]:
    """Networks in a random order, of which the first 1, 2, ... are averaged."""
    rng, rows = np.random.default_rng(0), []
    for draw in range(_DRAWS):
        order = rng.permutation(len(members))[:_MOST]
        means = np.cumsum(members[order], axis=0, dtype="float64")
        for count, scores in enumerate(means, 1):
            rows.append({"networks": count, "draw": draw, **unseen.errors(scores)})
    return rows


def markdown(results: dict[str, Any]) -> str:
    """The tables and what they say of the paper's claims."""
    rows, facts = results["rows"], results["facts"]
    lines = [
        f"Error in %, of the {facts['images']} test images of `shapes`; {networks.NETS[_NET]} "
        f"trained on crops of two sizes, mean and standard error over {verdicts.count_seeds(rows)} "
        "seeds. In brackets the paper's, of ImageNet.",
        "",
        "| views | top-1 | top-5 |",
        "|---|---|---|",
    ]
    for view, (title, *paper) in _VIEWS.items():
        cells = [
            f"{verdicts.cell(verdicts.values(rows, key, view=view))} ({figure})"
            for key, figure in zip(("top-1", "top-5"), paper, strict=True)
        ]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Ensembles by ten views of networks drawn {_DRAWS} times from {facts['members']}, of all "
        "four kinds; mean and standard deviation over the draws. The paper's eleven: 8.06 top-5 on "
        "ImageNet's test images, where the best of them alone has 9.08 by 96 + 2 views."
        + networks.coarse_maps((net, _VARIANT) for net in networks.NETS),
        "",
        "| networks | top-1 | top-5 |",
        "|---|---|---|",
    ]
    for count in range(1, _MOST + 1):
        cells = []
        for key in ("top-1", "top-5"):
            values = verdicts.values(rows, key, networks=count)
            cells.append(f"{np.mean(values):.1f} ± {np.std(values):.1f}")
        lines.append(f"| {count} | " + " | ".join(cells) + " |")
    lines += ["", *(verdicts.line(claim) for claim in claims(rows))]
    return "\n".join(lines) + "\n"


def claims(rows: list[dict[str, Any]]) -> list[verdicts.Claim]:
    """What more views give, maps against pixels, and what more networks give."""
    made = []
    for worse, better, claim in (
        ("crop", "10-view", "ten views are better than one crop"),
        ("10-view", "96-view", "96 views over six scales are better than ten"),
        ("96-view", "96-view+full", "two full views add to the 96"),
        ("full", "96-view+full", "98 views are better than the full image alone"),
    ):
        for key in ("top-1", "top-5"):
            verdict = verdicts.judge(_gains(rows, worse, better, key))
            made.append(verdicts.Claim(f"{claim}, {key}", verdict))
    gains = _gains(rows, "10-view", "10-view-map", "top-5")
    text = "ten views from the maps are within 0.1 points of ten from pixels, top-5"
    made.append(verdicts.Claim(text, verdicts.judge(gains, within=_SAME)))
    gains = _gains(rows, "10-view", "10-view-map", "top-1")
    text = "ten views from the maps are better than ten from pixels, top-1 (no claim of the paper)"
    made.append(verdicts.Claim(text, verdicts.judge(gains)))
    # Of so few networks every two draws have members in common.
    why = f"{_DRAWS} draws of the same networks are not independent"
    one, most = (np.mean(verdicts.values(rows, "top-1", networks=count)) for count in (1, _MOST))
    note = f"{one:.1f} % error of one, {most:.1f} % of {_MOST}"
    text = f"{_MOST} networks together are better than one, top-1"
    return [*made, verdicts.Claim(text, verdicts.cannot_judge(why), note=note)]


def _gains(rows: list[dict[str, Any]], worse: str, better: str, key: str) -> list[float]:
    before, after = (verdicts.values(rows, key, view=view) for view in (worse, better))
    return verdicts.gains(before, after)


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    with publishing.figure(path) as axes:
        counts = range(1, _MOST + 1)
        values = [verdicts.values(rows, "top-1", networks=count) for count in counts]
        means, spreads = [np.mean(of) for of in values], [np.std(of) for of in values]
        axes.errorbar(counts, means, yerr=spreads, capsize=3, label="10 views, ensembles")
        for view in ("crop", "full", "10-view", "96-view+full"):
            mean, _ = verdicts.mean(verdicts.values(rows, "top-1", view=view))
            title = f"{networks.NETS[_NET]} alone, {_VIEWS[view][0]}"
            axes.plot(1, mean, "o", label=title)
        axes.set_xticks(counts)
        axes.set_xlabel("networks")
        axes.set_ylabel("top-1 error, %")
        axes.legend()


if __name__ == "__main__":
    sys.exit(main())
