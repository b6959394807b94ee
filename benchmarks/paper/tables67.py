"""The paper's Tables 6 and 7 in small: each layer's features and support vector machines.

    python benchmarks/paper/train.py --runs runs/paper
    python benchmarks/paper/tables67.py --runs runs/paper

ZF-5 without a pyramid and, trained at two sizes, with one: features of the centre crop and of
whole images, of the images of `shapes` that no network learned from. Table 6: machines learn
from the validation split and are tested on the test split, mAP by the 11 points of VOC 2007.
Table 7: both splits together, ten draws of 30 images a class to learn from and up to 50 to test
on, as for Caltech101. Writes tables67.json, .md and .png.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import networks
import numpy as np
import publishing
import verdicts

from spp_keras import runs, trained
from spp_keras.data import records
from spp_keras.evaluation import features, kept, members, rates, svm

_NET = "zf5"
_LAYERS = {
    "conv4": "conv4",
    "conv5": "conv5",
    "spp/6x6": "pool5 (6x6)",
    "spp": "SPP pool5",
    "fc6": "fc6",
    "fc7": "fc7",
}
# Variant, and side of the crop or short side of the whole image: the paper's 224 and 392, halved.
_COLUMNS = {
    "no SPP, crop": ("none", {"side": networks.SIDE}),
    "SPP, crop": ("multi", {"side": networks.SIDE}),
    "SPP, full": ("multi", {"short_side": networks.SIDE}),
    "SPP, full, larger": ("multi", {"short_side": 196}),
}
_MEASURES = {
    "mAP": "Table 6: mAP in %, 11 points",
    "accuracy": "Table 7: accuracy in %, mean over classes and ten draws",
}
_PAPER = {
    "mAP": {
        "conv4": ("59.96", "57.28", "", ""),
        "conv5": ("66.34", "65.43", "", ""),
        "spp/6x6": ("69.14", "68.76", "70.82", "71.67"),
        "spp": ("", "", "", ""),
        "fc6": ("74.86", "75.55", "77.32", "78.78"),
        "fc7": ("75.90", "76.45", "78.39", "80.10"),
    },
    "accuracy": {
        "conv4": ("80.12", "81.03", "", ""),
        "conv5": ("84.40", "83.76", "", ""),
        "spp/6x6": ("87.98", "87.60", "89.46", ""),
        "spp": ("", "89.47", "91.44", ""),
        "fc6": ("87.86", "88.54", "89.50", ""),
        "fc7": ("", "", "", ""),
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes."""
    options = publishing.parser(__doc__).parse_args(arguments)
    started = publishing.begin("tables67", options, "scikit-learn")
    splits = [
        kept.Images(records.load("shapes", split, options.data_dir))
        for split in ("validation", "test")
    ]
    seeds = networks.seeds(options.runs, [_NET], ["none", "multi"])
    rows = []
    for seed in seeds:
        for column, (variant, view) in _COLUMNS.items():
            run = networks.run(options.runs, _NET, variant, seed)
            for layer, vectors in _vectors(run, view, splits).items():
                row = {"column": column, "layer": layer, "seed": seed}
                labels = [images.found.labels for images in splits]
                rows.append(row | _measured(vectors, labels))
    text = _markdown(rows, len(seeds))
    publishing.publish(options.out / "tables67", started, rows, text)
    _draw(rows, options.out / "tables67.png")
    return 0


def _vectors(
    run: Path, view: dict[str, int], splits: Sequence[kept.Images]
) -> dict[str, list[np.ndarray]]:
    """Features of both splits of each layer that has vectors of one length."""
    member, protocol = members.for_features(run, **view)
    # Of one level the pyramid is that level; whole images have maps of many lengths.
    without = {"spp"} if member.recipe.levels == (6,) else set()
    without |= set() if "side" in view else {"conv4", "conv5"}
    layers = [layer for layer in _LAYERS if layer not in without]
    found = features.vectors_of(
        member,
        protocol,
        layers,
        lambda: trained.load(run).network,
        splits,
        run / runs.EVALUATION / runs.FEATURES,
    )
    return {
        layer: [svm.normalised(lot) for lot in lots]
        for layer, lots in zip(layers, found, strict=True)
    }


def _measured(vectors: list[np.ndarray], labels: list[np.ndarray]) -> dict[str, float]:
    learned, tested = (np.eye(labels[0].max() + 1, dtype=int)[each] for each in labels)
    scores = svm.scores(vectors[0], learned, vectors[1])
    accuracies = svm.accuracies(np.concatenate(vectors), np.concatenate(labels))
    return {
        "mAP": 100 * rates.mean_average_precision(scores, tested, rule="11-point"),
        "accuracy": 100 * float(np.mean(accuracies)),
    }


def _of(rows: list[dict[str, Any]], column: str, layer: str, measure: str) -> list[float]:
    return verdicts.values(rows, measure, column=column, layer=layer)


def _markdown(rows: list[dict[str, Any]], seeds: int) -> str:
    lines = [
        f"Linear support vector machines on features of {networks.NETS[_NET]}, brought to a "
        f"length of 1, C = 1; images of `shapes` that it has not learned from, of its own twelve "
        f"classes. Mean and standard error over {seeds} seeds. In brackets the paper's, of nets "
        "trained on ImageNet and images of VOC 2007 and Caltech101.",
        "",
    ]
    for measure, title in _MEASURES.items():
        lines += [
            f"| {title} | " + " | ".join(_COLUMNS) + " |",
            "|---|" + "---|" * len(_COLUMNS),
        ]
        for layer, name in _LAYERS.items():
            cells = []
            for column, paper in zip(_COLUMNS, _PAPER[measure][layer], strict=True):
                values = _of(rows, column, layer, measure)
                cell = verdicts.cell(values) if values else ""
                cells.append(f"{cell} ({paper})" if paper else cell)
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    for measure in _MEASURES:
        for worse, better, claim in (
            (("SPP, crop", "fc7"), ("SPP, full", "fc7"), "whole images are better than crops, fc7"),
            (("SPP, crop", "spp"), ("SPP, full", "spp"), "whole images are better than crops, SPP"),
            (("SPP, full", "fc7"), ("SPP, full, larger", "fc7"), "larger ones are better, fc7"),
            (("SPP, crop", "spp/6x6"), ("SPP, crop", "spp"), "50 bins are better than 6x6, crop"),
            (("SPP, full", "spp/6x6"), ("SPP, full", "spp"), "50 bins are better than 6x6, full"),
            (("SPP, full", "fc6"), ("SPP, full", "fc7"), "a deeper layer is better, fc7 than fc6"),
            (("SPP, crop", "conv4"), ("SPP, crop", "conv5"), "likewise conv5 than conv4"),
        ):
            gains = verdicts.gains(_of(rows, *better, measure), _of(rows, *worse, measure))
            lines.append(verdicts.verdict(f"{claim}, {measure}", gains))
    return "\n".join(lines) + "\n"


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    with publishing.figure(path) as axes:
        names = list(_LAYERS.values())
        for column in _COLUMNS:
            layers = [layer for layer in _LAYERS if _of(rows, column, layer, "mAP")]
            means, errors = zip(
                *(verdicts.mean(_of(rows, column, layer, "mAP")) for layer in layers), strict=True
            )
            places = [list(_LAYERS).index(layer) for layer in layers]
            axes.errorbar(places, means, yerr=errors, marker="o", capsize=3, label=column)
        axes.set_xticks(range(len(names)), names)
        axes.set_ylabel("mAP, %, of support vector machines")
        axes.legend()


if __name__ == "__main__":
    sys.exit(main())
