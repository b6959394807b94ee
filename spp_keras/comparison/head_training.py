"""Training of softmax layers on vectors of a frozen trunk, several settings at once."""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# Of Keras' Adam.
_BETAS, _EPSILON = (0.9, 0.999), 1e-7


class HeadSettings(NamedTuple):
    """How a head is trained.

    Args:
        learning_rate: Learning rate at first, which falls to 0 by half a cosine.
        weight_decay: Decoupled weight decay.
    """

    learning_rate: float
    weight_decay: float


class Heads(NamedTuple):
    """Softmax layers, one for each setting.

    Args:
        kernels: `(length, settings, classes)`.
        biases: `(settings, classes)`.
    """

    kernels: np.ndarray
    biases: np.ndarray

    def score(self, vectors: np.ndarray, index: int = 0) -> np.ndarray:
        """Probabilities of classes by one of the layers.

        Args:
            vectors: `(..., length)`.
            index: Index of the setting. Defaults to 0.
        """
        logits = vectors.astype("float32") @ self.kernels[:, index] + self.biases[index]
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)


def train_heads(
    vectors: np.ndarray,
    labels: np.ndarray,
    classes: int,
    settings: list[HeadSettings],
    *,
    steps: int,
    batch_size: int,
    seed: int,
) -> Heads:
    """Trains a softmax layer for each setting, all on the same batches.

    Each is what `keras.layers.Dense` becomes by `keras.optimizers.AdamW` with a
    `CosineDecay`. Together they take little longer than one. An epoch sees one of the views of
    every image, drawn at random, as a pipeline that augments would.

    Args:
        vectors: `(images, views, length)`.
        labels: `(images,)`, indices of classes.
        classes: Number of classes.
        settings: The settings.
        steps: Number of batches.
        batch_size: Images in a batch.
        seed: Seed of the first weights and of the batches.

    Example:

    >>> vectors, labels = np.eye(2, dtype="float32")[:, np.newaxis], np.array([0, 1])
    >>> setting = HeadSettings(learning_rate=0.1, weight_decay=0.0)
    >>> heads = train_heads(vectors, labels, 2, [setting], steps=50, batch_size=2, seed=0)
    >>> heads.score(vectors[:, 0]).argmax(axis=1).tolist()
    [0, 1]
    """
    images, views, length = vectors.shape
    limit = math.sqrt(6 / (length + classes))
    generator = np.random.default_rng(seed)
    # Glorot's, as Keras takes it for a dense layer, the same for all settings.
    kernel = generator.uniform(-limit, limit, (length, classes)).astype("float32")
    kernels = np.tile(kernel, (1, len(settings)))
    rows = draw_batches(images, views, steps, batch_size, generator)
    trained = _train(
        vectors.reshape(-1, length).astype("float32"),
        np.eye(classes, dtype="float32")[np.repeat(labels, views)],
        rows,
        kernels,
        np.zeros(kernels.shape[1], "float32"),
        *(np.repeat(column, classes).astype("float32") for column in zip(*settings, strict=True)),
    )
    shape = (len(settings), classes)
    return Heads(trained[0].numpy().reshape(length, *shape), trained[1].numpy().reshape(shape))


def draw_batches(
    images: int, views: int, steps: int, batch_size: int, generator: np.random.Generator
) -> np.ndarray:
    """Rows of `images * views` vectors for each step: `(steps, batch_size)`.

    Every epoch is another permutation of the images; a batch may lie in two of them.
    """
    epochs = -(-steps * batch_size // images)
    order = np.concatenate([generator.permutation(images) for _ in range(epochs)])
    rows = order * views + generator.integers(0, views, len(order))
    return rows[: steps * batch_size].reshape(steps, batch_size).astype("int32")


@tf.function(
    input_signature=[
        tf.TensorSpec((None, None), tf.float32, "vectors"),
        tf.TensorSpec((None, None), tf.float32, "targets"),
        tf.TensorSpec((None, None), tf.int32, "rows"),
        tf.TensorSpec((None, None), tf.float32, "kernels"),
        tf.TensorSpec((None,), tf.float32, "biases"),
        tf.TensorSpec((None,), tf.float32, "learning_rates"),
        tf.TensorSpec((None,), tf.float32, "weight_decays"),
    ],
    autograph=False,
)
def _train(
    vectors: Any,
    targets: Any,
    rows: Any,
    kernels: Any,
    biases: Any,
    learning_rates: Any,
    weight_decays: Any,
) -> tuple[Any, Any]:
    """Weights of all heads side by side: columns of a head are neighbors."""
    steps, batch_size = tf.unstack(tf.shape(rows))
    classes = tf.shape(targets)[1]

    def train_step(step: Any, state: Any) -> tuple[Any, Any]:
        kernels, biases = state[0][0], state[1][0]
        images = tf.gather(vectors, rows[step])
        logits = tf.reshape(images @ kernels + biases, (batch_size, -1, classes))
        errors = tf.nn.softmax(logits) - tf.gather(targets, rows[step])[:, tf.newaxis]
        errors = tf.reshape(errors, (batch_size, -1)) / tf.cast(batch_size, tf.float32)
        gradients = (tf.matmul(images, errors, transpose_a=True), tf.reduce_sum(errors, axis=0))
        progress = tf.cast(step, tf.float32) / tf.cast(steps, tf.float32)
        rates = learning_rates * (0.5 + 0.5 * tf.cos(math.pi * progress))
        first, second = (1 - tf.pow(beta, tf.cast(step + 1, tf.float32)) for beta in _BETAS)
        scale = rates * tf.sqrt(second) / first

        def update(of_weights: Any, gradient: Any) -> tuple[Any, Any, Any]:
            weights, mean, square = of_weights
            weights -= weights * weight_decays * rates
            mean += (gradient - mean) * (1 - _BETAS[0])
            square += (tf.square(gradient) - square) * (1 - _BETAS[1])
            return weights - mean * scale / (tf.sqrt(square) + _EPSILON), mean, square

        updated = [update(state[i], gradients[i]) for i in range(2)]
        return step + 1, tuple(updated)

    state = tuple((x, tf.zeros_like(x), tf.zeros_like(x)) for x in (kernels, biases))
    _, ((kernels, *_), (biases, *_)) = tf.while_loop(
        lambda step, _: step < steps,
        train_step,
        (0, state),
        maximum_iterations=steps,
        parallel_iterations=1,
    )
    return kernels, biases
