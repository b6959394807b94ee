"""What scores pooled windows: dense layers of a network, made to answer for windows."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import keras
import numpy as np

from spp_keras.zoo.model_parts import ModelParts

# What the corrections are divided by in training, so that all four are of one size.
_SPREAD = (0.1, 0.1, 0.2, 0.2)
_ANSWERS = ("probabilities", "deltas", "svms", "regression")


def build_softmax_head(halves: ModelParts, classes: int, dropout: float = 0.5) -> keras.Model:
    """A head to be trained: the network's hidden layers, new ones behind them.

    Args:
        halves: The network, see `spp_keras.zoo.model_parts.split_model`. Its weights
            are copied.
        classes: Number of classes, the background not among them.
        dropout: Rate behind each hidden layer. Defaults to 0.5.

    Returns:
        A `keras.Model` from vectors to probabilities `(n, 1 + classes)`, the
        background first, and corrections `(n, 4 * classes)`, divided by their
        usual spread.
    """
    vectors = x = keras.Input((_length(halves),), name="vectors")
    for layer in halves.top[:-1]:
        if isinstance(layer, keras.layers.Dense):
            copy = keras.layers.Dense.from_config({**layer.get_config(), "dtype": "float32"})
            x = copy(x)
            copy.set_weights(layer.get_weights())
            x = keras.layers.Dropout(dropout, name=f"drop_{layer.name}")(x)
    probabilities = keras.layers.Dense(
        1 + classes,
        "softmax",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name="probabilities",
    )(x)
    deltas = keras.layers.Dense(
        4 * classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        name="deltas",
    )(x)
    return keras.Model(vectors, {"probabilities": probabilities, "deltas": deltas}, name="head")


def finalize_head(trained: keras.Model) -> keras.Model:
    """The head of a detector, from one that `build_softmax_head` made and that was trained.

    Without dropout and background; the corrections' spread is in the weights.
    """
    dense = {layer.name: layer for layer in get_dense_layers(trained)}
    deltas = dense.pop("deltas")
    spread = np.tile(np.array(_SPREAD, "float32"), deltas.kernel.shape[1] // 4)
    deltas = deltas._replace(kernel=deltas.kernel * spread, bias=deltas.bias * spread)
    return build_head([*dense.values(), deltas])


def make_trainable(finished: keras.Model, dropout: float = 0.0) -> keras.Model:
    """The opposite of `finalize_head`: a head of softmax and corrections, to be trained on.

    Args:
        finished: The head.
        dropout: Rate behind each hidden layer with an activation. Defaults to 0.
    """
    vectors = x = keras.Input(finished.input_shape[1:], name="vectors")
    outputs = {}
    for name, kernel, bias, activation in get_dense_layers(finished):
        units = kernel.shape[1]
        layer = keras.layers.Dense(units, activation, use_bias=bias is not None, name=name)
        if name in _ANSWERS:
            outputs[name] = layer(x)
        else:
            x = layer(x)
            if activation != "linear":
                x = keras.layers.Dropout(dropout, name=f"drop_{name}")(x)
        if name == "deltas":
            spread = np.tile(_SPREAD, units // 4)
            kernel, bias = kernel / spread, bias / spread
        layer.set_weights([kernel] if bias is None else [kernel, bias])
    if set(outputs) != {"probabilities", "deltas"}:
        raise ValueError(
            "`finished` must be a head of softmax and corrections. "
            f"Received: one that answers by {', '.join(outputs)}."
        )
    return keras.Model(vectors, outputs, name="head")


def build_linear_head(
    trained: keras.Model,
    svms: tuple[np.ndarray, np.ndarray],
    regression: tuple[np.ndarray, np.ndarray] | None,
) -> keras.Model:
    """The paper's kind of head: machines on the last hidden layer, corrections of the vectors.

    Args:
        trained: Head that `build_softmax_head` made and that was trained.
        svms: Kernel and bias of the machines.
        regression: Kernel and bias from pooled vectors to corrections, or `None`.
    """
    outputs = [DenseWeights("svms", *svms, "linear")]
    if regression is not None:
        outputs.append(DenseWeights("regression", *regression, "linear"))
    return build_head([*_hidden(get_dense_layers(trained)), *outputs])


def score_threshold(weights: Iterable[str]) -> float:
    """The score above which a head of this package takes something for found.

    0.5 for probabilities; 0, where a support vector machine decides, for its margins.

    Args:
        weights: Names of the head's weights, or of all of a detector's.

    Example:

    >>> score_threshold(["fc7/kernel", "probabilities/kernel"])
    0.5
    >>> score_threshold(["fc7/kernel", "svms/kernel"])
    0.0
    """
    return 0.0 if any("svms" in name.split("/") for name in weights) else 0.5


def get_hidden_part(trained: keras.Model) -> keras.Model:
    """The part of a head from vectors to its last hidden layer."""
    return build_head(_hidden(get_dense_layers(trained)))


class DenseWeights(NamedTuple):
    """A dense layer: its name, weights and activation; `bias` is `None` for none."""

    name: str
    kernel: np.ndarray
    bias: np.ndarray | None
    activation: str


def get_dense_layers(head: keras.Model) -> list[DenseWeights]:
    """The dense layers of a head, in their order."""
    return [
        DenseWeights(
            layer.name,
            layer.kernel.numpy().astype("float32"),
            layer.bias.numpy().astype("float32") if layer.use_bias else None,
            layer.activation.__name__,
        )
        for layer in head.layers
        if isinstance(layer, keras.layers.Dense)
    ]


def build_head(layers: Sequence[DenseWeights], dtype: str = "float32") -> keras.Model:
    """A head of dense layers: hidden ones one behind the other, then those that answer.

    Args:
        layers: The layers. What answers goes by its name: `"probabilities"`
            (the background first, which is left out), `"svms"` and `"deltas"` on
            the last hidden layer, `"regression"` on the pooled vectors.
        dtype: Of the hidden layers. Defaults to `"float32"`, as those that answer
            always are.
    """
    vectors = x = keras.Input((len(layers[0].kernel),), name="vectors")
    outputs = []
    for name, kernel, bias, activation in layers:
        layer = keras.layers.Dense(
            kernel.shape[1],
            activation,
            use_bias=bias is not None,
            dtype="float32" if name in _ANSWERS else dtype,
            name=name,
        )
        if name not in _ANSWERS:
            x = layer(x)
        elif name == "probabilities":
            outputs.append(layer(x)[:, 1:])
        else:
            outputs.append(layer(vectors if name == "regression" else x))
        layer.set_weights([kernel] if bias is None else [kernel, bias])
    return keras.Model(vectors, outputs or x, name="head")


def remove_box_regression(head: keras.Model) -> keras.Model:
    """The head that scores windows and leaves them where they are."""
    dense = [
        layer for layer in get_dense_layers(head) if layer.name not in ("deltas", "regression")
    ]
    return build_head(dense)


def box_targets(deltas: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """What `build_softmax_head`'s corrections should be: `(n, 8 * classes)`, values and which count.

    Args:
        deltas: `(n, 4)` corrections of each window.
        labels: `(n,)` classes from 1, 0 for the background, whose do not count.
        classes: Number of classes.
    """
    values = np.zeros((2, len(labels), classes, 4), "float32")
    some = np.flatnonzero(labels)
    values[0, some, labels[some] - 1] = deltas[some] / np.array(_SPREAD, "float32")
    values[1, some, labels[some] - 1] = 1
    return np.concatenate(list(values.reshape(2, len(labels), -1)), axis=1)


def smooth_l1(expected: keras.KerasTensor, found: keras.KerasTensor) -> keras.KerasTensor:
    """The loss of corrections: of Fast R-CNN, square near zero and linear beyond."""
    values, counts = keras.ops.split(expected, 2, axis=-1)
    error = keras.ops.abs(values - found) * counts
    loss = keras.ops.where(error < 1, 0.5 * error**2, error - 0.5)
    return keras.ops.sum(loss, axis=-1)


def _hidden(layers: Sequence[DenseWeights]) -> list[DenseWeights]:
    return [layer for layer in layers if layer.name not in _ANSWERS]


def _length(halves: ModelParts) -> int:
    bins = sum(rows * columns for rows, columns in halves.pooling.levels)
    return bins * halves.trunk.output_shape[-1]
