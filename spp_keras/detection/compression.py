"""Smaller heads: dense layers as products of two thin ones (truncated SVD)."""

from collections.abc import Sequence

import numpy as np

from spp_keras import _checks, _extras
from spp_keras.detection import heads
from spp_keras.detection.detector import Detector


def truncate_dense(detector: Detector, ranks: Sequence[int], *, seed: int = 0) -> Detector:
    """The detector with its first dense layers replaced by products of two thin ones.

    A kernel is approximated by its largest singular values, as in Fast R-CNN: 12,800 x
    4,096 at rank 256 take a twelfth of the multiplications.

    Args:
        detector: The detector.
        ranks: Number of singular values of each of the first dense layers.
        seed: Seed of the randomized SVD. Defaults to 0.
    """
    _extras.require("detection", "Truncating layers", "sklearn")
    from sklearn.utils.extmath import randomized_svd

    layers = heads.get_dense_layers(detector.head)
    hidden = [layer for layer in layers if layer.activation == "relu"]
    if not 1 <= len(ranks) <= len(hidden):
        raise ValueError(
            f"`ranks` must be a rank for each of the first dense layers, {len(hidden)} at most. "
            f"Received: ranks={ranks!r}."
        )
    rank_by_name = dict(zip((layer.name for layer in hidden), ranks, strict=False))
    truncated: list[heads.DenseWeights] = []
    for layer in layers:
        if layer.name not in rank_by_name:
            truncated.append(layer)
            continue
        rank = _checks.at_least(rank_by_name[layer.name], 1, "ranks")
        rank = min(rank, *layer.kernel.shape)
        left, values, right = randomized_svd(layer.kernel, rank, random_state=seed)
        root = np.sqrt(values)
        truncated.append(heads.DenseWeights(f"{layer.name}_thin", left * root, None, "linear"))
        truncated.append(layer._replace(kernel=root[:, np.newaxis] * right))
    return detector.replace(head=heads.build_head(truncated))
