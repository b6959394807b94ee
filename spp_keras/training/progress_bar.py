"""The progress bar of a training."""

import time
from collections.abc import Callable
from typing import Any

import keras

from spp_keras import _progress
from spp_keras.training.history_file import select_metrics


class ProgressBar(keras.callbacks.Callback):
    """A progress bar an epoch, on standard error: images per second, time left, fill, metrics.

    Args:
        epochs: Number of epochs of the whole training.
        steps: Steps an epoch.
        images_per_step: Mean number of images a step.
        first_step: Step of the first epoch to begin with. Defaults to 0.
        fill: Fraction of the pixels of an epoch that are image, a function of the epoch.
            Defaults to `None`, not shown.
    """

    def __init__(
        self,
        epochs: int,
        steps: int,
        images_per_step: float,
        first_step: int = 0,
        fill: Callable[[int], float] | None = None,
    ):
        super().__init__()
        self.epochs, self.steps, self.images_per_step = epochs, steps, images_per_step
        self.fill = fill
        self._first_step = first_step
        self._bar: Any = None

    def set_steps(self, steps: int, images_per_step: float, first_step: int) -> None:
        """Other batches, where an epoch starts again."""
        self.steps, self.images_per_step = steps, images_per_step
        self._first_step = first_step
        if self._bar is not None:
            self._bar.close()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._fill = None if self.fill is None else self.fill(epoch)
        self._start_time, self._steps_done, self._epoch = time.monotonic(), 0, epoch
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
        self._steps_done += 1
        if self._bar.update(1) or self._bar.n == self.steps:
            self._bar.set_postfix_str(self._describe(logs or {}), refresh=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._first_step = 0
        self._bar.set_postfix_str(self._describe(logs or {}, is_over=True))
        self._bar.close()

    def _describe(self, logs: dict[str, Any], is_over: bool = False) -> str:
        seconds = time.monotonic() - self._start_time
        seconds_per_step = seconds / self._steps_done
        parts = [f"{self.images_per_step / seconds_per_step:.0f} images/s"]
        if is_over:
            parts.append(f"took {_format_time(seconds)}")
        else:
            steps_left = self.steps * (self.epochs - self._epoch) - self._bar.n
            parts.append(f"{_format_time(seconds_per_step * steps_left)} left")
        if self._fill is not None:
            parts.append(f"fill {self._fill:.2f}")
        return ", ".join(
            parts + [f"{name} {value:.4g}" for name, value in select_metrics(logs).items()]
        )


def _format_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
