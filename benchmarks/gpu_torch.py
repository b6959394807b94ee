"""The cases of `gpu.py` that run in PyTorch, on its GPU where it has one."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import network_torch
import numpy as np
import torch
from torch.nn import functional as F
from torch_pyramid import derive_vectors

_CLASSES = 1000
Named = tuple[str, Callable[[], Any]]


def find_versions() -> dict[str, str]:
    """The version that is measured."""
    return {"torch": torch.__version__}


def name_device() -> str:
    """On what it runs."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


class Peers:
    """ZF-5 and its pyramid in PyTorch, channels last.

    Args:
        width: Width of ZF-5.
        side: Height and width of the images.
        policy: `float32` or `mixed_bfloat16`.
    """

    def __init__(self, width: float, side: int, policy: str):
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._half = policy == "mixed_bfloat16"
        self._network = network_torch._make_network(width).to(self._device)
        self._images = self._place(np.random.default_rng(0).uniform(0, 255, (16, side, side, 3)))

    def list_pyramids(self, section: str, shape: Sequence[int]) -> list[Named]:
        """The pyramid on whole maps, each level derived from 6x6 bins as ours is."""
        maps = self._place(np.random.default_rng(0).uniform(0, 255, shape))

        def forward() -> Any:
            return derive_vectors(F.adaptive_max_pool2d(maps, 6))

        def backward() -> Any:
            maps.grad = None
            forward().sum().backward()
            return maps.grad

        if section.endswith("backward"):
            maps.requires_grad_()
        function = backward if section.endswith("backward") else torch.inference_mode()(forward)
        return [("PyTorch `adaptive_max_pool2d`, given our algebra", self._wait(function))]

    def list_networks(self, section: str) -> list[Named]:
        """The network, eager and compiled, forward or a step of SGD."""
        labels = torch.arange(16, device=self._device) % _CLASSES
        optimizer = torch.optim.SGD(self._network.parameters(), 1e-12)
        listed = []
        for name, compile_ in (("PyTorch", lambda x: x), ("PyTorch, compiled", torch.compile)):

            def run(images: Any) -> Any:
                return self._network(images, network_torch._by_rsqrt)

            network = compile_(run)

            def train(network: Any = network) -> Any:
                optimizer.zero_grad()
                F.cross_entropy(network(self._images), labels).backward()
                optimizer.step()

            def predict(network: Any = network) -> Any:
                with torch.inference_mode():
                    return network(self._images)

            listed.append((name, self._wait(train if section == "training" else predict)))
        return listed

    def _place(self, values: np.ndarray) -> Any:
        """Maps on the device, channels first in shape and last in memory."""
        tensor = torch.from_numpy(values.astype("float32")).permute(0, 3, 1, 2)
        return tensor.contiguous(memory_format=torch.channels_last).to(self._device)

    def _wait(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """A call in the data types of the policy that returns when the device is done."""

        def call() -> Any:
            half = torch.autocast(self._device, torch.bfloat16) if self._half else None
            with half or contextlib.nullcontext():
                result = function()
            if self._device == "cuda":
                torch.cuda.synchronize()
            return result

        return call
