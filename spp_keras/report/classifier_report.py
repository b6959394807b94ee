"""The parts of the page for a classifier."""

import csv
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spp_keras import run_folder
from spp_keras.metrics import classification
from spp_keras.report import (
    confusion,
    curves,
    example_images,
    html,
    intervals,
    predictions,
    pyramid,
    test_table,
)
from spp_keras.run_folder import RunFolder
from spp_keras.training import history_file

_MOST_SKIPPED = 20


def sections(
    run: Path,
    repeats: Sequence[Path],
    compare: Sequence[Path],
    count: int,
    data: str,
    data_dir: str,
    split: str,
) -> list[html.Markup | None]:
    """All parts, in the order of the page.

    Args:
        run: The run folder.
        repeats: Runs of other seeds.
        compare: Runs that were trained otherwise.
        count: How many images to look at, 0 for none.
        data: Folder or data set. Defaults to what the run was tested on.
        data_dir: Where TensorFlow Datasets keeps its data.
        split: Split to look at.
    """
    run_files = RunFolder(run)
    run_files.check_is_trained()
    history = history_file.read_history(run)
    # Before the pass over the images, since it may refuse the other runs.
    tests = test_table.section(run, repeats, compare)
    results = (
        predictions.predict_validation_images(run, count, data, data_dir, split) if count else None
    )
    return [
        _facts(run_files, history, results),
        tests,
        *(_of_images(results) if results else [_no_images(run)]),
        curves.section(history),
        _skipped(run),
        html.section("Recipe", _details("recipe.toml", run / run_folder.RECIPE)),
    ]


def _facts(
    run: RunFolder,
    history: Sequence[dict[str, float]],
    results: predictions.Predictions | None,
) -> html.Markup:
    recipe = run.recipe
    pyramid_of = ", ".join(
        f"{n}x{n}" if isinstance(n, int) else f"{n[0]}x{n[1]}" for n in recipe.levels
    )
    sizes = ", ".join(map(str, recipe.image_sizes))
    pairs = [
        ("network", f"{recipe.model}, width {recipe.width:g}"),
        ("pyramid", pyramid_of if recipe.has_pyramid else "none"),
        ("parameters", f"{results.network.count_params():,}" if results else ""),
        ("training data", recipe.data),
        ("classes", f"{len(run.labels)}{', any index' * run.multi_label}"),
        ("image sizes", f"{recipe.size_policy} {sizes}".strip()),
    ]
    if history:
        seconds = sum(row["seconds"] for row in history)
        # Histories of 0.2 have no such column.
        fills = [row["fill"] for row in history if "fill" in row]
        pairs += [
            ("epochs", f"{history[-1]['epoch']:.0f} of {recipe.epochs}"),
            ("time", f"{_clock(seconds)}, {seconds / len(history):.0f} s an epoch"),
            ("fill", f"{np.mean(fills):.1%} of the pixels are image" if fills else ""),
        ]
    if results:
        pairs.append(("predicted here", f"{len(results.scores):,} of {results.total:,} images"))
    return html.join_markup(
        html.tag("p", _result(results)) if results else None, html.render_facts(pairs)
    )


def _result(results: predictions.Predictions) -> html.Markup:
    """In a sentence, how good it is on what was looked at."""
    labels, images = results.records.labels, len(results.scores)
    where = f" of {images:,} images of {results.records.name}"
    if results.records.multi_label:

        def measure(indices: np.ndarray) -> float:
            return classification.mean_average_precision(results.scores[indices], labels[indices])

        spread = intervals.bootstrap(measure, images)
        value = test_table.format_percent(measure(np.arange(images)), spread)
        kind = ", 95% interval by 200 draws with seed 0"
        return html.join_markup("Mean average precision ", html.tag("b", value), f"{where}{kind}.")
    right = int(results.correct.sum())
    value = test_table.format_percent(right / images, intervals.wilson(right, images))
    return html.join_markup(
        "Right for ", html.tag("b", value), f"{where}, 95% interval by Wilson, one view each."
    )


def _of_images(results: predictions.Predictions) -> list[html.Markup]:
    parts = [pyramid.section(results), example_images.section(results)]
    names = results.run.folder.labels
    if results.records.multi_label:
        return [*parts, _each_class(results)]
    return [
        *parts,
        confusion.section(
            confusion.counts(results.records.labels, results.classes, len(names)), names
        ),
    ]


def _each_class(results: predictions.Predictions) -> html.Markup:
    rows = []
    for index, name in enumerate(results.run.folder.labels):
        column = slice(index, index + 1)
        labels = results.records.labels[:, column]
        if labels.any():
            share = classification.mean_average_precision(results.scores[:, column], labels)
            rows.append([name, str(int(labels.sum())), test_table.format_percent(share)])
    return html.section("Classes", html.table(["class", "images", "average precision"], rows))


def _no_images(run: Path) -> html.Markup:
    return html.render_missing(
        "Images",
        "None were looked at; this shows examples, what the pyramid sees and which classes are "
        "taken for which: ",
        f"spp-keras report {shlex.quote(str(run))}",
    )


def _skipped(run: Path) -> html.Markup | None:
    path = run / run_folder.SKIPPED
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows = [[row["images"], row["id"], row["reason"]] for row in csv.DictReader(file)]
    more = len(rows) - _MOST_SKIPPED
    return html.section(
        f"{len(rows):,} images that could not be used",
        html.table(["data", "image", "why"], rows[:_MOST_SKIPPED], words=3),
        html.tag("p", f"And {more:,} more, see {run_folder.SKIPPED}.") if more > 0 else None,
    )


def _details(title: str, path: Path) -> html.Markup:
    text = path.read_text(encoding="utf-8").strip()
    return html.tag("details", html.tag("summary", title), html.tag("pre", text))


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{seconds / 60:.1f} min"
