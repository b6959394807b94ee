"""Evaluation of runs by the paper's testing protocols, one by one and as an ensemble."""

import functools
import gc
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras import _checks, _files, pretrained, run_folder
from spp_keras.data.records import Records
from spp_keras.evaluation import protocols, result_format, run_settings, score_cache
from spp_keras.evaluation.run_settings import EvaluatedRun
from spp_keras.metrics import classification
from spp_keras.run_folder import RunFolder

# Makes the function that scores an image, from its bytes and size, of a network.
MakeScorer = Callable[[keras.Model], Callable[..., np.ndarray]]


def evaluate(
    run: str | Path | Sequence[str | Path],
    protocol: str | Sequence[str] | None = None,
    *,
    data: str = "",
    data_dir: str = "",
    split: str = "",
    view_size: int | None = None,
    output: str | Path | None = None,
) -> dict[str, Any]:
    """Evaluates trained networks by the paper's testing protocols.

    The scores of several runs are also averaged, image by image, as an ensemble. Only one
    network is loaded at a time. Scores are cached while they are computed: the same call
    resumes an evaluation that was killed, and more runs or protocols reuse them.

    Views have the image size of the training: for crops the largest one, for whole images of
    a short side 7/8 of that (224 of 256). For a network trained on images of their own sizes
    `view_size` must be given. `"full"` sends what `spp-keras predict` sends. Images that
    are too small to be sent whole, as in training, are skipped by all protocols.

    Args:
        run: Run folder, or the name of a network with weights; or several.
        protocol: Name of a protocol, or several, see `Scorer`. Defaults to `None`, what
            prediction does: `"full"`, or `"crop"` or `"warp"` without a pyramid.
        data: Folder or data set. Defaults to the training data of the first run.
        data_dir: Folder of prepared TensorFlow Datasets. Defaults to `""`.
        split: Split to evaluate on. Defaults to that for validation.
        view_size: Size of the views; all scales are in proportion. Defaults to `None`, that
            of the training.
        output: Folder for `evaluation.json` and the scores. Defaults to `evaluation` in
            the run folder; for several runs it must be given.

    Returns:
        The content of `evaluation.json`: `"data"`, `"images"`, `"skipped"`, and `"rows"`, one
        for each run and protocol and one for all runs together, with the fractions `"top1"`
        and, of more than five classes, `"top5"`, or `"mean_average_precision"` where images
        have several classes.
    """
    paths = [pretrained.find_run(path) for path in ([run] if isinstance(run, str | Path) else run)]
    output = _check_runs(paths, output)
    if protocol is None:
        protocol = run_settings.choose_protocol(paths)
    names = [protocol] if isinstance(protocol, str) else list(protocol)
    _check_protocols(names, view_size)
    runs = [run_settings.read_run(path, names, view_size) for path in paths]
    records, skipped = run_settings.load_evaluation_records(runs, names, data, data_dir, split)
    images = score_cache.ImageChunks(records)

    rows: list[dict[str, Any]] = []
    totals: dict[str, np.ndarray] = {}
    for evaluated in runs:
        run_scores = score_protocols(evaluated, names, images, output / run_folder.SCORE_CACHE)
        for name, scores in zip(names, run_scores, strict=True):
            rows.append(_make_row([evaluated], name, scores, records))
            totals[name] = totals.get(name, 0) + scores.astype("float64")
    if len(runs) > 1:
        for name, total in totals.items():
            rows.append(_make_row(runs, name, total / len(runs), records))
    results = {
        "data": records.name,
        "images": len(records),
        "skipped": skipped,
        **result_format.describe_versions(),
        "rows": rows,
    }
    _files.write_file(output / run_folder.EVALUATION_RESULTS, json.dumps(results, indent=1) + "\n")
    return results


def format_results(rows: Sequence[dict[str, Any]]) -> str:
    """Formats rows of `evaluate` as a Markdown table.

    Example:

    >>> runs = ["runs/a", "runs/b"]
    >>> print(format_results([{"runs": runs, "protocol": "full", "views": 1.0, "top1": 0.68}]))
    | run | protocol | views | top-1 |
    |---|---|---|---|
    | mean of 2 | full | 1 | 68.0% |
    """
    headers = {"top1": "top-1", "top5": "top-5", "mean_average_precision": "mAP"}
    metrics = [key for key in headers if key in rows[0]]
    lines = [["run", "protocol", "views", *(headers[key] for key in metrics)]]
    for row in rows:
        name = row["runs"][0] if len(row["runs"]) == 1 else f"mean of {len(row['runs'])}"
        values = [f"{100 * row[key]:.1f}%" for key in metrics]
        lines.append([name, row["protocol"], f"{row['views']:.4g}", *values])
    return result_format.format_markdown(lines)


def score_protocols(
    run: EvaluatedRun, names: Sequence[str], images: score_cache.ImageChunks, folder: Path
) -> list[np.ndarray]:
    """Scores of a run by some protocols, cached in a folder.

    Args:
        run: The run.
        names: Names of the protocols.
        images: The images.
        folder: Folder of the cache.

    Returns:
        float32 `(images, classes)` for each protocol.
    """
    make_scorers = {
        run_settings.cache_key(run, name): functools.partial(
            protocols.Scorer, protocol=name, **run.views._asdict()
        )
        for name in names
    }
    return score_with(run.folder.path, make_scorers, images, folder)


def score_with(
    run: Path,
    make_scorers: Mapping[str, MakeScorer],
    images: score_cache.ImageChunks,
    folder: Path,
) -> list[np.ndarray]:
    """Scores of a run by any scorers, cached in a folder.

    The network is loaded only if scores are missing, and freed afterwards.

    Args:
        run: The run folder.
        make_scorers: Functions that make a scorer of the network, by names for the cache:
            a description, a hyphen, and a key for all that the scores depend on.
        images: The images.
        folder: Folder of the cache.

    Returns:
        float32 `(images, classes)` for each scorer.
    """
    loaded: list[keras.Model] = []

    def load_and_make(make_scorer: MakeScorer) -> Callable[..., np.ndarray]:
        if not loaded:
            loaded.append(RunFolder(run).load_model())
        return make_scorer(loaded[0])

    scores = [
        score_cache.compute_scores(
            images,
            functools.partial(load_and_make, make_scorer),
            folder / name,
            f"{run.name}, {name.rpartition('-')[0]}",
        )
        for name, make_scorer in make_scorers.items()
    ]
    if loaded:
        # Graphs hold the network in cycles; the networks of an ensemble would not fit.
        loaded.clear()
        gc.collect()
    return scores


def _make_row(
    runs: Sequence[EvaluatedRun], protocol: str, scores: np.ndarray, records: Records
) -> dict[str, Any]:
    counts = [run_settings.count_views(run, protocol, records) for run in runs]
    row = {
        "runs": [run.name for run in runs],
        "protocol": protocol,
        "views": float(np.mean(counts)),
        "view_sizes": [run.views.view_size for run in runs],
    }
    labels = records.labels
    if records.multi_label:
        precision = classification.mean_average_precision(scores, labels)
        return row | {"mean_average_precision": precision}
    row["top1"] = classification.top_k_accuracy(scores, labels, 1)
    if len(records.classes) > 5:
        row["top5"] = classification.top_k_accuracy(scores, labels, 5)
    return row


def _check_runs(paths: Sequence[Path], output: str | Path | None) -> Path:
    """Checks the run folders; returns the folder for the results."""
    if not paths or len(set(paths)) < len(paths):
        raise ValueError(
            "`run` must be one run folder or more, none twice. "
            f"Received: run={[str(path) for path in paths]}."
        )
    if output is None and len(paths) > 1:
        raise ValueError(
            "`output` must be a folder for the results of several runs. Received: output=None "
            f"with {len(paths)} runs."
        )
    return Path(paths[0] / run_folder.EVALUATION if output is None else output)


def _check_protocols(names: Sequence[str], view_size: int | None) -> None:
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`protocol` must be one or more of {', '.join(protocols.PROTOCOLS)}, none "
            f"twice. Received: protocol={list(names)}."
        )
    for name in names:
        _checks.one_of(name, protocols.PROTOCOLS, "protocol")
    if view_size is not None:
        _checks.at_least(view_size, 1, "view_size")
