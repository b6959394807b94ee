"""The paper's Tables 6 and 7 in small: each layer's features and support vector machines.

    python benchmarks/paper/train.py --runs runs/paper
    python benchmarks/paper/tables67.py --runs runs/paper
    python benchmarks/paper/tables67.py --render    # text and drawing again, from the JSON

ZF-5 without a pyramid and, trained at two sizes, with one: features of the center crop and of
whole images, of the images of `shapes` that no network learned from. Table 6: machines learn
from the validation split and are tested on the test split, mAP by the 11 points of VOC 2007.
Table 7: both splits together, ten draws of 30 images a class to learn from and up to 50 to test
on, as for Caltech101. Writes tables67.json, .md and .png.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import convergence
import networks
import numpy as np
import publishing
import verdicts

from spp_keras import run_folder
from spp_keras.data import records
from spp_keras.evaluation import feature_svm, features, run_settings, score_cache
from spp_keras.metrics import classification
from spp_keras.run_folder import RunFolder

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
    "no SPP, crop": ("none", {"view_size": networks.SIDE}),
    "SPP, crop": ("multi", {"view_size": networks.SIDE}),
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
        "fc7": ("85.30", "86.10", "87.08", ""),
    },
}
# What is better, than what, as the paper says it, or we where that is added.
_CROP, _FULL, _LARGER = "SPP, crop", "SPP, full", "SPP, full, larger"
_OURS = " (no figure of the paper's)"
_CLAIMS = {
    "mAP": (
        ("whole images are better than crops, fc7", (_FULL, "fc7"), (_CROP, "fc7")),
        ("whole images are better than crops, pool5", (_FULL, "spp/6x6"), (_CROP, "spp/6x6")),
        (f"whole images are better than crops, SPP{_OURS}", (_FULL, "spp"), (_CROP, "spp")),
        ("larger images are better, fc7", (_LARGER, "fc7"), (_FULL, "fc7")),
        (f"50 bins are better than 6x6, crop{_OURS}", (_CROP, "spp"), (_CROP, "spp/6x6")),
        (f"50 bins are better than 6x6, full{_OURS}", (_FULL, "spp"), (_FULL, "spp/6x6")),
        ("a deeper layer is better, fc7 than fc6, full", (_FULL, "fc7"), (_FULL, "fc6")),
        ("a deeper layer is better, conv5 than conv4, crop", (_CROP, "conv5"), (_CROP, "conv4")),
    ),
    "accuracy": (
        ("whole images are better than crops, SPP", (_FULL, "spp"), (_CROP, "spp")),
        ("whole images are better than crops, fc7", (_FULL, "fc7"), (_CROP, "fc7")),
        (
            f"a short side of {networks.SIDE} is better than larger ones, SPP",
            (_FULL, "spp"),
            (_LARGER, "spp"),
        ),
        ("50 bins are better than 6x6, crop", (_CROP, "spp"), (_CROP, "spp/6x6")),
        ("50 bins are better than 6x6, full", (_FULL, "spp"), (_FULL, "spp/6x6")),
        ("the SPP layer is better than fc6, crop", (_CROP, "spp"), (_CROP, "fc6")),
        ("the SPP layer is better than fc6, full", (_FULL, "spp"), (_FULL, "fc6")),
        ("the SPP layer is better than fc7, crop", (_CROP, "spp"), (_CROP, "fc7")),
        ("the SPP layer is better than fc7, full", (_FULL, "spp"), (_FULL, "fc7")),
        ("conv5 is better than conv4, crop", (_CROP, "conv5"), (_CROP, "conv4")),
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes."""
    options = publishing.parser(__doc__).parse_args(arguments)
    stem = options.out / "tables67"
    if not options.render:
        started = publishing.begin("tables67", options, "scikit-learn")
        publishing.keep(stem, started, *_measure(options))
    publishing.render(stem, markdown, _draw)
    return 0


def _measure(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Facts that hold for all rows, and the rows."""
    splits = [
        score_cache.ImageChunks(records.load_records("shapes", split, options.data_dir))
        for split in ("validation", "test")
    ]
    seeds = networks.seeds(options.runs, [_NET], ["none", "multi"])
    rows = []
    for seed in seeds:
        for column, (variant, view) in _COLUMNS.items():
            run = networks.run(options.runs, _NET, variant, seed)
            for layer, vectors in _vectors(run, view, splits).items():
                row = {"column": column, "layer": layer, "seed": seed}
                labels = [images.records.labels for images in splits]
                rows.append(row | _measured(vectors, labels))
    used = {
        variant: [networks.run(options.runs, _NET, variant, seed) for seed in seeds]
        for variant in ("none", "multi")
    }
    return {"images": len(splits[1].records), **convergence.facts(used)}, rows


def _vectors(
    run: Path, view: dict[str, int], splits: Sequence[score_cache.ImageChunks]
) -> dict[str, list[np.ndarray]]:
    """Features of both splits of each layer that has vectors of one length."""
    member, protocol = run_settings.read_run_for_features(run, **view)
    # Of one level the pyramid is that level; whole images have maps of many lengths.
    without = {"spp"} if member.recipe.levels == (6,) else set()
    without |= set() if "view_size" in view else {"conv4", "conv5"}
    layers = [layer for layer in _LAYERS if layer not in without]
    found = features.extract_features(
        member,
        protocol,
        layers,
        RunFolder(run).model,
        splits,
        run / run_folder.EVALUATION / run_folder.FEATURE_CACHE,
    )
    return {
        layer: [feature_svm.normalize(lot) for lot in lots]
        for layer, lots in zip(layers, found, strict=True)
    }


def _measured(vectors: list[np.ndarray], labels: list[np.ndarray]) -> dict[str, float]:
    learned, tested = (np.eye(labels[0].max() + 1, dtype=int)[each] for each in labels)
    scores = feature_svm.score_by_svm(vectors[0], learned, vectors[1])
    accuracies = feature_svm.measure_accuracies(np.concatenate(vectors), np.concatenate(labels))
    return {
        "mAP": 100 * classification.mean_average_precision(scores, tested, rule="11-point"),
        "accuracy": 100 * float(np.mean(accuracies)),
    }


def _of(rows: list[dict[str, Any]], column: str, layer: str, measure: str) -> list[float]:
    return verdicts.values(rows, measure, column=column, layer=layer)


def markdown(results: dict[str, Any]) -> str:
    """The tables and what they say of the paper's claims."""
    rows = results["rows"]
    lines = [
        f"Linear support vector machines on features of {networks.NETS[_NET]}, brought to a "
        "length of 1, C = 1; images of `shapes` that it has not learned from, of its own twelve "
        f"classes. Mean and standard error over {verdicts.count_seeds(rows)} seeds. In brackets "
        "the paper's, of nets trained on ImageNet and images of VOC 2007 and Caltech101. The map "
        f"of a crop of {networks.SIDE} pixels has 6x6 cells: conv5 and pool5 (6x6) of crops are "
        "the same feature. All networks learned from crops, as the paper's; those with a pyramid "
        "at two sizes." + networks.coarse_maps([(_NET, "multi")]),
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
    lines += [verdicts.line(claim) for claim in claims(rows)]
    return "\n".join(lines) + "\n"


def claims(rows: list[dict[str, Any]]) -> list[verdicts.Claim]:
    """Views, sizes and layers against each other, by both measures."""
    made = []
    for measure, every in _CLAIMS.items():
        for claim, better, worse in every:
            gains = verdicts.gains(_of(rows, *better, measure), _of(rows, *worse, measure))
            made.append(verdicts.Claim(f"{claim}, {measure}", verdicts.judge(gains)))
    return made


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
