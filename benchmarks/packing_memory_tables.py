"""The results of `packing_memory.py` as a plot and as Markdown."""

import io
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import machines
from PIL import Image

from spp_keras import _files

PACKED, PADDED, ONE_SIZE = "packed", "padded", "one size"
FORMS = (PACKED, PADDED, ONE_SIZE)
_STYLES = {PACKED: ("#1f6f8b", "o"), PADDED: ("#b8442c", "s"), ONE_SIZE: ("#557a1f", "^")}


def markdown(results: dict[str, Any]) -> str:
    """A table of peaks by form and number of images."""
    machine, rows = results["machine"], results["rows"]
    counts = sorted({row["count"] for row in rows})
    lines = [
        machines.sentence(machine),
        *machines.caution(machine),
        "",
        "Peak memory of training steps in megabytes, over what the process held before the first, "
        "and as bytes for each pixel of the images: medians of batches.",
        "",
        f"| | {' | '.join(f'{count} images | bytes a pixel' for count in counts)} |",
        "|---" * (2 * len(counts) + 1) + "|",
    ]
    for form in FORMS:
        cells = []
        for count in counts:
            chosen = [row for row in rows if (row["form"], row["count"]) == (form, count)]
            cells.append(f"{statistics.median(row['megabytes'] for row in chosen):,.0f}")
            cells.append(f"{statistics.median(map(_per_pixel, chosen)):,.0f}")
        lines.append(f"| {form} | {' | '.join(cells)} |")
    times = [_compare(rows, PADDED, PACKED, count) for count in counts]
    more = [_compare(rows, PACKED, ONE_SIZE, count) for count in counts]
    return "\n".join(
        [
            *lines,
            "",
            f"Padded batches take {_range(times)} times the memory of packed ones, and packed ones "
            f"{_range(more)} times that of one size.",
            "",
        ]
    )


def draw(results: dict[str, Any], path: Path) -> None:
    """Draws the peaks over the pixels of the images as a PNG file."""
    import matplotlib
    from matplotlib import figure

    with matplotlib.rc_context({"font.size": 11}):
        page = figure.Figure((7.5, 4.5), dpi=120, facecolor="white", layout="constrained")
        axes = page.add_subplot(
            xlabel="million pixels of the images in a batch",
            ylabel="peak memory of training, GB",
            title="Memory of training steps, zf5_spp",
        )
        for form in FORMS:
            color, marker = _STYLES[form]
            chosen = [row for row in results["rows"] if row["form"] == form]
            axes.scatter(
                [row["pixels"] / 1e6 for row in chosen],
                [row["megabytes"] / 1e3 for row in chosen],
                color=color,
                marker=marker,
                label=form,
            )
        axes.set_xlim(0)
        axes.set_ylim(0)
        axes.grid(alpha=0.3)
        axes.legend()
        drawn, small = io.BytesIO(), io.BytesIO()
        page.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(64).save(small, format="png", optimize=True)
    _files.write_file(path, small.getvalue())


def _compare(rows: Sequence[dict[str, Any]], form: str, other: str, count: int) -> float:
    """Median over batches of the memory of one form beside that of another."""
    by_batch = {(row["form"], row["count"], row["seed"]): row["megabytes"] for row in rows}
    return statistics.median(
        megabytes / by_batch[other, count, seed]
        for (of_form, of_count, seed), megabytes in by_batch.items()
        if (of_form, of_count) == (form, count)
    )


def _per_pixel(row: dict[str, Any]) -> float:
    return float(row["megabytes"] * 1e6 / row["pixels"])


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"
