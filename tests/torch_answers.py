"""Answers of PyTorch and torchvision, kept in a file, so that tests need neither of them.

    pip install '.[bench]'
    python tests/torch_answers.py

makes `tests/goldens/torch_answers.npz` anew. Arrays have channels last. Of a map `A x B` it holds
`x/AxB`, for each of `LEVELS` the grid `MODE/level I/AxB`, and what the pyramid `PYRAMID` makes of
`upstream/AxB`, `gradient/MODE/AxB`. The same of the pyramids of windows is under `windows`, of
`roi_pool` under `roi_pool`. `rois/N/features` and `rois/N/boxes` are for RoI pooling and align:
`rois/N/NAME` holds the answer of each case of `ROI_CASES` and `rois/N/gradient/NAME` its gradient
for `roi_upstream`. `versions`, JSON, says what made it.
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
# Of the feature maps for RoIs: rows and columns, and cells per pixel.
ROI_MAPS = [((13, 17), 1.0), ((9, 5), 1 / 16), ((59, 58), 0.5)]
# Output size; for RoI align also samples and whether aligned.
ROI_CASES = {
    "pool 7": (7,),
    "pool 2x3": ((2, 3),),
    "align 7": (7, -1, False),
    "align 3x2": ((3, 2), -1, True),
    "align 5, 2 samples": (5, 2, False),
    "align 7, 3 samples": (7, 3, True),
}


def load():
    """All arrays by their names."""
    with np.load(FILE) as file:
        return dict(file)


def roi_boxes(random, size, scale):
    """Boxes of two images: inside, across borders, outside, on whole cells, without area."""
    corners = random.uniform(-0.3, 1.3, (2, 12, 2, 2)) * size[::-1] / scale
    corners[:, 4:8] = np.round(corners[:, 4:8] * scale * 2) / 2 / scale
    boxes = np.sort(corners, axis=2).reshape(2, 12, 4).astype("float32")
    boxes[:, 0] = (0, 0, size[1] / scale, size[0] / scale)
    # 57 cells, of which float32 makes bins that whole numbers do not.
    boxes[:, 1] = (0, 0, 56 / scale, 56 / scale)
    boxes[:, 2, 2:] = boxes[:, 2, :2]
    return boxes


def roi_upstream(shape):
    """Small whole numbers, so that sums of them do not depend on their order."""
    return np.random.default_rng(2).integers(-8, 9, shape).astype("float32")


def add_rois(arrays):
    """Adds the answers of torchvision's RoI pooling and RoI align."""
    import torch
    import torchvision

    random = np.random.default_rng(1)
    for index, (size, scale) in enumerate(ROI_MAPS):
        # Without ties, whose gradient is shared here and not in torchvision.
        features = random.permutation(2 * size[0] * size[1] * CHANNELS).astype("float32")
        features = features.reshape(2, *size, CHANNELS) / 256 - 3
        boxes = roi_boxes(random, size, scale)
        arrays[f"rois/{index}/features"], arrays[f"rois/{index}/boxes"] = features, boxes
        rois = torchvision.ops._utils.convert_boxes_to_roi_format(list(torch.from_numpy(boxes)))
        for name, (output_size, *options) in ROI_CASES.items():
            x = torch.from_numpy(features).permute(0, 3, 1, 2).contiguous().requires_grad_()
            function = torchvision.ops.roi_align if options else torchvision.ops.roi_pool
            y = function(x, rois, output_size, scale, *options).permute(0, 2, 3, 1)
            (gradient,) = torch.autograd.grad(y, x, torch.from_numpy(roi_upstream(y.shape)))
            arrays[f"rois/{index}/{name}"] = y.detach().numpy().reshape(2, 12, *y.shape[1:])
            if index < 2:
                gradient = gradient.permute(0, 2, 3, 1).contiguous().numpy()
                arrays[f"rois/{index}/gradient/{name}"] = gradient


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
    add_rois(arrays)
    modules = (torch, torchvision, np)
    arrays["versions"] = np.array(json.dumps({one.__name__: one.__version__ for one in modules}))
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    main()
