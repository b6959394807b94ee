"""The history of a training: a CSV with a row an epoch, and learning curves."""

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from spp_keras import _files, run_folder


class HistoryWriter(keras.callbacks.Callback):
    """Writes a CSV with a row an epoch and, at the end, a PNG of the learning curves.

    Args:
        history: The rows so far, to which those of this run are appended.
        table: Path of the CSV.
        curves: Path of the PNG.
        fill: Fraction of the pixels of an epoch that are image, a function of the epoch.
        writes: Whether this process writes. Defaults to `True`.
    """

    def __init__(
        self,
        history: list[dict[str, float]],
        table: str | Path,
        curves: str | Path,
        *,
        fill: Callable[[int], float],
        writes: bool = True,
    ):
        super().__init__()
        self.history, self.table, self.curves = history, Path(table), Path(curves)
        self.fill, self.writes = fill, writes
        self.max_pixels: int | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._start_time = time.monotonic()
        self._learning_rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = time.monotonic() - self._start_time
        row = {
            "epoch": epoch + 1,
            "learning_rate": self._learning_rate,
            "seconds": round(seconds, 2),
            # Where memory did not suffice for the recipe's.
            **({"max_pixels": self.max_pixels} if self.max_pixels else {}),
            "fill": round(float(self.fill(epoch)), 4),
            **select_metrics(logs),
        }
        # A run killed between this row and its checkpoint repeats the epoch.
        self.history[:] = [earlier for earlier in self.history if earlier["epoch"] <= epoch] + [row]
        if self.writes:
            _files.write_file(self.table, format_csv(self.history))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.writes and self.history:
            draw_curves(self.history, self.curves)


def read_history(run: str | Path) -> list[dict[str, float]]:
    """The rows of a run's `history.csv`, without the columns that are empty in a row.

    Args:
        run: The run folder.

    Returns:
        A dictionary for each epoch; none before the first epoch has ended.
    """
    path = Path(run) / run_folder.HISTORY
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


def format_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with a column for every name that occurs."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def draw_curves(history: list[dict[str, float]], path: str | Path) -> None:
    """Draws training and validation curves of each metric, and the learning rate.

    Args:
        history: Rows with `epoch`, `learning_rate` and metrics, those of
            validation beginning with `val_`.
        path: Path of the PNG.
    """
    # Not pyplot, which looks for a screen and keeps what it drew.
    from matplotlib.figure import Figure

    metrics = [name.removeprefix("val_") for name in history[0] if name.startswith("val_")]
    figure = Figure(figsize=(4 * (len(metrics) + 1), 3), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for axes, metric in zip(
        figure.subplots(1, len(metrics) + 1, squeeze=False)[0],
        [*metrics, "learning_rate"],
        strict=True,
    ):
        for name, label in ((metric, "training"), (f"val_{metric}", "validation")):
            if name in history[0]:
                axes.plot(epochs, [row.get(name) for row in history], ".-", label=label)
        axes.set(title=metric.replace("_", " "), xlabel="epoch")
        axes.grid(alpha=0.3)
        if metric in metrics:
            axes.legend()
        else:
            axes.set_yscale("log")
    with _files.replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def select_metrics(logs: dict[str, Any] | None) -> dict[str, float]:
    """The metrics over images among the logs of Keras, without the loss, a mean over batches."""
    hidden = ("loss", "val_loss", "learning_rate")
    return {name: float(value) for name, value in (logs or {}).items() if name not in hidden}
