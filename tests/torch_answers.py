"""What PyTorch and torchvision answer, kept in a file, so that tests need neither of them.

    pip install '.[bench]'
    python tests/torch_answers.py

makes `tests/goldens/torch_answers.npz` anew. Arrays have channels last. Of a map `A x B` it holds
`x/AxB`, for each of `LEVELS` the grid `MODE/level I/AxB`, and what the pyramid `PYRAMID` makes of
`upstream/AxB`, `gradient/MODE/AxB`. The same of the pyramids of windows is under `windows`, of
`roi_pool` under `roi_pool`. `versions`, JSON, says what made it.
"""

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("goldens") / "torch_answers.npz"
SIZES = [(1, 1), (13, 10), (7, 31), (40, 23), (3, 4)]
LEVELS = [1, 3, 5, 6, (2, 7), (13, 4)]
PYRAMID = (6, 3, 2, 1)
CHANNELS = 2
# Top, left, bottom, right in cells, ends exclusive.
WINDOWS = [(0, 0, 23, 31), (3, 4, 9, 30), (22, 30, 23, 31), (5, 5, 7, 20)]


def load():
    """All arrays by their names."""
    with np.load(FILE) as file:
        return dict(file)


def main():
    """Computes and writes them."""
    import torch
    import torchvision

    arrays = {}
    random = np.random.default_rng(0)
    pools = {
        "max": torch.nn.functional.adaptive_max_pool2d,
        "average": torch.nn.functional.adaptive_avg_pool2d,
    }

    def pyramid(pool, x, levels):
        return torch.cat([pool(x, n).permute(0, 2, 3, 1).flatten(1) for n in levels], 1)

    def record(name, x, upstream, function):
        """The answer of a function of a map, channels first, and its gradient."""
        x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous().requires_grad_()
        y = function(x)
        (gradient,) = torch.autograd.grad(y, x, torch.from_numpy(upstream))
        arrays[f"gradient/{name}"] = gradient.permute(0, 2, 3, 1).contiguous().numpy()
        return y.detach().numpy()

    def drawn(name, size, items):
        bins = sum(n * n for n in PYRAMID)
        arrays[f"x/{name}"] = random.standard_normal((1, *size, CHANNELS), "float32")
        # Whole numbers, so that sums of them do not depend on their order.
        upstream = random.integers(-8, 9, (items, bins * CHANNELS)).astype("float32")
        arrays[f"upstream/{name}"] = upstream
        return arrays[f"x/{name}"], upstream

    for rows, columns in SIZES:
        name = f"{rows}x{columns}"
        x, upstream = drawn(name, (rows, columns), items=1)
        for mode, pool in pools.items():
            record(f"{mode}/{name}", x, upstream, lambda x, pool=pool: pyramid(pool, x, PYRAMID))
            for number, level in enumerate(LEVELS):
                grid = pyramid(pool, torch.from_numpy(x).permute(0, 3, 1, 2), [level])
                arrays[f"{mode}/level {number}/{name}"] = grid.numpy()

    x, upstream = drawn("windows", (23, 31), items=len(WINDOWS))
    for mode, pool in pools.items():
        arrays[f"{mode}/windows"] = record(
            f"{mode}/windows",
            x,
            upstream,
            lambda x, pool=pool: torch.cat(
                [pyramid(pool, x[:, :, t:b, left:r], PYRAMID) for t, left, b, r in WINDOWS]
            ),
        )
    # Its windows are item, and x and y of the first and the last cell.
    rois = torch.tensor([(0, left, t, r - 1, b - 1) for t, left, b, r in WINDOWS]).float()
    arrays["max/roi_pool"] = record(
        "max/roi_pool",
        x,
        upstream,
        lambda x: pyramid(lambda x, n: torchvision.ops.roi_pool(x, rois, n), x, PYRAMID),
    )
    modules = (torch, torchvision, np)
    arrays["versions"] = np.array(json.dumps({one.__name__: one.__version__ for one in modules}))
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    main()
