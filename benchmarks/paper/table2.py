"""The paper's Table 2 in small: four networks without pyramid, with one, and at several sizes.

    python benchmarks/paper/train.py --runs runs/paper
    python benchmarks/paper/table2.py --runs runs/paper
    python benchmarks/paper/table2.py --render    # text and drawing again, from the JSON

Ten views, the unseen images of `shapes`. Writes table2.json, .md and .png.
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
import publishing
import verdicts

# Top-1 and top-5 error on ImageNet, in the order of networks.NETS; random sizes of Overfeat-7 only.
_PAPER = {
    "none": (("35.99", "34.93", "34.13", "32.01"), ("14.76", "13.92", "13.52", "11.97")),
    "single": (("34.98", "34.38", "32.87", "30.36"), ("14.14", "13.54", "12.80", "11.12")),
    "multi": (("34.60", "33.94", "32.26", "29.68"), ("13.64", "13.33", "12.33", "10.95")),
    "random": (("none", "none", "none", "30.06"), ("none", "none", "none", "10.96")),
}
_CLAIMS = (
    ("none", "single", "a pyramid is better than 6x6 bins alone, at one size"),
    ("single", "multi", "training at two sizes is better than at one"),
    ("single", "random", "training at random sizes is better than at one"),
    ("random", "multi", "two sizes are better than random ones"),
    ("none", "multi", "pyramid and two sizes together are better than neither"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes."""
    options = publishing.parser(__doc__).parse_args(arguments)
    stem = options.out / "table2"
    if not options.render:
        started = publishing.begin("table2", options)
        publishing.keep(stem, started, *_measure(options))
    publishing.render(stem, markdown, _draw)
    return 0


def _measure(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts that hold for all rows, and the rows."""
    unseen = measuring.Unseen(options.data_dir)
    seeds = networks.seeds(options.runs, networks.NETS, ["none", "single", "multi"])
    rows, used = [], {}
    for net in networks.NETS:
        for variant in _PAPER:
            every = [networks.run(options.runs, net, variant, seed) for seed in seeds]
            # Like the paper's, the row of random sizes may have some networks alone.
            if not all(map(networks.is_trained, every)):
                continue
            used.setdefault(variant, []).extend(every)
            for seed, run in enumerate(every):
                (scores,) = unseen.scores(run, ["10-view"])
                rows.append({"net": net, "variant": variant, "seed": seed, **unseen.errors(scores)})
    return {"images": len(unseen.labels), **convergence.facts(used)}, rows


def _of(rows: list[dict[str, Any]], net: str, variant: str, key: str = "top-1") -> list[float]:
    return verdicts.values(rows, key, net=net, variant=variant)


def markdown(results: dict[str, Any]) -> str:
    """The table and what it says of the paper's claims."""
    rows = results["rows"]
    lines = [
        f"Error in %, ten views, of the {results['facts']['images']} test images of `shapes`, "
        f"twelve classes; mean and standard error over {verdicts.count_seeds(rows)} seeds. In "
        "brackets the paper's, of ImageNet and networks eight times as wide.",
        "",
    ]
    for place, key in enumerate(("top-1", "top-5")):
        lines += [
            f"| {key} | " + " | ".join(networks.NETS.values()) + " |",
            "|---|" + "---|" * len(networks.NETS),
        ]
        for variant in _PAPER:
            cells = [
                f"{verdicts.cell(found)} ({paper})"
                if (found := _of(rows, net, variant, key))
                else ""
                for net, paper in zip(networks.NETS, _PAPER[variant][place], strict=True)
            ]
            lines.append(f"| {networks.VARIANTS[variant]} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += [verdicts.line(claim) for claim in claims(rows)]
    return "\n".join(lines) + "\n"


def claims(rows: list[dict[str, Any]]) -> list[verdicts.Claim]:
    """Each claim for all networks that can tell, together, and for each alone."""
    made = []
    for worse, better, claim in _CLAIMS:
        nets = [net for net in networks.NETS if _of(rows, net, worse) and _of(rows, net, better)]
        every = {net: verdicts.gains(_of(rows, net, worse), _of(rows, net, better)) for net in nets}
        coarse = {net: _coarse(net, worse, better) for net in nets}
        able = [net for net in nets if not coarse[net]]
        if len(nets) > 1 and able:
            names = "four networks" if able == list(networks.NETS) else _names(able)
            together = verdicts.judge(verdicts.together([every[net] for net in able]))
            made.append(verdicts.Claim(f"{claim}, {names} together", together))
        for net in able:
            text = networks.NETS[net] if len(nets) > 1 else f"{claim}, {networks.NETS[net]}"
            verdict = verdicts.judge(every[net])
            made.append(verdicts.Claim(text, verdict, level=int(len(nets) > 1)))
        for why in dict.fromkeys(filter(None, coarse.values())):
            names = _names([net for net in nets if coarse[net] == why])
            made.append(verdicts.Claim(f"{claim}, {names}", verdicts.cannot_judge(why)))
    return made


def _coarse(net: str, *variants: str) -> str:
    """Why a network cannot tell of the sizes of these trainings; empty if it can."""
    return next(filter(None, (networks.find_coarse_map(net, each) for each in variants)), "")


def _names(nets: Sequence[str]) -> str:
    return " and ".join(networks.NETS[net] for net in nets)


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    with publishing.figure(path) as axes:
        for number, variant in enumerate(_PAPER):
            nets = [net for net in networks.NETS if _of(rows, net, variant)]
            if not nets:
                continue
            means, errors = zip(
                *(verdicts.mean(_of(rows, net, variant)) for net in nets), strict=True
            )
            places = [list(networks.NETS).index(net) + 0.2 * (number - 1.5) for net in nets]
            axes.bar(places, means, 0.18, yerr=errors, label=networks.VARIANTS[variant], capsize=3)
        axes.set_xticks(range(len(networks.NETS)), networks.NETS.values())
        axes.set_ylabel("top-1 error, %, ten views")
        least = min(row["top-1"] for row in rows)
        axes.set_ylim(bottom=max(0, least - 10))
        axes.legend()


if __name__ == "__main__":
    sys.exit(main())
