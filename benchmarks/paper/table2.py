"""The paper's Table 2 in small: four networks without pyramid, with one, and at several sizes.

    python benchmarks/paper/train.py --runs runs/paper
    python benchmarks/paper/table2.py --runs runs/paper

Ten views, the unseen images of `shapes`. Writes table2.json, .md and .png.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes."""
    options = publishing.parser(__doc__).parse_args(arguments)
    started = publishing.begin("table2", options)
    unseen = measuring.Unseen(options.data_dir)
    seeds = networks.seeds(options.runs, networks.NETS, ["none", "single", "multi"])
    rows = []
    for net in networks.NETS:
        for variant in networks.VARIANTS:
            every = [networks.run(options.runs, net, variant, seed) for seed in seeds]
            # Like the paper's, the row of random sizes may have some networks alone.
            for seed, run in enumerate(every if all(map(networks.is_trained, every)) else []):
                (scores,) = unseen.scores(run, ["10-view"])
                rows.append({"net": net, "variant": variant, "seed": seed, **unseen.errors(scores)})
    text = _markdown(rows, len(unseen.labels), len(seeds))
    publishing.publish(options.out / "table2", started, rows, text)
    _draw(rows, options.out / "table2.png")
    return 0


def _of(rows: list[dict[str, Any]], net: str, variant: str, key: str = "top-1") -> list[float]:
    return verdicts.values(rows, key, net=net, variant=variant)


def _markdown(rows: list[dict[str, Any]], images: int, seeds: int) -> str:
    lines = [
        f"Error in %, ten views, of the {images} test images of `shapes`, twelve classes; mean and "
        f"standard error over {seeds} seeds. In brackets the paper's, of ImageNet and networks "
        "eight times as wide.",
        "",
    ]
    for place, key in enumerate(("top-1", "top-5")):
        lines += [
            f"| {key} | " + " | ".join(networks.NETS.values()) + " |",
            "|---|" + "---|" * len(networks.NETS),
        ]
        for variant, title in networks.VARIANTS.items():
            cells = [
                f"{verdicts.cell(found)} ({paper})"
                if (found := _of(rows, net, variant, key))
                else ""
                for net, paper in zip(networks.NETS, _PAPER[variant][place], strict=True)
            ]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
        lines.append("")
    comparisons = [
        ("none", "single", "a pyramid is better than 6x6 bins alone, at one size"),
        ("single", "multi", "training at two sizes is better than at one"),
        ("single", "random", "training at random sizes is better than at one"),
        ("random", "multi", "two sizes are better than random ones"),
        ("none", "multi", "pyramid and two sizes together are better than neither"),
    ]
    for worse, better, claim in comparisons:
        nets = [net for net in networks.NETS if _of(rows, net, worse) and _of(rows, net, better)]
        every = [verdicts.gains(_of(rows, net, worse), _of(rows, net, better)) for net in nets]
        if len(nets) > 1:
            together = verdicts.together(every)
            lines.append(verdicts.verdict(f"{claim}, {len(nets)} networks together", together))
        for net, gains in zip(nets, every, strict=True):
            of_one = networks.NETS[net] if len(nets) > 1 else f"{claim}, {networks.NETS[net]}"
            lines.append("  " * (len(nets) > 1) + verdicts.verdict(of_one, gains))
    return "\n".join(lines) + "\n"


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    with publishing.figure(path) as axes:
        for number, (variant, title) in enumerate(networks.VARIANTS.items()):
            nets = [net for net in networks.NETS if _of(rows, net, variant)]
            if not nets:
                continue
            means, errors = zip(
                *(verdicts.mean(_of(rows, net, variant)) for net in nets), strict=True
            )
            places = [list(networks.NETS).index(net) + 0.2 * (number - 1.5) for net in nets]
            axes.bar(places, means, 0.18, yerr=errors, label=title, capsize=3)
        axes.set_xticks(range(len(networks.NETS)), networks.NETS.values())
        axes.set_ylabel("top-1 error, %, ten views")
        least = min(row["top-1"] for row in rows)
        axes.set_ylim(bottom=max(0, least - 10))
        axes.legend()


if __name__ == "__main__":
    sys.exit(main())
