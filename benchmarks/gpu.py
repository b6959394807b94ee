"""Measures layers, the trunk, and packed and padded batches on any device of JAX.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --width 0.02 --side 64 --tiny --rounds 2    # to try it on a CPU
    python benchmarks/gpu.py --render                  # the text again, from the JSON

It needs JAX, Keras and spp_keras; PyTorch is measured beside them where it is installed.
TensorFlow is not needed: gpu_batches.json has the layouts that `gpu_batches.py` planned. What is
compared takes turns, and each call waits for its result. The results are OUT/gpu.json, and
OUT/gpu.md for the documents.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("KERAS_BACKEND", "jax")
# PyTorch needs memory, too.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import gpu_tables as tables
import jax
import keras
import machines
import numpy as np

import spp_keras
from spp_keras.layers import SpatialPyramidPooling
from spp_keras.zoo import zf5_spp

_CLASSES = 1000
_BATCHES = Path(__file__).with_name("gpu_batches.json")
_TINY = "tiny, to try the command"
_MAPS = {"32 maps of 13x13": (32, 13, 13, 256), "16 maps of 37x50": (16, 37, 50, 256)}


class Case(NamedTuple):
    """What is timed.

    Args:
        name: A row of the table.
        call: Returns when the device is done.
        pixels: Pixels of images that a call maps, or 0.
        fill: Part of the batch that is images.
    """

    name: str
    call: Callable[[], Any]
    pixels: int = 0
    fill: float = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes both files."""
    options = _parse_options(arguments)
    if options.render:
        return machines.render(options.out / "gpu", tables.markdown)
    keras.config.set_dtype_policy(options.policy)
    began = machines.begin()
    machine = machines.describe(_name_command(options))
    device = jax.devices()[0]
    machine |= {"device": f"{device.device_kind} ({device.platform})", "policy": options.policy}
    machine["versions"] |= {x.__name__: x.__version__ for x in (spp_keras, keras, jax, np)}
    peers = _find_peers(options, machine)
    rows = []
    for section, setting, cases in [
        *_list_layers(peers),
        *_list_networks(options, peers),
        *_list_batches(options),
    ]:
        machines.say(f"{section}, {setting}")
        for case, samples in zip(cases, _measure(cases, options), strict=True):
            row = {"section": section, "setting": setting, "name": case.name}
            row |= {"pixels": case.pixels, "fill": case.fill, "milliseconds": samples}
            rows.append(row)
            machines.say(f"  {case.name}: {statistics.median(samples):.3g} ms")
    machines.finish(machine, began)
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "gpu", machine, rows, text)
    return 0


def _parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    machines.turn_options(parser, rounds=15, seconds=0.1)
    parser.add_argument("--width", type=float, default=1.0, help="of ZF-5 (default: 1)")
    parser.add_argument("--side", type=int, default=224, help="of dense images (default: 224)")
    parser.add_argument("--tiny", action="store_true", help="a tiny batch of mixed sizes alone")
    parser.add_argument(
        "--policy", default="float32", choices=["float32", "mixed_bfloat16"], help="data types"
    )
    machines.render_option(parser)
    machines.out_option(parser)
    return parser.parse_args(arguments)


def _name_command(options: argparse.Namespace) -> str:
    command = f"python benchmarks/gpu.py --policy {options.policy}"
    if options.width != 1:
        command += f" --width {options.width}"
    return command + f" --side {options.side}" + (" --tiny" if options.tiny else "")


def _find_peers(options: argparse.Namespace, machine: dict[str, Any]) -> Any:
    """The module with the cases of PyTorch, or `None` where it is not installed."""
    try:
        import gpu_torch
    except ImportError:
        machines.say("PyTorch is not installed")
        return None
    machine["versions"] |= gpu_torch.find_versions()
    machine["device of PyTorch"] = gpu_torch.name_device()
    return gpu_torch.Peers(options.width, options.side, options.policy)


def _list_layers(peers: Any) -> list[tuple[str, str, list[Case]]]:
    """The pyramid on whole maps."""
    listed = []
    for setting, shape in _MAPS.items():
        layer = SpatialPyramidPooling((6, 3, 2, 1))
        maps = jax.device_put(_draw(shape))
        function = jax.jit(lambda x, layer=layer: layer(x))
        gradient = jax.jit(jax.grad(lambda x, layer=layer: layer(x).astype("float32").sum()))
        for section, run in (("pyramid, forward", function), ("pyramid, backward", gradient)):
            cases = [Case(tables.OURS, _wait(run, maps))]
            if peers:
                cases += [Case(*case) for case in peers.list_pyramids(section, shape)]
            listed.append((section, setting, cases))
    return listed


def _list_networks(options: argparse.Namespace, peers: Any) -> list[tuple[str, str, list[Case]]]:
    """ZF-5 on images of one size."""
    side, count = options.side, 16
    setting, pixels = f"{count} images of {side}x{side}", count * side * side
    network = _Network(options.width)
    images = _draw((count, side, side, 3))
    listed = []
    for section, make in (("forward", network.predict), ("training", network.train)):
        cases = [Case(tables.OURS, make(images, count), pixels)]
        if peers:
            cases += [Case(*case, pixels) for case in peers.list_networks(section)]
        listed.append((f"ZF-5, {section}", setting, cases))
    return listed


def _list_batches(options: argparse.Namespace) -> list[tuple[str, str, list[Case]]]:
    """ZF-5 on batches of mixed sizes, packed and padded, beside squares of as many pixels."""
    network, listed = _Network(options.width), []
    for setting, planned in json.loads(_BATCHES.read_text()).items():
        if (setting == _TINY) == options.tiny:
            batches = _make_batches(planned)
            for section, make in (("forward", network.predict), ("training", network.train)):
                cases = [
                    Case(name, make(inputs, len(planned["placements"])), pixels, fill)
                    for name, (inputs, pixels, fill) in batches.items()
                ]
                listed.append((f"mixed sizes, {section}", setting, cases))
    return listed


def _make_batches(planned: dict[str, Any]) -> dict[str, tuple[Any, int, float]]:
    """Inputs, pixels of the images and fill of each form of a batch."""
    placements = np.array(planned["placements"], "int32")
    sizes = placements[:, 3:]
    count, pixels = len(sizes), int(sizes.prod(axis=1).sum())
    canvases = _draw((*planned["canvases"], 3))
    padded = _draw((count, *sizes.max(axis=0), 3))
    side = round((pixels / count) ** 0.5)
    return {
        tables.ONE_SIZE: (_draw((count, side, side, 3)), count * side * side, 1.0),
        tables.PACKED: (
            {"images": canvases, "placements": placements},
            pixels,
            pixels / int(np.prod(canvases.shape[:3])),
        ),
        tables.PADDED: (
            {"images": padded, "sizes": sizes},
            pixels,
            pixels / int(np.prod(padded.shape[:3])),
        ),
    }


class _Network:
    """`zf5_spp` as functions of its weights, which XLA compiles for each batch."""

    def __init__(self, width: float):
        keras.utils.set_random_seed(0)
        self._model = zf5_spp(_CLASSES, width=width, dropout=0.0, classifier_activation=None)
        self._weights = [weight.value for weight in self._model.trainable_variables]
        self._others = [weight.value for weight in self._model.non_trainable_variables]

    def predict(self, inputs: Any, count: int) -> Callable[[], Any]:
        """A call that answers a batch."""
        return _wait(jax.jit(self._answer), self._weights, jax.device_put(inputs))

    def train(self, inputs: Any, count: int) -> Callable[[], Any]:
        """A call that takes a step of SGD, from the same weights each time."""
        labels = jax.device_put(np.arange(count) % _CLASSES)

        def compute_loss(weights: Any, inputs: Any) -> Any:
            scores = self._answer(weights, inputs).astype("float32")
            return -jax.nn.log_softmax(scores)[np.arange(count), labels].mean()

        def step(weights: Any, inputs: Any) -> Any:
            gradients = jax.grad(compute_loss)(weights, inputs)
            return jax.tree.map(lambda weight, slope: weight - 1e-4 * slope, weights, gradients)

        return _wait(jax.jit(step), self._weights, jax.device_put(inputs))

    def _answer(self, weights: Any, inputs: Any) -> Any:
        scores, _ = self._model.stateless_call(weights, self._others, inputs, training=False)
        return scores


def _wait(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: jax.block_until_ready(function(*arguments))


def _draw(shape: Sequence[int]) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, tuple(map(int, shape))).astype("float32")


def _measure(cases: Sequence[Case], options: argparse.Namespace) -> list[list[float]]:
    """Mean milliseconds of a call in each turn, after a call that compiles."""
    for case in cases:
        case.call()
    found: list[list[float]] = [[] for _ in cases]
    for _ in range(options.rounds):
        for case, samples in zip(cases, found, strict=True):
            calls, start = 0, time.perf_counter()
            while not calls or time.perf_counter() - start < options.seconds:
                case.call()
                calls += 1
            samples.append(1e3 * (time.perf_counter() - start) / calls)
    return found


if __name__ == "__main__":
    sys.exit(main())
