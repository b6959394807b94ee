"""The cases of `network.py` that run in PyTorch: eager, or with `--compile` compiled."""

import argparse
import functools
import os
from collections.abc import Callable

import network_inputs as inputs
import numpy as np
import torch
from torch.nn import functional as F
from torch_pyramid import derive_vectors
from worker import THREADS, Prepared, case, serve

Function = Callable[..., torch.Tensor]


def _by_pow(x: torch.Tensor) -> torch.Tensor:
    return x / (1 + inputs.ALPHA * _sum_region(x.square())).pow(0.75)


def _by_rsqrt(x: torch.Tensor) -> torch.Tensor:
    return x * _inverse_power(_sum_region(x.square()))


def _by_convolution(x: torch.Tensor) -> torch.Tensor:
    ones = x.new_ones((x.shape[1], 1, inputs.REGION, inputs.REGION))
    margin = inputs.REGION // 2
    return x * _inverse_power(F.conv2d(x.square(), ones, padding=margin, groups=x.shape[1]))


def _by_slices(x: torch.Tensor) -> torch.Tensor:
    margin, size = inputs.REGION // 2, inputs.REGION
    height, width = x.shape[2:]
    squares = F.pad(x.square(), [margin] * 4)
    rows = functools.reduce(torch.add, [squares[:, :, i : i + height] for i in range(size)])
    sums = functools.reduce(torch.add, [rows[..., i : i + width] for i in range(size)])
    return x * _inverse_power(sums)


def _sum_region(squares: torch.Tensor) -> torch.Tensor:
    size = inputs.REGION
    return F.avg_pool2d(squares, size, 1, size // 2, divisor_override=1)


def _inverse_power(sums: torch.Tensor) -> torch.Tensor:
    root = torch.rsqrt(1 + inputs.ALPHA * sums)
    return root * root.sqrt()


# PyTorch's own normalization sums over channels, that of ZF-5 over cells: by what it is written.
_FORMS: dict[str, Function] = {
    "`avg_pool2d`, `pow`": _by_pow,
    "`avg_pool2d`, `rsqrt`": _by_rsqrt,
    "depthwise `conv2d`, `rsqrt`": _by_convolution,
    "slices, `rsqrt`": _by_slices,
    inputs.WITHOUT: lambda x: x,
}


class _Network(torch.nn.Module):
    """ZF-5 with a pyramid and without dropout."""

    def __init__(self, width: float):
        super().__init__()
        layers = {}
        for layer in inputs.list_layers(width):
            *_, channels, filters = layer.shape
            if len(layer.shape) == 4:
                layers[layer.name] = torch.nn.Conv2d(
                    channels, filters, layer.shape[0], layer.stride, layer.padding
                )
            else:
                layers[layer.name] = torch.nn.Linear(channels, filters)
        self.layers = torch.nn.ModuleDict(layers)

    def forward(self, images: torch.Tensor, normalize: Function) -> torch.Tensor:
        x = images / 128 - 1
        for name, layer in self.layers.items():
            if name == "fc6":
                x = derive_vectors(F.adaptive_max_pool2d(x, 6))
            x = layer(x)
            x = x if name == "predictions" else F.relu(x)
            if name in inputs.NORMALIZED:
                x = F.max_pool2d(normalize(x), 3, 2)
        return x


def _forward(setting: str, normalize: Function, compiled: bool) -> Prepared:
    network = _make_network(inputs.WIDTHS[setting])
    images = _channels_last(inputs.images())

    def predict(images: torch.Tensor) -> torch.Tensor:
        return F.softmax(network(images, normalize), 1)

    function = _compile(predict) if compiled else predict

    @torch.inference_mode()
    def call() -> torch.Tensor:
        return function(images)

    return Prepared(call, lambda scores: scores.numpy())


def _training(setting: str, normalize: Function, compiled: bool) -> Prepared:
    network = _make_network(inputs.WIDTHS[setting])
    images, labels = _channels_last(inputs.images()), torch.from_numpy(inputs.labels())
    optimizer = torch.optim.SGD(network.parameters(), 1e-12, momentum=0.9, fused=True)

    def compute_loss(images: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(network(images, normalize), labels)

    function = _compile(compute_loss) if compiled else compute_loss

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = function(images)
        loss.backward()
        optimizer.step()
        return loss

    def answer(_: torch.Tensor) -> np.ndarray:
        # After one step a momentum is the gradient.
        found = {
            name: tuple(optimizer.state[x]["momentum_buffer"] for x in (layer.weight, layer.bias))
            for name, layer in network.layers.items()
        }
        by_layer = {name: (_as_keras(kernel), b.numpy()) for name, (kernel, b) in found.items()}
        return inputs.join_gradients(by_layer, inputs.WIDTHS[setting])

    return Prepared(step, answer)


@functools.lru_cache(maxsize=1)
def _make_network(width: float) -> _Network:
    network = _Network(width)
    for name, (kernel, bias) in inputs.weights(width).items():
        layer = network.layers[name]
        order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(kernel).permute(order))
            layer.bias.copy_(torch.from_numpy(bias))
    return network.to(memory_format=torch.channels_last)


def _as_keras(kernel: torch.Tensor) -> np.ndarray:
    """A kernel or its gradient with its filters, or units, last."""
    return kernel.permute((2, 3, 1, 0) if kernel.ndim == 4 else (1, 0)).numpy()


def _channels_last(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).clone(memory_format=torch.channels_last)


def _compile(function: Function) -> Function:
    # One function for each normalization and width, and none of them interpreted.
    torch._dynamo.config.recompile_limit = 64
    return torch.compile(function, fullgraph=True)


def _register(compiled: bool) -> None:
    prefix = "PyTorch, compiled" if compiled else "PyTorch"
    for section, prepare in (("forward", _forward), ("training", _training)):
        for form, normalize in _FORMS.items():
            made = functools.partial(prepare, normalize=normalize, compiled=compiled)
            case(section, f"{prefix}, {form}")(made)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--compile", metavar="FOLDER", help="compile, and keep what is made there")
    folder = parser.parse_args().compile
    if folder:
        # Compilers in processes of their own would stay when this one has ended.
        os.environ |= {"TORCHINDUCTOR_CACHE_DIR": folder, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    torch.set_num_threads(THREADS)
    _register(bool(folder))
    serve(["torch"])
