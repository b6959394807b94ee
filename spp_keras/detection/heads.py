"""Heads of detectors: dense layers that score pooled RoIs and refine their boxes."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import keras
import numpy as np

from spp_keras.zoo import model_parts

# In training, box deltas are divided by these, so that all four are of one size.
_DELTAS_STD = (0.1, 0.1, 0.2, 0.2)
_OUTPUT_LAYERS = ("probabilities", "deltas", "svms", "regression")


class DenseWeights(NamedTuple):
    """A dense layer: its name, weights and activation; `bias` is `None` for none."""

    name: str
    kernel: np.ndarray
    bias: np.ndarray | None
    activation: str


def build_softmax_head(network: keras.Model, num_classes: int, dropout: float = 0.5) -> keras.Model:
    """A head to train: copies of the network's hidden layers, and new output layers.

    Args:
        network: An SPP network of the zoo, see `spp_keras.zoo.with_boxes`.
        num_classes: Number of classes, without the background.
        dropout: Rate after each hidden layer. Defaults to 0.5.

    Returns:
        A `keras.Model` from pooled vectors to `probabilities` `(n, 1 + classes)`, the
        background first, and `deltas` `(n, 4 * classes)`, divided by their usual spread.
    """
    parts = model_parts.split_model(network)
    bins = sum(rows * columns for rows, columns in parts.pooling.levels)
    vectors = x = keras.Input((bins * parts.trunk.output_shape[-1],), name="vectors")
    for layer in parts.top[:-1]:
        if isinstance(layer, keras.layers.Dense):
            copy = keras.layers.Dense.from_config({**layer.get_config(), "dtype": "float32"})
            x = copy(x)
            copy.set_weights(layer.get_weights())
            x = keras.layers.Dropout(dropout, name=f"drop_{layer.name}")(x)
    probabilities = keras.layers.Dense(
        1 + num_classes,
        "softmax",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name="probabilities",
    )(x)
    deltas = keras.layers.Dense(
        4 * num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        name="deltas",
    )(x)
    return keras.Model(vectors, {"probabilities": probabilities, "deltas": deltas}, name="head")


def finalize_head(head: keras.Model) -> keras.Model:
    """The head of a detector, from one of `build_softmax_head`.

    It has no dropout and no background, and the spread of the deltas is in the weights.
    """
    layers = {layer.name: layer for layer in get_dense_layers(head)}
    deltas = layers.pop("deltas")
    std = np.tile(np.array(_DELTAS_STD, "float32"), deltas.kernel.shape[1] // 4)
    deltas = deltas._replace(kernel=deltas.kernel * std, bias=deltas.bias * std)
    return build_head([*layers.values(), deltas])


def make_trainable(head: keras.Model, dropout: float = 0.0) -> keras.Model:
    """A softmax head to train further, the inverse of `finalize_head`.

    Args:
        head: The head of a detector, such as `compression.truncate_dense` makes.
        dropout: Rate after each hidden layer with an activation. Defaults to 0.
    """
    vectors = x = keras.Input(head.input_shape[1:], name="vectors")
    outputs = {}
    for name, kernel, bias, activation in get_dense_layers(head):
        units = kernel.shape[1]
        layer = keras.layers.Dense(units, activation, use_bias=bias is not None, name=name)
        if name in _OUTPUT_LAYERS:
            outputs[name] = layer(x)
        else:
            x = layer(x)
            if activation != "linear":
                x = keras.layers.Dropout(dropout, name=f"drop_{name}")(x)
        if name == "deltas":
            std = np.tile(_DELTAS_STD, units // 4)
            kernel, bias = kernel / std, bias / std
        layer.set_weights([kernel] if bias is None else [kernel, bias])
    if set(outputs) != {"probabilities", "deltas"}:
        raise ValueError(
            "`head` must have probabilities and box deltas, as of `finalize_head`. "
            f"Received: a head with {', '.join(outputs)}."
        )
    return keras.Model(vectors, outputs, name="head")


def build_linear_head(
    head: keras.Model,
    svms: tuple[np.ndarray, np.ndarray],
    regression: tuple[np.ndarray, np.ndarray] | None,
) -> keras.Model:
    """The paper's head: SVMs on the last hidden layer, box deltas from the pooled vectors.

    Args:
        head: A head of `build_softmax_head`, for its hidden layers.
        svms: Kernel and bias of the SVMs.
        regression: Kernel and bias from pooled vectors to box deltas, or `None`.
    """
    outputs = [DenseWeights("svms", *svms, "linear")]
    if regression is not None:
        outputs.append(DenseWeights("regression", *regression, "linear"))
    return build_head([*_list_hidden(get_dense_layers(head)), *outputs])


def get_hidden_part(head: keras.Model) -> keras.Model:
    """The part of a head from vectors to its last hidden layer."""
    return build_head(_list_hidden(get_dense_layers(head)))


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
    """A head of dense layers: a chain of hidden layers, then the output layers.

    Args:
        layers: The layers. Output layers are told by their names: `"probabilities"`
            (the background first, which is cut off), `"svms"` and `"deltas"` are on the
            last hidden layer, `"regression"` is on the pooled vectors.
        dtype: Data type of the hidden layers. Defaults to `"float32"`, which that of the
            output layers always is.
    """
    vectors = x = keras.Input((len(layers[0].kernel),), name="vectors")
    outputs = []
    for name, kernel, bias, activation in layers:
        layer = keras.layers.Dense(
            kernel.shape[1],
            activation,
            use_bias=bias is not None,
            dtype="float32" if name in _OUTPUT_LAYERS else dtype,
            name=name,
        )
        if name not in _OUTPUT_LAYERS:
            x = layer(x)
        elif name == "probabilities":
            outputs.append(layer(x)[:, 1:])
        else:
            outputs.append(layer(vectors if name == "regression" else x))
        layer.set_weights([kernel] if bias is None else [kernel, bias])
    return keras.Model(vectors, outputs or x, name="head")


def choose_score_threshold(weight_names: Iterable[str]) -> float:
    """The score above which a detection is shown by default.

    It is 0.5 for probabilities, and 0 for the margins of SVMs.

    Args:
        weight_names: Names of the head's weights, or of all weights of a detector.

    Example:

    >>> choose_score_threshold(["fc7/kernel", "probabilities/kernel"])
    0.5
    >>> choose_score_threshold(["fc7/kernel", "svms/kernel"])
    0.0
    """
    return 0.0 if any("svms" in name.split("/") for name in weight_names) else 0.5


def box_targets(deltas: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Targets of the `deltas` output of `build_softmax_head`, for `smooth_l1`.

    Args:
        deltas: `(n, 4)`, box deltas of each RoI.
        classes: `(n,)`, classes from 1, and 0 for the background, which has no deltas.
        num_classes: Number of classes.

    Returns:
        `(n, 8 * num_classes)`: the deltas at the place of the class, then weights of zeros
        and ones.
    """
    values = np.zeros((2, len(classes), num_classes, 4), "float32")
    foreground = np.flatnonzero(classes)
    indices = foreground, classes[foreground] - 1
    values[0][indices] = deltas[foreground] / np.array(_DELTAS_STD, "float32")
    values[1][indices] = 1
    return np.concatenate(list(values.reshape(2, len(classes), -1)), axis=1)


def smooth_l1(targets: keras.KerasTensor, deltas: keras.KerasTensor) -> keras.KerasTensor:
    """The loss of box deltas of Fast R-CNN: quadratic near zero and linear beyond.

    Args:
        targets: `(n, 2 * length)`, values and weights, see `box_targets`.
        deltas: `(n, length)`.
    """
    values, weights = keras.ops.split(targets, 2, axis=-1)
    error = keras.ops.abs(values - deltas) * weights
    loss = keras.ops.where(error < 1, 0.5 * error**2, error - 0.5)
    return keras.ops.sum(loss, axis=-1)


def _list_hidden(layers: Sequence[DenseWeights]) -> list[DenseWeights]:
    return [layer for layer in layers if layer.name not in _OUTPUT_LAYERS]
