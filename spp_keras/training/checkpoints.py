"""The state of a training in one file, so that a killed run goes on as if nothing had happened."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras import _files
from spp_keras.training import distribution

# What Keras' own callbacks remember; they forget it whenever training begins.
_REMEMBERED = {
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.EarlyStopping: ("best", "wait", "stopped_epoch", "best_epoch", "best_weights"),
    keras.callbacks.ModelCheckpoint: ("best",),
}


class Checkpoint(keras.callbacks.Callback):
    """Keeps the last state, also within long epochs, and the best weights.

    Files are written beside their place and renamed: whenever the process dies,
    the last good state is there. It holds all variables, those of dropout's
    random numbers included, the optimizer's, the metrics of an epoch under way, and
    what Keras' `ReduceLROnPlateau`, `EarlyStopping` and `ModelCheckpoint` remember.
    Put it last in the list of callbacks, with the others given to it.

    Args:
        network: Model whose variables and weights are kept: the network itself,
            of which `fit` may run another form.
        last: Path of the state.
        best: Path of the best weights, `.weights.h5`.
        monitor: Name of the log that says what is best. Defaults to
            `"val_accuracy"`; the greater the better.
        minutes: Time after which a state is kept within an epoch. Defaults to 10.
        callbacks: The other callbacks, whose memory belongs to the state.
        writes: Whether this process writes; of several machines one does.
            Defaults to `True`.
    """

    def __init__(
        self,
        network: keras.Model,
        last: str | Path,
        best: str | Path,
        *,
        monitor: str = "val_accuracy",
        minutes: float = 10.0,
        callbacks: list[keras.callbacks.Callback] | None = None,
        writes: bool = True,
    ):
        super().__init__()
        self.network, self.monitor = network, monitor
        self.last, self.best = Path(last), Path(best)
        self.minutes, self.writes = minutes, writes
        self.others = callbacks or []
        self.epoch = self.step = 0
        self.history: list[dict[str, float]] = []
        self.best_value: float | None = None
        self.stopped = False
        self._memory: list[dict[str, Any]] = []
        self._metrics: list[np.ndarray] = []
        self._skipped = 0
        self._saved = time.monotonic()

    def restore(self, optimizer: keras.optimizers.Optimizer) -> bool:
        """Takes up the last state, if there is one; says whether there was."""
        if not self.last.exists():
            return False
        with np.load(self.last, allow_pickle=False) as stored:
            state = json.loads(str(stored["state"]))
            variables = _variables(self.network, optimizer)
            kept = [key for key in stored.files if key.startswith(("model/", "optimizer/"))]
            found = {key: stored[key].shape for key in kept}
            expected = {key: tuple(variable.shape) for key, variable in variables.items()}
            if found != expected:
                different = sorted({key for key, _ in set(found.items()) ^ set(expected.items())})
                raise ValueError(
                    f"The state in {str(self.last)!r} is of another network or optimizer: start "
                    f"another run, or take its recipe. They differ in {', '.join(different[:5])}."
                )
            for key, variable in variables.items():
                variable.assign(stored[key])
            self._metrics = _numbered(stored, "metrics/")
            weights = [_numbered(stored, f"weights/{i}/") for i in range(len(state["callbacks"]))]
        self.epoch, self.step, self.stopped = state["epoch"], state["step"], state["stopped"]
        self.history, self.best_value = state["history"], state["best_value"]
        self._memory = [
            memory | ({"best_weights": best} if best else {})
            for memory, best in zip(state["callbacks"], weights, strict=True)
        ]
        return True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Behind a resumption within an epoch, Keras counts its steps from zero.
        self._skipped = self.step
        for callback in self.others:
            kind = type(callback).__name__
            memory = next((found for found in self._memory if found["kind"] == kind), {})
            self._memory = [found for found in self._memory if found is not memory]
            for name in memory.keys() - {"kind"}:
                setattr(callback, name, memory[name])

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.step = self._skipped + batch + 1
        if self._metrics:
            # Sums over images, which Keras makes with the first batch.
            for variable, value in zip(self.model.metrics_variables, self._metrics, strict=True):
                variable.assign_add(value)
            self._metrics = []
        # Not behind the last batch: what is left of the epoch has none.
        last = self.step == self.params["steps"]
        if not last and time.monotonic() - self._saved >= 60 * self.minutes:
            self.save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch, self.step, self._skipped = epoch + 1, 0, 0
        self.stopped = bool(self.model.stop_training)
        value = (logs or {}).get(self.monitor)
        if value is not None and (self.best_value is None or value > self.best_value):
            self.best_value = float(value)
            # Before the state that speaks of it: a kill between the two repeats the
            # epoch, and its result is the same.
            if self.writes:
                with _files.replace_file(self.best) as beside:
                    # HDF5 does not survive a disk that fills up.
                    _files.check_free_space(self.best, _bytes_of(self.network))
                    self.network.save_weights(beside)
        self.save()

    def save(self) -> None:
        """Writes the state as it is now."""
        self._saved = time.monotonic()
        if not self.writes:
            return
        state: dict[str, Any] = {
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history,
            "best_value": self.best_value,
            "stopped": self.stopped,
            "callbacks": [],
        }
        variables = _variables(self.network, self.model.optimizer)
        # Machines add up their metrics together, and only this one is here.
        if self.step and not distribution.is_multi_worker(self.model.distribute_strategy):
            variables |= _keys("metrics/", self.model.metrics_variables)
        for number, callback in enumerate(self.others):
            memory = _memory(callback)
            variables |= _keys(f"weights/{number}/", memory.pop("best_weights", None) or [])
            state["callbacks"].append(memory)
        values = {key: keras.ops.convert_to_numpy(value) for key, value in variables.items()}
        with _files.replace_file(self.last) as beside, beside.open("wb") as file:
            np.savez(file, state=np.array(json.dumps(state)), **values)


def _bytes_of(network: keras.Model) -> int:
    """At most those of a file with its weights, of which each comes with its name and shape."""
    sizes = (int(np.prod(each.shape)) * each.value.dtype.size for each in network.weights)
    return sum(sizes) + 2**16 * (1 + len(network.weights))


def _memory(callback: keras.callbacks.Callback) -> dict[str, Any]:
    return {"kind": type(callback).__name__} | {
        name: _plain(getattr(callback, name))
        for kind, names in _REMEMBERED.items()
        if isinstance(callback, kind)
        for name in names
        if hasattr(callback, name)
    }


def _variables(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    return {
        # Keras numbers what it names itself by what there was before in the same process.
        f"{kind}/{number}/{re.sub(r'_[0-9]+(?=[/_]|$)', '', variable.path)}": variable
        for kind, owner in (("model", network), ("optimizer", optimizer))
        for number, variable in enumerate(owner.variables)
    }


def _keys(beginning: str, values: Sequence[Any]) -> dict[str, Any]:
    return {f"{beginning}{number}": value for number, value in enumerate(values)}


def _numbered(stored: Mapping[str, np.ndarray], beginning: str) -> list[np.ndarray]:
    count = sum(key.startswith(beginning) for key in stored)
    return [stored[f"{beginning}{number}"] for number in range(count)]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
