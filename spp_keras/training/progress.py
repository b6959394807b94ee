"""What a person sees of a training: a bar, a table of epochs, curves."""

import csv
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from spp_keras import _files, _progress, run_folder


class ProgressBar(keras.callbacks.Callback):
    """A bar an epoch, on standard error: images per second, time left, losses.

    Args:
        epochs: Number of epochs of the whole training.
        steps: Batches of an epoch.
        images_per_step: Images of a batch, on average.
        first_step: Batch of the first epoch to begin with. Defaults to 0.
    """

    def __init__(self, epochs: int, steps: int, images_per_step: float, first_step: int = 0):
        super().__init__()
        self.epochs, self.steps, self.images_per_step = epochs, steps, images_per_step
        self._first_step = first_step
        self._bar: Any = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began, self._done, self._epoch = time.monotonic(), 0, epoch
        self._bar = _progress.create_bar(
            description=f"epoch {epoch + 1}/{self.epochs}",
            total=self.steps,
            initial=self._first_step,
            unit="batches",
            delay=0,
            mininterval=0.5,
            bar_format="{desc}: {percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} {postfix}",
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._done += 1
        if self._bar.update(1) or self._bar.n == self.steps:
            self._bar.set_postfix_str(self._words(logs or {}), refresh=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._first_step = 0
        self._bar.set_postfix_str(self._words(logs or {}, over=True))
        self._bar.close()

    def _words(self, logs: dict[str, Any], over: bool = False) -> str:
        seconds = time.monotonic() - self._began
        pace = seconds / self._done
        words = [f"{self.images_per_step / pace:.0f} images/s"]
        if over:
            words.append(f"took {_clock(seconds)}")
        else:
            left = self.steps * (self.epochs - self._epoch) - self._bar.n
            words.append(f"{_clock(pace * left)} left")
        return ", ".join(words + [f"{name} {value:.4g}" for name, value in _shown(logs).items()])


class HistoryWriter(keras.callbacks.Callback):
    """A CSV with a row an epoch and, at the end, a PNG of its curves.

    Args:
        history: The rows, of earlier runs of the same training to begin with.
        table: Path of the CSV.
        curves: Path of the PNG.
        padding_fraction: Fraction of padding in the pixels of an epoch, a function of
            its number.
        writes: Whether this process writes. Defaults to `True`.
    """

    def __init__(
        self,
        history: list[dict[str, float]],
        table: str | Path,
        curves: str | Path,
        *,
        padding_fraction: Any,
        writes: bool = True,
    ):
        super().__init__()
        self.history, self.table, self.curves = history, Path(table), Path(curves)
        self.padding_fraction, self.writes = padding_fraction, writes

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began = time.monotonic()
        self._rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = time.monotonic() - self._began
        row = {
            "epoch": epoch + 1,
            "learning_rate": self._rate,
            "seconds": round(seconds, 2),
            "padding_fraction": round(float(self.padding_fraction(epoch)), 4),
            **_shown(logs),
        }
        # A run killed behind this row and before its state was kept repeats the epoch.
        self.history[:] = [old for old in self.history if old["epoch"] <= epoch] + [row]
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
    with _files.replace_file(path) as beside:
        figure.savefig(beside, format="png", dpi=100)


def _shown(logs: dict[str, Any] | None) -> dict[str, float]:
    """The logs but for the loss, a mean over batches; `cross_entropy` is over images."""
    hidden = ("loss", "val_loss", "learning_rate")
    return {name: float(value) for name, value in (logs or {}).items() if name not in hidden}


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
