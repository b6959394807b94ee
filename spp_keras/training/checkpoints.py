"""Checkpoints: the whole state of a training in one file, so that it resumes exactly."""

import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras import _files
from spp_keras.training import distribution

# State of Keras' own callbacks, which they reset whenever training begins.
_CALLBACK_STATE = {
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.EarlyStopping: ("best", "wait", "stopped_epoch", "best_epoch", "best_weights"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


class Checkpoint(keras.callbacks.Callback):
    """Saves the state of a training, also within long epochs, and the best weights.

    With `epoch_path`, `restart_epoch` goes back to the start of an epoch.

    Files are written beside their place and renamed, so that a process that is killed
    leaves the previous checkpoint. A checkpoint holds all variables, the seeds of dropout
    and the optimizer's included, the metrics of the current epoch, and the state of
    Keras' `ReduceLROnPlateau`, `EarlyStopping` and `ModelCheckpoint`. It must be the last
    in the list of callbacks.

    Args:
        network: Model whose variables are saved; `fit` may run another model with the
            same layers.
        path: Path of the checkpoint.
        best_path: Path of the best weights, `.weights.h5`.
        monitor: Name of the metric that decides which weights are best, the greater
            the better. Defaults to `"val_accuracy"`.
        minutes: Minutes between checkpoints within an epoch. Defaults to 10.
        callbacks: The other callbacks, whose state is saved, too.
        writes: Whether this process writes files; of several workers one does.
            Defaults to `True`.
        epoch_path: Path for the checkpoint of the start of an epoch, kept while there is one
            within it, so that the epoch can start again. Defaults to `None`, not kept.
    """

    def __init__(
        self,
        network: keras.Model,
        path: str | Path,
        best_path: str | Path,
        *,
        monitor: str = "val_accuracy",
        minutes: float = 10.0,
        callbacks: list[keras.callbacks.Callback] | None = None,
        writes: bool = True,
        epoch_path: str | Path | None = None,
    ):
        super().__init__()
        self.network, self.monitor = network, monitor
        self.path, self.best_path = Path(path), Path(best_path)
        self.epoch_path = None if epoch_path is None else Path(epoch_path)
        self.minutes, self.writes = minutes, writes
        self.callbacks = callbacks or []
        self.epoch = self.step = 0
        self.history: list[dict[str, float]] = []
        self.best_value: float | None = None
        self.stopped = False
        # Lower than the recipe's after a step has run out of memory.
        self.max_pixels: int | None = None
        self._callback_states: list[dict[str, Any]] = []
        self._metric_values: list[np.ndarray] = []
        self._skipped_steps = 0
        self._saved_at = time.monotonic()

    def restore(self, optimizer: keras.optimizers.Optimizer) -> bool:
        """Restores the checkpoint if there is one; returns whether there was."""
        if not self.path.exists():
            return False
        self._restore_from(self.path, optimizer)
        return True

    def restart_epoch(self, max_pixels: int) -> None:
        """Goes back to the start of the epoch, and saves that with another limit of pixels.

        Args:
            max_pixels: The new limit.
        """
        self._restore_from(self.path, self.model.optimizer)
        if self.step and self.epoch_path:
            self._restore_from(self.epoch_path, self.model.optimizer)
        self.max_pixels = max_pixels
        self.on_train_begin()
        self.save()

    def _restore_from(self, path: Path, optimizer: keras.optimizers.Optimizer) -> None:
        with np.load(path, allow_pickle=False) as stored:
            state = json.loads(str(stored["state"]))
            variables = _list_variables(self.network, optimizer)
            keys = [key for key in stored.files if key.startswith(("model/", "optimizer/"))]
            shapes = {key: stored[key].shape for key in keys}
            expected = {key: tuple(variable.shape) for key, variable in variables.items()}
            if shapes != expected:
                differences = sorted({key for key, _ in shapes.items() ^ expected.items()})
                raise ValueError(
                    f"The checkpoint {str(path)!r} is of another network or optimizer: start "
                    f"another run, or take its recipe. They differ in {', '.join(differences[:5])}."
                )
            for key, variable in variables.items():
                variable.assign(stored[key])
            self._metric_values = _read_numbered(stored, "metrics/")
            weights = [
                _read_numbered(stored, f"weights/{i}/") for i in range(len(state["callbacks"]))
            ]
        self.epoch, self.step, self.stopped = state["epoch"], state["step"], state["stopped"]
        # In place: other callbacks hold it.
        self.history[:], self.best_value = state["history"], state["best_value"]
        self.max_pixels = state.get("max_pixels")
        self._callback_states = [
            callback_state | ({"best_weights": best_weights} if best_weights else {})
            for callback_state, best_weights in zip(state["callbacks"], weights, strict=True)
        ]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # After a resumption within an epoch, Keras counts its steps from zero.
        self._skipped_steps = self.step
        for callback in self.callbacks:
            kind = type(callback).__name__
            matches = (state for state in self._callback_states if state["kind"] == kind)
            callback_state = next(matches, {})
            self._callback_states = [
                state for state in self._callback_states if state is not callback_state
            ]
            for name in callback_state.keys() - {"kind"}:
                setattr(callback, name, callback_state[name])
        if self.epoch_path and not self.path.exists():
            self.save()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.step = self._skipped_steps + batch + 1
        if self._metric_values:
            # Sums over images, which Keras makes with the first batch.
            for variable, value in zip(
                self.model.metrics_variables, self._metric_values, strict=True
            ):
                variable.assign_add(value)
            self._metric_values = []
        # Not after the last batch, as the rest of the epoch would have no step.
        is_last = self.step == self.params["steps"]
        if not is_last and time.monotonic() - self._saved_at >= 60 * self.minutes:
            self.save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch, self.step, self._skipped_steps = epoch + 1, 0, 0
        self.stopped = bool(self.model.stop_training)
        value = (logs or {}).get(self.monitor)
        if value is not None and (self.best_value is None or value > self.best_value):
            self.best_value = float(value)
            # Before the checkpoint that records them: a kill between the two repeats the
            # epoch, with the same result.
            if self.writes:
                with _files.replace_file(self.best_path) as path:
                    # HDF5 does not survive a disk that fills up.
                    _files.check_free_space(self.best_path, _estimate_bytes(self.network))
                    self.network.save_weights(path)
        self.save()

    def save(self) -> None:
        """Writes the checkpoint."""
        self._saved_at = time.monotonic()
        if not self.writes:
            return
        state: dict[str, Any] = {
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history,
            "best_value": self.best_value,
            "stopped": self.stopped,
            "max_pixels": self.max_pixels,
            "callbacks": [],
        }
        variables = _list_variables(self.network, self.model.optimizer)
        # The metrics of several workers are sums over all, and only this worker saves.
        if self.step and not distribution.is_multi_worker(self.model.distribute_strategy):
            variables |= _number_keys("metrics/", self.model.metrics_variables)
        for index, callback in enumerate(self.callbacks):
            callback_state = _get_state(callback)
            best_weights = callback_state.pop("best_weights", None) or []
            variables |= _number_keys(f"weights/{index}/", best_weights)
            state["callbacks"].append(callback_state)
        values = {key: keras.ops.convert_to_numpy(value) for key, value in variables.items()}
        if self.epoch_path and self.step and not self.epoch_path.exists():
            with _files.replace_file(self.epoch_path) as path:
                shutil.copyfile(self.path, path)
        with _files.replace_file(self.path) as path, path.open("wb") as file:
            np.savez(file, state=np.array(json.dumps(state)), **values)
        if self.epoch_path and not self.step:
            self.epoch_path.unlink(missing_ok=True)


def _estimate_bytes(network: keras.Model) -> int:
    """An upper bound of the bytes of a weight file, names and shapes included."""
    sizes = (int(np.prod(weight.shape)) * weight.value.dtype.size for weight in network.weights)
    return sum(sizes) + 2**16 * (1 + len(network.weights))


def _get_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    return {"kind": type(callback).__name__} | {
        name: _to_python(getattr(callback, name))
        for kind, names in _CALLBACK_STATE.items()
        if isinstance(callback, kind)
        for name in names
        if hasattr(callback, name)
    }


def _list_variables(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    return {
        # Without the numbers that Keras adds to names, which depend on the process.
        f"{kind}/{index}/{re.sub(r'_[0-9]+(?=[/_]|$)', '', variable.path)}": variable
        for kind, owner in (("model", network), ("optimizer", optimizer))
        for index, variable in enumerate(owner.variables)
    }


def _number_keys(prefix: str, values: Sequence[Any]) -> dict[str, Any]:
    return {f"{prefix}{index}": value for index, value in enumerate(values)}


def _read_numbered(stored: Mapping[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    count = sum(key.startswith(prefix) for key in stored)
    return [stored[f"{prefix}{index}"] for index in range(count)]


def _to_python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
