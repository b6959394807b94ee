"""Training of the top of a network alone, on pooled vectors that are computed once."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _progress
from spp_keras.data.pipeline import Pipeline
from spp_keras.models.graph_run import find_canvas_rules
from spp_keras.models.layer_outputs import features
from spp_keras.training.learning_rate_multiplier import LearningRateMultiplier
from spp_keras.zoo.model_parts import find_top


class PooledImages(NamedTuple):
    """What the frozen part of a network makes of images, in memory.

    Args:
        vectors: A pooled vector for each image.
        labels: Their labels.
        weights: Their sample weights, or `None`.
        batch_size: Number of images in a batch.
    """

    vectors: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None
    batch_size: int


def pool_images(
    model: keras.Model, train_data: Any, validation_data: Any = None, *, quiet: bool = False
) -> tuple[PooledImages, PooledImages | None]:
    """Computes the inputs of a network's top for all images, in inference mode.

    Args:
        model: Network as for `spp_keras.zoo.model_parts.find_top`.
        train_data: Batches of images and labels that end, a `tf.data.Dataset` or
            `keras.utils.PyDataset`; or a `Pipeline`, whose augmentation is left out.
        validation_data: The same to validate on. Defaults to `None`.
        quiet: Whether to show no progress. Defaults to `False`.

    Returns:
        The vectors to train on, and those to validate on.
    """
    pooling, _ = find_top(model)
    pool = features(model, pooling.name)
    with _progress.create_bar(description="Vectors of images", disable=quiet) as bar:
        train = _pool(pool, model, train_data, bar)
        if validation_data is None:
            return train, None
        return train, _pool(pool, model, validation_data, bar)


def train_top(
    model: keras.Model,
    train: PooledImages,
    validation: PooledImages | None,
    compile_top: Callable[[keras.Model], Any],
    *,
    epochs: int,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: Any = 0,
) -> dict[str, list[float]]:
    """Trains the layers behind the pooling of a network on pooled vectors.

    Epoch `i` goes through the vectors in the order of
    `np.random.default_rng((seed, i)).permutation(len(vectors))`.

    Args:
        model: Network as for `spp_keras.zoo.model_parts.find_top`.
        train: Vectors to train on, see `pool_images`.
        validation: Vectors to validate on, or `None`.
        compile_top: Compiles the model of these layers.
        epochs: Number of epochs.
        seed: Seed of the order. Defaults to 0.
        callbacks: Keras callbacks. Defaults to none.
        verbose: See `keras.Model.fit`. Defaults to 0.

    Returns:
        The history of Keras.
    """
    _, layers = find_top(model)
    # Copies: the layers stay free of other inputs, and of the distribution of their variables.
    copies = [type(layer).from_config(layer.get_config()) for layer in layers]
    top = keras.Sequential([keras.Input(train.vectors.shape[1:]), *copies], name="top")
    for layer, copy in zip(layers, copies, strict=True):
        copy.set_weights(layer.get_weights())
    compile_top(top)
    history = top.fit(
        _shuffle_batches(train, seed),
        steps_per_epoch=-(-len(train.vectors) // train.batch_size),
        validation_data=validation and validation[: 2 if validation.weights is None else 3],
        validation_batch_size=validation and validation.batch_size,
        epochs=epochs,
        shuffle=False,
        callbacks=list(callbacks),
        verbose=verbose,
    )
    for layer, copy in zip(layers, copies, strict=True):
        layer.set_weights(copy.get_weights())
    return history.history


def slow_down_trunk(
    optimizer: keras.optimizers.Optimizer, model: keras.Model, multiplier: float
) -> keras.optimizers.Optimizer:
    """The optimizer with a factor on the learning rate of everything in front of the pooling.

    Args:
        optimizer: Optimizer for the network.
        model: Network as for `spp_keras.zoo.model_parts.find_top`.
        multiplier: The factor; 1 leaves the optimizer as it is.
    """
    if multiplier == 1:
        return optimizer
    _, layers = find_top(model)
    in_top = {id(variable) for layer in layers for variable in layer.trainable_variables}
    trunk = [x.path for x in model.trainable_variables if id(x) not in in_top]
    names = dict.fromkeys(path.rpartition("/")[0] for path in trunk)
    if not names:
        return optimizer
    return LearningRateMultiplier(optimizer, dict.fromkeys(names, multiplier))


def _shuffle_batches(images: PooledImages, seed: int) -> tf.data.Dataset:
    """Endless batches, in another order each epoch."""
    columns = [column for column in images[:3] if column is not None]

    def generate() -> Iterator[tuple[np.ndarray, ...]]:
        for epoch in itertools.count():
            order = np.random.default_rng((seed, epoch)).permutation(len(images.vectors))
            for start in range(0, len(order), images.batch_size):
                rows = order[start : start + images.batch_size]
                yield tuple(column[rows] for column in columns)

    signature = tuple(tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in columns)
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(2)


def _pool(pool: Callable[[Any], Any], model: keras.Model, data: Any, bar: Any) -> PooledImages:
    rows: list[list[np.ndarray]] = []
    for batch in _iterate(model, data):
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(batch)
        if labels is None:
            raise ValueError(
                "`train_data` must be batches of images and labels. Received: images alone."
            )
        columns = [pool(images), labels, *([] if weights is None else [weights])]
        rows.append([keras.ops.convert_to_numpy(column) for column in columns])
        bar.update(len(rows[-1][0]))
    if not rows:
        raise ValueError("`train_data` must have a batch. Received: none.")
    vectors, labels, *others = (np.concatenate(column) for column in zip(*rows, strict=True))
    batch_size = data.batch_size if isinstance(data, Pipeline) else len(rows[0][0])
    return PooledImages(
        vectors.astype("float32"), labels, others[0] if others else None, batch_size
    )


def _iterate(model: keras.Model, data: Any) -> Iterator[Any]:
    """Every batch once."""
    if isinstance(data, Pipeline):
        plain = Pipeline(
            data.records,
            data.size_policy,
            batch_size=data.batch_size,
            max_pixels=data.max_pixels,
            class_weight=data.class_weight,
        )
        rules = plain.choose_rules(find_canvas_rules(model))
        yield from plain.dataset(canvas_rules=rules)
    elif isinstance(data, keras.utils.PyDataset):
        yield from (data[index] for index in range(len(data)))
    elif isinstance(data, tf.data.Dataset) and data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "`train_data` must end after an epoch: leave `repeat` out. Received: an endless "
            "dataset."
        )
    else:
        yield from data
