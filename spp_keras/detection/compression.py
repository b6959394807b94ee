"""A detector that answers sooner, nearly the same: where its time goes, it does less.

At full width and one scale 2,000 windows cost dense layers, then convolutions, then pooling.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from spp_keras import _checks
from spp_keras.detection import head_training, heads, variants
from spp_keras.detection.detector import Detector
from spp_keras.detection.feature_cache import FeatureMapCache


def truncate_dense(detector: Detector, ranks: Sequence[int], *, seed: int = 0) -> Detector:
    """The detector with its first dense layers as products of two thin ones.

    A kernel is replaced by what its largest singular values make of it, as in
    Fast R-CNN: of 12,800 x 4,096 with rank 256, a twelfth of the multiplications.

    Args:
        detector: The detector.
        ranks: How many singular values each of the first dense layers keeps.
        seed: Of the randomized decomposition. Defaults to 0.
    """
    from sklearn.utils.extmath import randomized_svd

    layers = heads.get_dense_layers(detector.head)
    hidden = [layer for layer in layers if layer.activation == "relu"]
    if not 1 <= len(ranks) <= len(hidden):
        raise ValueError(
            f"`ranks` must be a rank for each of the first dense layers, {len(hidden)} at most. "
            f"Received: ranks={ranks!r}."
        )
    thinner = dict(zip((layer.name for layer in hidden), ranks, strict=False))
    made: list[heads.DenseWeights] = []
    for layer in layers:
        if layer.name not in thinner:
            made.append(layer)
            continue
        rank = _checks.at_least(thinner[layer.name], 1, "ranks")
        rank = min(rank, *layer.kernel.shape)
        left, values, right = randomized_svd(layer.kernel, rank, random_state=seed)
        root = np.sqrt(values)
        made.append(heads.DenseWeights(f"{layer.name}_thin", left * root, None, "linear"))
        made.append(layer._replace(kernel=root[:, np.newaxis] * right))
    return variants.replace_parts(detector, head=heads.build_head(made))


def tune_head(
    detector: Detector,
    maps: FeatureMapCache,
    state: str | Path,
    *,
    epochs: int = 2,
    learning_rate: float = 3e-3,
    dropout: float = 0.2,
    seed: int = 0,
) -> Detector:
    """The detector with its head fine-tuned again: what thin layers have lost comes back.

    Args:
        detector: One with a head of softmax, such as `truncate_dense` made.
        maps: Maps of the examples it learned from.
        state: File for the state behind each epoch, see `fine_tuning.fine_tune`.
        epochs: Defaults to 2.
        learning_rate: Of the first. Defaults to 3e-3.
        dropout: Rate behind the hidden layers. Defaults to 0.2.
        seed: Of windows and dropout. Defaults to 0.
    """
    keras.utils.set_random_seed(seed)
    head = heads.make_trainable(detector.head, dropout)
    head_training.train_head(
        head, maps, state, epochs=epochs, learning_rate=learning_rate, seed=seed
    )
    return variants.replace_parts(detector, head=heads.finalize_head(head))


def cast_to_bfloat16(detector: Detector) -> Detector:
    """The detector with convolutions, pooling and hidden layers in bfloat16.

    Eight bits of each number instead of 24: half the memory to move, and twice the
    multiplications a second where the processor has them. The last layers, which
    say scores and corrections, stay in float32.
    """
    return variants.replace_parts(
        detector,
        trunk=_in_bfloat16(detector.trunk),
        head=heads.build_head(heads.get_dense_layers(detector.head), "bfloat16"),
    )


def _in_bfloat16(model: keras.Model) -> keras.Model:
    def cast(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": "bfloat16"})

    clone = keras.models.clone_model(model, clone_function=cast)
    clone.set_weights(model.get_weights())
    return clone
