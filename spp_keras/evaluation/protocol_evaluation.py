"""Runs, protocols and data in, one table out; several runs are an ensemble as well."""

import functools
import gc
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras import _checks, _files, run_folder
from spp_keras.data import records
from spp_keras.evaluation import protocols, result_format, run_settings, score_cache
from spp_keras.metrics import classification
from spp_keras.run_folder import RunFolder

# Makes of a network what scores an image, from its bytes and size.
Way = Callable[[keras.Model], Callable[..., np.ndarray]]


def evaluate(
    run: str | Path | Sequence[str | Path],
    protocol: str | Sequence[str],
    *,
    data: str = "",
    data_dir: str = "",
    split: str = "",
    side: int | None = None,
    to: str | Path | None = None,
) -> dict[str, Any]:
    """How good trained networks are by the paper's testing protocols, alone and together.

    Of several runs the scores are averaged, too, image by image. Only one network is
    loaded at a time. Scores are kept as they come, so that the same call goes on where it
    was killed, and makes nothing again that is there: of more runs, or by more protocols.

    Views are as large as what the network learned from: for crops, of their largest side
    and short side; for whole images of a short side, 7/8 of it (224 of 256). A network
    that learned from images of their own sizes must be given a `side`. `"full"` sends what
    `spp-keras predict` sends. Images that are too small to be sent whole, as in training,
    are left out of all protocols.

    Args:
        run: Run folder, or several.
        protocol: Name of a protocol, or several, see `Scorer`.
        data: Folder or data set. Defaults to what the first run learned from.
        data_dir: Where TensorFlow Datasets keeps its data. Defaults to `""`.
        split: Split to measure on. Defaults to that for validation.
        side: Side of the views, all scales in proportion. Defaults to `None`, what
            each run says.
        to: Folder for `evaluation.json` and the scores. Defaults to `evaluation` in
            the run folder; of several runs it must be given.

    Returns:
        What is in `evaluation.json`: `"data"`, `"images"`, and `"rows"`, one for each run
        and protocol and one for all runs together, with shares `"top1"` and, of more than
        five classes, `"top5"`, or `"mean_average_precision"` where images have several
        classes.
    """
    folders = [Path(one) for one in ([run] if isinstance(run, str | Path) else run)]
    names = [protocol] if isinstance(protocol, str) else list(protocol)
    to = _check(folders, names, side, to)
    ensemble = [run_settings.read_run(folder, names, side) for folder in folders]
    found, left_out = run_settings.load_evaluation_records(ensemble, names, data, data_dir, split)
    images = score_cache.ImageChunks(found)

    rows: list[dict[str, Any]] = []
    together: dict[str, np.ndarray] = {}
    for member in ensemble:
        for name, scores in zip(
            names, score_protocols(member, names, images, to / run_folder.SCORE_CACHE), strict=True
        ):
            rows.append(_row([member], name, scores, images.records))
            together[name] = together.get(name, 0) + scores.astype("float64")
    if len(ensemble) > 1:
        for name, scores in together.items():
            rows.append(_row(ensemble, name, scores / len(ensemble), images.records))
    result = {
        "data": images.records.name,
        "images": len(images.records),
        "left_out": left_out,
        **result_format.describe_versions(),
        "rows": rows,
    }
    _files.write_file(to / run_folder.EVALUATION_RESULTS, json.dumps(result, indent=1) + "\n")
    return result


def format_results(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of `evaluate` as a table in Markdown.

    Example:

    >>> runs = ["runs/a", "runs/b"]
    >>> print(format_results([{"runs": runs, "protocol": "full", "views": 1.0, "top1": 0.68}]))
    | run | protocol | views | top-1 |
    |---|---|---|---|
    | mean of 2 | full | 1 | 68.0% |
    """
    heads = {"top1": "top-1", "top5": "top-5", "mean_average_precision": "mAP"}
    measured = [key for key in heads if key in rows[0]]
    lines = [["run", "protocol", "views", *(heads[key] for key in measured)]]
    for row in rows:
        run = row["runs"][0] if len(row["runs"]) == 1 else f"mean of {len(row['runs'])}"
        shares = [f"{100 * row[key]:.1f}%" for key in measured]
        lines.append([run, row["protocol"], f"{row['views']:.4g}", *shares])
    return result_format.format_markdown(lines)


def score_protocols(
    member: run_settings.EvaluatedRun,
    names: Sequence[str],
    images: score_cache.ImageChunks,
    folder: Path,
) -> list[np.ndarray]:
    """Scores of a run by each of some protocols, those that are kept in a folder not made again.

    Args:
        member: The run.
        names: Names of the protocols.
        images: The images.
        folder: Folder for what is kept.

    Returns:
        float32 `(images, classes)` for each.
    """
    ways = {
        run_settings.cache_key(member, name): functools.partial(
            protocols.Scorer, protocol=name, **member.settings
        )
        for name in names
    }
    return score_with(member.run, ways, images, folder)


def score_with(
    run: Path,
    ways: Mapping[str, Way],
    images: score_cache.ImageChunks,
    folder: Path,
) -> list[np.ndarray]:
    """Scores of a run in any ways; its network is loaded if any are missing, and dropped.

    Args:
        run: The run folder.
        ways: What makes of the network what scores an image, by names for what is kept:
            the way, a hyphen, and what else the scores follow from.
        images: The images.
        folder: Folder for what is kept.

    Returns:
        float32 `(images, classes)` for each way.
    """
    loaded: list[keras.Model] = []

    def scorer(way: Way) -> Callable[..., np.ndarray]:
        if not loaded:
            loaded.append(RunFolder(run).model)
        return way(loaded[0])

    found = [
        score_cache.compute_scores(
            images,
            functools.partial(scorer, way),
            folder / key,
            f"{run.name}, {key.rpartition('-')[0]}",
        )
        for key, way in ways.items()
    ]
    if loaded:
        # Graphs hold the network in cycles; eleven at once would not fit.
        loaded.clear()
        gc.collect()
    return found


def _row(
    ensemble: Sequence[run_settings.EvaluatedRun],
    protocol: str,
    scores: np.ndarray,
    found: records.Records,
) -> dict[str, Any]:
    counts = [run_settings.count_views(member, protocol, found) for member in ensemble]
    row = {
        "runs": [str(member.run) for member in ensemble],
        "protocol": protocol,
        "views": float(np.mean(counts)),
        "sides": [member.settings.get("side") for member in ensemble],
    }
    if found.multi_label:
        return row | {
            "mean_average_precision": classification.mean_average_precision(scores, found.labels)
        }
    row["top1"] = classification.top_k_accuracy(scores, found.labels, 1)
    if len(found.classes) > 5:
        row["top5"] = classification.top_k_accuracy(scores, found.labels, 5)
    return row


def _check(
    folders: Sequence[Path], names: Sequence[str], side: int | None, to: str | Path | None
) -> Path:
    """That what can be said without the runs is right; the folder for the results."""
    if not folders or len(set(folders)) < len(folders):
        raise ValueError(
            "`run` must be one run folder or more, none twice. "
            f"Received: run={[str(run) for run in folders]}."
        )
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`protocol` must be one or more of {', '.join(protocols.PROTOCOLS)}, none "
            f"twice. Received: protocol={list(names)}."
        )
    for name in names:
        _checks.one_of(name, protocols.PROTOCOLS, "protocol")
    if side is not None:
        _checks.at_least(side, 1, "side")
    if to is None and len(folders) > 1:
        raise ValueError(
            "`to` must be a folder for the results of several runs. Received: to=None with "
            f"{len(folders)} runs."
        )
    return Path(folders[0] / run_folder.EVALUATION if to is None else to)
