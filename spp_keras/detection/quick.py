"""A detector that answers sooner, nearly the same: where its time goes, it does less.

What 2,000 windows cost at full width is dense layers, then convolutions, then pooling.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from spp_keras import _checks
from spp_keras.detection import boxes, fine_tuning, heads, passes, variants
from spp_keras.detection.detector import Detector
from spp_keras.detection.maps import Maps

_OBJECT, _BACKGROUND = 0.5, 0.3
# Windows that the gate is fitted to, and those of an image among them.
_WINDOWS, _OF_AN_IMAGE = 20_000, 64


def truncated(detector: Detector, ranks: Sequence[int], *, seed: int = 0) -> Detector:
    """The detector with its first dense layers as products of two thin ones.

    A kernel is replaced by what its largest singular values make of it, as in
    Fast R-CNN: of 12,800 x 4,096 with rank 256, a twelfth of the multiplications.

    Args:
        detector: The detector.
        ranks: How many singular values each of the first dense layers keeps.
        seed: Of the randomized decomposition. Defaults to 0.
    """
    from sklearn.utils.extmath import randomized_svd

    layers = heads.dense_of(detector.head)
    hidden = [layer for layer in layers if layer.activation == "relu"]
    if not 1 <= len(ranks) <= len(hidden):
        raise ValueError(
            f"`ranks` must be a rank for each of the first dense layers, {len(hidden)} at most. "
            f"Received: ranks={ranks!r}."
        )
    thinner = dict(zip((layer.name for layer in hidden), ranks, strict=False))
    made: list[heads.Dense] = []
    for layer in layers:
        if layer.name not in thinner:
            made.append(layer)
            continue
        rank = _checks.at_least(thinner[layer.name], 1, "ranks")
        rank = min(rank, *layer.kernel.shape)
        left, values, right = randomized_svd(layer.kernel, rank, random_state=seed)
        root = np.sqrt(values)
        made.append(heads.Dense(f"{layer.name}_thin", left * root, None, "linear"))
        made.append(layer._replace(kernel=root[:, np.newaxis] * right))
    return variants.changed(detector, head=heads.assemble(made))


def tuned(
    detector: Detector,
    maps: Maps,
    state: str | Path,
    *,
    epochs: int = 2,
    learning_rate: float = 3e-3,
    dropout: float = 0.2,
    seed: int = 0,
) -> Detector:
    """The detector with its head fine-tuned again: what thin layers have lost comes back.

    Args:
        detector: One with a head of softmax, such as `truncated` made.
        maps: Maps of the examples it learned from.
        state: File for the state behind each epoch, see `fine_tuning.fine_tune`.
        epochs: Defaults to 2.
        learning_rate: Of the first. Defaults to 3e-3.
        dropout: Rate behind the hidden layers. Defaults to 0.2.
        seed: Of windows and dropout. Defaults to 0.
    """
    keras.utils.set_random_seed(seed)
    head = heads.to_train(detector.head, dropout)
    fine_tuning.fine_tune(head, maps, state, epochs=epochs, learning_rate=learning_rate, seed=seed)
    return variants.changed(detector, head=heads.finished(head))


def gated(
    detector: Detector, maps: Maps, share: float = 0.3, *, seed: int = 0, progress: bool = True
) -> Detector:
    """The detector with a gate behind its first thin layer: most windows go no further.

    Whether a window shows an object is read off the numbers that are there by then,
    by logistic regression; the likeliest go on to the layers behind.

    Args:
        detector: One that `truncated` made.
        maps: Maps of the examples it learned from.
        share: Share of their windows that shall pass. Defaults to 0.3.
        seed: Of the windows drawn. Defaults to 0.
        progress: Whether to show a bar. Defaults to `True`.
    """
    from sklearn.linear_model import LogisticRegression

    _checks.fraction(share, "share")
    first, *others = heads.dense_of(detector.head)
    if first.bias is not None or "regression" in (layer.name for layer in others):
        raise ValueError(
            "`detector` must have a head of softmax that begins with a thin layer, as `truncated` "
            f"makes one. Received: a head that begins with {first.name!r}."
        )
    features = passes.over_windows(maps, heads.assemble([first]))
    inputs, objects = _drawn(features, maps, seed, progress)
    scale = 1 / max(float(np.linalg.norm(inputs, axis=1).mean()), 1e-12)
    decided = (objects >= _OBJECT) | (objects < _BACKGROUND)
    fit = LogisticRegression(class_weight="balanced", max_iter=1000)
    fit.fit(inputs[decided] * scale, objects[decided] >= _OBJECT)
    kernel, bias = fit.coef_.T * scale, fit.intercept_
    bias = bias - np.quantile(inputs @ kernel + bias, 1 - share)
    gate = gate_of(first, heads.Dense("worth", kernel, bias, "linear"))
    return variants.changed(detector, head=heads.assemble(others), gate=gate)


def in_bfloat16(detector: Detector) -> Detector:
    """The detector with convolutions, pooling and hidden layers in bfloat16.

    Eight bits of each number instead of 24: half the memory to move, and twice the
    multiplications a second where the processor has them. The last layers, which
    say scores and corrections, stay in float32.
    """
    gate = detector.gate
    if gate is not None:
        first, worth = heads.dense_of(gate)
        gate = gate_of(first, worth, dtype="bfloat16")
    return variants.changed(
        detector,
        trunk=_in_bfloat16(detector.trunk),
        head=heads.assemble(heads.dense_of(detector.head), "bfloat16"),
        gate=gate,
    )


def gate_of(first: heads.Dense, worth: heads.Dense, dtype: str = "float32") -> keras.Model:
    """The gate of a `Detector`: its first thin layer, and what the windows are worth by it."""
    vectors = keras.Input((len(first.kernel),), name="vectors")
    thin = keras.layers.Dense(first.kernel.shape[1], use_bias=False, dtype=dtype, name=first.name)
    last = keras.layers.Dense(1, dtype="float32", name=worth.name)
    inner = thin(vectors)
    gate = keras.Model(vectors, [inner, last(inner)], name="gate")
    thin.set_weights([first.kernel])
    last.set_weights([worth.kernel, worth.bias])
    return gate


def _drawn(features: Any, maps: Maps, seed: int, progress: bool) -> tuple[np.ndarray, np.ndarray]:
    """Features of some windows, and how much each overlaps an object."""
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(passes.unmirrored(maps))[: -(-_WINDOWS // _OF_AN_IMAGE)]
    inputs, overlaps = [], []
    for number in passes.shown(numbers, "Gate", progress):
        example = maps.examples[number]
        proposed = np.arange(len(example.objects), len(example.windows))
        which = np.sort(rng.permutation(proposed)[:_OF_AN_IMAGE])
        if len(which):
            inputs.append(features(number, which))
            found = boxes.iou(example.windows[which], example.objects)
            overlaps.append(found.max(axis=1, initial=0))
    return np.concatenate(inputs), np.concatenate(overlaps)


def _in_bfloat16(model: keras.Model) -> keras.Model:
    def cast(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": "bfloat16"})

    clone = keras.models.clone_model(model, clone_function=cast)
    clone.set_weights(model.get_weights())
    return clone
