"""The table of tests, from what `spp-keras evaluate` left."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spp_keras import run_folder
from spp_keras.report import html, intervals, training_status

_HEADS = {"top1": "top-1", "top5": "top-5", "mean_average_precision": "mAP"}
_TITLE = "Tests"


def section(run: Path, repeats: Sequence[Path], compare: Sequence[Path]) -> html.Markup:
    """Every protocol that the run was tested by; of several runs their means, too.

    Args:
        run: The run folder.
        repeats: Runs of other seeds.
        compare: Runs that were trained otherwise, whose tests go into the same table.
    """
    first = read(run)
    if first is None:
        command = f"spp-keras evaluate {shlex.quote(str(run))} --protocol full"
        return html.render_missing(_TITLE, "None yet; this makes them: ", command)
    results = [first, *(_other("repeats", repeat, first) for repeat in repeats)]
    others = [_other("compare", path, first) for path in compare]
    measured = [key for key in _HEADS if key in first["rows"][0]]
    all_rows = [row for result in (first, *others) for row in result["rows"]]
    several = len({tuple(row["runs"]) for row in all_rows}) > 1
    rows = [_row(row, measured, first["images"], several) for row in all_rows]
    trained_for = training_status.describe_training([run, *repeats, *compare])
    left = f" {first['skipped']} were too small and skipped." if first["skipped"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    return html.section(
        _TITLE,
        html.table(_head(measured, several), rows, words=1 + several),
        html.tag("p", trained_for) if trained_for else None,
        html.tag(
            "p",
            f"{first['images']:,} images of {first['data']}.{left} In brackets Wilson's 95% "
            "interval: other images of the same kind would give another share. "
            f"Measured on {first['date']}; {versions}.",
            class_="note",
        ),
        _means(results, measured) if repeats else None,
    )


def read(run: Path) -> dict[str, Any] | None:
    """What is in a run's `evaluation.json`, `None` if there is none."""
    path = run / run_folder.EVALUATION / run_folder.EVALUATION_RESULTS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def format_percent(share: float, interval: tuple[float, float] | None = None) -> html.Markup:
    """A share and its interval."""
    spread = None
    if interval:
        low, high = interval
        spread = html.tag("span", f" ({100 * low:.1f} to {100 * high:.1f})", class_="interval")
    return html.join_markup(f"{100 * share:.1f}%", spread)


def _head(measured: Sequence[str], several: bool) -> list[str]:
    return [*["run"] * several, "protocol", "views", *(_HEADS[key] for key in measured)]


def _row(row: dict[str, Any], measured: Sequence[str], images: int, several: bool) -> list[str]:
    run = row["runs"][0] if len(row["runs"]) == 1 else f"mean of {len(row['runs'])}"
    cells = [*[run] * several, row["protocol"], f"{row['views']:.4g}"]
    for key in measured:
        # Average precision is no share of the images.
        counted = key in ("top1", "top5")
        spread = intervals.wilson(round(row[key] * images), images) if counted else None
        cells.append(format_percent(row[key], spread))
    return cells


def _means(results: Sequence[dict[str, Any]], measured: Sequence[str]) -> html.Markup:
    of_each = [{row["protocol"]: row for row in result["rows"]} for result in results]
    shared = [name for name in of_each[0] if all(name in rows for rows in of_each)]
    rows = []
    for name in shared:
        values = [[rows[name][key] for rows in of_each] for key in measured]
        cells = [
            f"{100 * sum(runs) / len(runs):.1f} ± {100 * intervals.standard_error(runs):.1f}%"
            for runs in values
        ]
        rows.append([name, *cells])
    return html.join_markup(
        html.tag("h3", f"{len(results)} runs: mean ± standard error over the runs"),
        html.table(["protocol", *(_HEADS[key] for key in measured)], rows),
    )


def _other(name: str, run: Path, first: dict[str, Any]) -> dict[str, Any]:
    """What is in the `evaluation.json` of another run, which must be of the same images."""
    result = read(run)
    if result is None:
        raise ValueError(
            f"`{name}` must be runs that were evaluated; {run_folder.EVALUATION_RESULTS} is "
            f"missing: make it with `spp-keras evaluate`. Received: {str(run)!r}."
        )
    if (result["data"], result["images"]) != (first["data"], first["images"]):
        raise ValueError(
            f"`{name}` must be runs that were tested on the same images as `run`, "
            f"{first['images']} of {first['data']}: evaluate them on these. Received: "
            f"{str(run)!r}, tested on {result['images']} of {result['data']}."
        )
    return result
