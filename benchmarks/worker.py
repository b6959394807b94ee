"""Systems of two environments in one run: each in a process that computes when asked.

A module registers its cases with `case` and calls `serve`; the benchmark starts
it as a `Worker` and asks. Requests and replies are JSON, one a line.
"""

import functools
import importlib.metadata
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

THREADS = 2
ENVIRONMENT = {
    # Unset, PyTorch measures slower than it is.
    "OMP_NUM_THREADS": str(THREADS),
    # PyTorch's threads spin while they wait for each other. By default so long that, where any
    # other program runs, they wait for the scheduler: 64 ms a call instead of 0.7. Alone on the
    # machine it is as fast with this.
    "GOMP_SPINCOUNT": "1000",
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class Prepared(NamedTuple):
    """A case whose inputs are ready.

    Args:
        call: What is timed.
        answer: Its result in the order of `pooling_inputs.expected`, if comparable.
        pixels: How many pixels, or images, one call maps, where speeds are compared.
        remark: What is to be said after the last call.
    """

    call: Callable[[], Any]
    answer: Callable[[Any], np.ndarray] | None = None
    pixels: int = 0
    remark: Callable[[], str] | None = None


Prepare = Callable[[str], Prepared]
_CASES: dict[tuple[str, str], tuple[str, Prepare]] = {}


def case(section: str, name: str, note: str = "") -> Callable[[Prepare], Prepare]:
    """Registers a function from a setting to a prepared case."""

    def register(prepare: Prepare) -> Prepare:
        _CASES[section, name] = note, prepare
        return prepare

    return register


def serve(packages: Sequence[str]) -> None:
    """Answers requests from standard input until it ends."""
    # What a library prints must not end up among the replies.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    actions: dict[str, Callable[..., Any]] = {
        "cases": lambda: [[*key, note] for key, (note, _) in _CASES.items()],
        "versions": lambda: {package: _version(package) for package in packages},
        "start": _start,
        "measure": _measure,
        "measure_cpu": _measure_cpu,
        "memory": _memory,
        "remark": _remark,
        "forget": _prepared.cache_clear,
    }
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"reply": actions[request.pop("action")](**request)}
        except Exception as error:  # A peer that fails is a row of the table, not the end of it.
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")


class Worker:
    """A process that serves cases, started anew where one ended it; a context manager."""

    def __init__(self, python: str, script: str, arguments: Sequence[str] = ()):
        self.command = python, script
        self._arguments = arguments
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed on exit)
        self._process = self._launch()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def ask(self, action: str, timeout: float = 120, **arguments: Any) -> Any:
        """The reply to a request; `RuntimeError` where it fails, ends or is late."""
        if self._process.poll() is not None:
            self._process = self._launch()
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("its process has no pipes")
        try:
            stdin.write(json.dumps({"action": action, **arguments}) + "\n")
            stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(self._end()) from None
        if not select.select([stdout], [], [], timeout)[0]:
            self._process.kill()
            self._process.wait()
            raise RuntimeError(f"no answer within {timeout:.0f} s")
        line = stdout.readline()
        if not line:
            raise RuntimeError(self._end())
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["reply"]

    def _launch(self) -> subprocess.Popen[str]:
        python, script = self.command
        return subprocess.Popen(
            [python, str(Path(__file__).with_name(script)), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**os.environ, **ENVIRONMENT},
        )

    def _end(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        last = (self._said.read().strip().splitlines() or [""])[-1]
        return f"{self.command[1]} ended, code {code}: {last}"


def _version(package: str) -> str:
    # Of ours the code that runs counts: what is installed may be another checkout.
    ours = sys.modules.get(package) if package == "spp_keras" else None
    return ours.__version__ if ours else importlib.metadata.version(package)


@functools.cache
def _prepared(section: str, name: str, setting: str) -> Prepared:
    return _CASES[section, name][1](setting)


def _start(section: str, name: str, setting: str, answer: str) -> dict[str, Any]:
    """Prepares a case, calls it once, and saves its answer to that file."""
    prepared = _prepared(section, name, setting)
    start = time.perf_counter()
    result = prepared.call()
    first = time.perf_counter() - start
    if prepared.answer is not None:
        np.save(answer, prepared.answer(result))
    comparable = prepared.answer is not None
    return {"first_ms": 1e3 * first, "comparable": comparable, "pixels": prepared.pixels}


def _measure(section: str, name: str, setting: str, seconds: float) -> list[float]:
    """Milliseconds of each call within some time, one call at least."""
    return [wall for wall, _ in _measure_cpu(section, name, setting, seconds)]


def _measure_cpu(
    section: str, name: str, setting: str, seconds: float
) -> list[tuple[float, float]]:
    """Milliseconds of each call by the clock, and those of all threads on the CPU."""
    call = _prepared(section, name, setting).call
    samples: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while not samples or time.perf_counter() < end:
        cpu, start = time.process_time(), time.perf_counter()
        call()
        wall = time.perf_counter() - start
        samples.append((1e3 * wall, 1e3 * (time.process_time() - cpu)))
    # The first one finds the caches full of what another system left there.
    return samples[1:] or samples


def _remark(section: str, name: str, setting: str) -> str:
    remark = _prepared(section, name, setting).remark
    return remark() if remark else ""


def _memory(section: str, name: str, setting: str, small: str) -> float:
    """Megabytes by which resident memory grows at most, after a small problem as warm-up."""
    _prepared(section, name, small).call()
    # Resets the peak of resident memory, see `man 5 proc`; `ru_maxrss` would hold that of imports.
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak_kilobytes()
    call = _prepared(section, name, setting).call
    for _ in range(3):
        call()
    return (_peak_kilobytes() - before) * 1024 / 1e6


def _peak_kilobytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
