"""The state of a training in one file, so that a killed run goes on as if nothing had happened."""

import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras import _files

# What Keras' own callbacks remember; they forget it whenever training begins.
_REMEMBERED = {
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.EarlyStopping: ("best", "wait", "stopped_epoch", "best_epoch"),
}


class Checkpoint(keras.callbacks.Callback):
    """Keeps the last state, also within long epochs, and the best weights.

    Files are written beside their place and renamed: whenever the process dies,
    the last good state is there. It holds all variables, those of dropout's
    random numbers included, the optimizer's, and what other callbacks remember.
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
        self._memory: list[dict[str, Any]] | None = None
        self._skipped = 0
        self._saved = time.monotonic()

    def restore(self, optimizer: keras.optimizers.Optimizer) -> bool:
        """Takes up the last state, if there is one; says whether there was."""
        if not self.last.exists():
            return False
        with np.load(self.last, allow_pickle=False) as stored:
            state = json.loads(str(stored["state"]))
            variables = _variables(self.network, optimizer)
            found = {key: stored[key].shape for key in stored.files if key != "state"}
            expected = {key: tuple(variable.shape) for key, variable in variables.items()}
            if found != expected:
                different = sorted({key for key, _ in set(found.items()) ^ set(expected.items())})
                raise ValueError(
                    f"The state in {str(self.last)!r} is of another network or optimizer: start "
                    f"another run, or take its recipe. They differ in {', '.join(different[:5])}."
                )
            for key, variable in variables.items():
                variable.assign(stored[key])
        self.epoch, self.step = state["epoch"], state["step"]
        self.history, self.best_value = state["history"], state["best_value"]
        self._memory = state["callbacks"]
        return True

    def on_train_begin(self, logs=None):
        # Behind a resumption within an epoch, Keras counts its steps from zero.
        self._skipped = self.step
        for callback, memory in zip(self.others, self._memory or [], strict=False):
            for name, value in memory.items():
                setattr(callback, name, value)

    def on_train_batch_end(self, batch, logs=None):
        self.step = self._skipped + batch + 1
        if time.monotonic() - self._saved >= 60 * self.minutes:
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch, self.step, self._skipped = epoch + 1, 0, 0
        value = (logs or {}).get(self.monitor)
        if value is not None and (self.best_value is None or value > self.best_value):
            self.best_value = float(value)
            # Before the state that speaks of it: a kill between the two repeats the
            # epoch, and its result is the same.
            if self.writes:
                with _files.replacing(self.best) as beside:
                    self.network.save_weights(beside)
        self.save()

    def on_train_end(self, logs=None):
        self._memory = self._remembered()

    def save(self) -> None:
        """Writes the state as it is now."""
        self._saved = time.monotonic()
        if not self.writes:
            return
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history,
            "best_value": self.best_value,
            "callbacks": self._remembered(),
        }
        values = {
            key: keras.ops.convert_to_numpy(variable)
            for key, variable in _variables(self.network, self.model.optimizer).items()
        }
        with _files.replacing(self.last) as beside, beside.open("wb") as file:
            np.savez(file, state=np.array(json.dumps(state)), **values)

    def _remembered(self) -> list[dict[str, Any]]:
        return [
            {
                name: _plain(getattr(callback, name))
                for kind, names in _REMEMBERED.items()
                if isinstance(callback, kind)
                for name in names
                if hasattr(callback, name)
            }
            for callback in self.others
        ]


def _variables(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    own = [(f"model/{i}/{v.path}", v) for i, v in enumerate(network.variables)]
    return dict(own + [(f"optimizer/{i}/{v.path}", v) for i, v in enumerate(optimizer.variables)])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
