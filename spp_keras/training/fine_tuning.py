"""Fine-tuning of a network: its top on vectors kept in memory, then all of it."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from spp_keras import _checks
from spp_keras._private_apis import list_sublayers
from spp_keras.training.top_training import pool_images, slow_down_trunk, train_top
from spp_keras.zoo.model_parts import find_top


def fine_tune(
    model: keras.Model,
    train_data: Any,
    validation_data: Any = None,
    *,
    top_epochs: int = 50,
    epochs: int = 5,
    learning_rate: float = 1e-3,
    trunk_multiplier: float = 0.1,
    loss: Any = "sparse_categorical_crossentropy",
    metrics: Sequence[Any] = ("accuracy",),
    patience: int = 5,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: Any = "auto",
) -> keras.callbacks.History:
    """Trains a network with trained weights on few images, in two phases.

    First the top alone: everything in front of it, the trunk, is frozen and runs in inference
    mode, so every image goes through it once. The pooled vectors are kept in memory, 4 bytes for
    each number: with the paper's 50 bins of 1280 channels a thousand images take 256 MB. An
    epoch takes seconds.

    Then the whole network, the trunk at a smaller learning rate. Batch normalization of the trunk
    stays frozen, with its stored statistics.

    Both phases use Adam. With validation data, each ends when the validation loss has not
    improved for some epochs, and the weights of the least validation loss of both are kept.

    Afterwards the model is compiled as for the second phase, so that `fit` goes on.

    Args:
        model: Network of the zoo or of `spp_keras.zoo.spp_classifier`, or one with a pyramid,
            `Flatten` or global pooling in front of layers in a row. Layers of the trunk become
            trainable, or without the second phase frozen.
        train_data: Batches of images and labels, a `tf.data.Dataset` or `keras.utils.PyDataset`,
            ragged or dense; or a `spp_keras.data.Pipeline`, whose augmentation is for the second
            phase alone. The first phase goes through a dataset once.
        validation_data: The same to validate on. Defaults to `None`.
        top_epochs: Epochs of the top alone; 0 leaves this phase out. Defaults to 50.
        epochs: Epochs of the whole network; 0 leaves this phase out. Defaults to 5.
        learning_rate: Learning rate of the top. Defaults to 1e-3.
        trunk_multiplier: Factor on the learning rate for the trunk. Defaults to 0.1.
        loss: See `keras.Model.compile`. Defaults to `"sparse_categorical_crossentropy"`, for
            labels that are indices of classes.
        metrics: See `keras.Model.compile`. Defaults to the accuracy.
        patience: Epochs without improvement before a phase ends. Defaults to 5.
        seed: Seed of the order of vectors. Defaults to 0.
        callbacks: Keras callbacks of both phases. Defaults to none.
        verbose: See `keras.Model.fit`. Defaults to `"auto"`.

    Returns:
        The `keras.callbacks.History` of both phases, one after the other; `history["phase"]` says
        for each epoch whether it was of the `"top"` or of the `"network"`.

    Example:

    >>> model = zf5_spp(classes=2, width=0.125)
    >>> images, labels = np.zeros((2, 64, 96, 3), "float32"), np.array([0, 1])
    >>> data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)
    >>> history = fine_tune(model, data, top_epochs=2, epochs=1, verbose=0)
    >>> history.history["phase"]
    ['top', 'top', 'network']
    """
    _checks.at_least(top_epochs, 0, "top_epochs")
    _checks.at_least(epochs, 0, "epochs")
    _checks.positive(learning_rate, "learning_rate")
    _checks.not_negative(trunk_multiplier, "trunk_multiplier")
    history = keras.callbacks.History()
    history.epoch = []
    options: dict[str, Any] = {"verbose": verbose, "epochs": top_epochs}

    def compile_model(part: keras.Model, multiplier: float = 1.0) -> None:
        optimizer = slow_down_trunk(keras.optimizers.Adam(learning_rate), part, multiplier)
        part.compile(optimizer, loss, metrics=list(metrics))

    def stop_early() -> list[keras.callbacks.Callback]:
        if validation_data is None:
            return list(callbacks)
        stop = keras.callbacks.EarlyStopping(
            "val_loss", patience=patience, restore_best_weights=True
        )
        return [*callbacks, stop]

    if top_epochs:
        train, validation = pool_images(model, train_data, validation_data, quiet=verbose == 0)
        options |= {"seed": seed, "callbacks": stop_early()}
        _extend(history, train_top(model, train, validation, compile_model, **options), "top")
        del train, validation
    strategy = getattr(model, "distribute_strategy", None)
    with strategy.scope() if strategy else contextlib.nullcontext():
        _set_trainable(model, epochs > 0 and trunk_multiplier > 0)
        compile_model(model, trunk_multiplier if epochs else 1.0)
    if epochs:
        before = model.get_weights()
        best = min(history.history.get("val_loss", []), default=float("inf"))
        tuned = model.fit(
            train_data,
            validation_data=validation_data,
            epochs=epochs,
            # Keras warns that it shuffles no dataset.
            shuffle=isinstance(train_data, keras.utils.PyDataset),
            callbacks=stop_early(),
            verbose=verbose,
        )
        if min(tuned.history.get("val_loss", []), default=best) > best:
            model.set_weights(before)
        _extend(history, tuned.history, "network")
    history.set_model(model)
    return history


def _set_trainable(model: keras.Model, trainable: bool) -> None:
    """Makes everything in front of the top trainable or not, batch normalization never."""
    _, top = find_top(model)
    for layer in model.layers:
        if not any(layer is other for other in top):
            _set_layer_trainable(layer, trainable)


def _set_layer_trainable(layer: keras.Layer, trainable: bool) -> None:
    layer.trainable = trainable and not isinstance(layer, keras.layers.BatchNormalization)
    for part in list_sublayers(layer):
        _set_layer_trainable(part, trainable)


def _extend(history: keras.callbacks.History, more: Mapping[str, Any], phase: str) -> None:
    count = len(next(iter(more.values())))
    history.epoch += range(len(history.epoch), len(history.epoch) + count)
    for name, values in {**more, "phase": [phase] * count}.items():
        history.history.setdefault(name, []).extend(values)
