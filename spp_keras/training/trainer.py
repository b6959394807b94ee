"""Training by a recipe: `fit` with everything around it that long work needs."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from spp_keras import _extras, _files, run_folder, zoo
from spp_keras.data.pipeline import Pipeline
from spp_keras.data.records import Records
from spp_keras.models.graph_run import find_canvas_rules
from spp_keras.recipes import Recipe
from spp_keras.run_folder import RunFolder
from spp_keras.training import (
    checkpoints,
    distribution,
    history_file,
    objectives,
    plateau,
    progress_bar,
    recipe_pipelines,
    top_training,
)


class TrainingResult(NamedTuple):
    """A finished training.

    Args:
        model: The network with its last weights; the run folder has the best.
        history: The numbers of each epoch.
        run: The run folder.
    """

    model: keras.Model
    history: list[dict[str, float]]
    run: RunFolder


def train_model(
    recipe: Recipe,
    output: str | Path,
    *,
    devices: int | tf.distribute.Strategy | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    reasons: Mapping[str, str] | None = None,
) -> TrainingResult:
    """Trains a network of the zoo by a recipe, or resumes a training that was killed.

    Several GPUs, or several machines with `TF_CONFIG`, share the work; the batch
    size is that of all together and the result is the same.

    Args:
        recipe: The recipe, see `spp_keras.recipes`.
        output: The run folder. A training that was begun there is resumed.
        devices: Number of GPUs, or of parts of the CPU; or a strategy, see `choose_strategy`.
            Defaults to `None`, every GPU there is.
        callbacks: More Keras callbacks.
        reasons: Comments on keys of the recipe, which its file in the run folder keeps.
            Defaults to `None`, none.

    Returns:
        A `TrainingResult`.
    """
    _extras.require("train", "Training", "tensorboard", "matplotlib")
    run = RunFolder(output)
    strategy: Any = devices
    if not isinstance(devices, tf.distribute.Strategy):
        strategy = distribution.choose_strategy(devices)
    is_chief = distribution.is_chief(strategy)
    if is_chief:
        # Not on other workers, which would find the folder half made by this one.
        run.check_can_train(recipe)
    training, validation = recipe_pipelines.build_pipelines(recipe)
    recipe_pipelines.print_summary(training, validation)

    keras.utils.set_random_seed(recipe.seed)
    with (
        distribution.detect_lost_workers(strategy),
        _use_precision(recipe.precision),
        strategy.scope() if strategy else contextlib.nullcontext(),
    ):
        network = _build_network(recipe, training.records)
        # The same layers in a second model, so that `network` stays free of the compilation.
        model = zoo.ImageModel(network.input, network.output, name=network.name)
        metric = _compile(model, recipe, training.records, recipe.trunk_multiplier)
        model.optimizer.build(model.trainable_variables)
    if is_chief:
        # After all errors in the arguments, so that these leave no folder behind.
        _begin_run(run, recipe, reasons, training, validation)

    user_callbacks = [
        # The paper's plateaus: the learning rate drops twice or so, to a hundredth.
        keras.callbacks.ReduceLROnPlateau(
            f"val_{metric}",
            mode="max",
            factor=0.1,
            patience=recipe.patience,
            min_delta=1e-4,
            min_lr=recipe.learning_rate * 0.1**recipe.num_lr_drops,
        ),
        *callbacks,
    ]
    checkpoint = checkpoints.Checkpoint(
        network,
        run / run_folder.CHECKPOINT,
        run / run_folder.BEST_WEIGHTS,
        monitor=f"val_{metric}",
        minutes=recipe.checkpoint_minutes,
        callbacks=user_callbacks,
        writes=is_chief,
        epoch_path=run / run_folder.EPOCH_START,
    )
    if checkpoint.restore(model.optimizer):
        if is_chief:
            position = f"epoch {checkpoint.epoch}, batch {checkpoint.step}"
            print(f"{run.path}: resumed after {position}.", file=sys.stderr)
    elif recipe.top_epochs:
        _train_top(network, recipe, training, validation)
    loop = _TrainingLoop(model, recipe, training, validation, strategy, checkpoint)
    loop.run(user_callbacks, run, is_chief)
    return TrainingResult(network, checkpoint.history, run)


def _build_network(recipe: Recipe, records: Records) -> keras.Model:
    network = run_folder.build_model(recipe, len(records.classes), records.multi_label)
    for prefix in recipe.freeze:
        layers = [layer for layer in network.layers if layer.name.startswith(prefix)]
        if not layers:
            names = ", ".join(layer.name for layer in network.layers if layer.weights)
            raise ValueError(
                f"`freeze` must name layers of {recipe.model}, or beginnings of names: {names}. "
                f"Received: freeze={list(recipe.freeze)}, where {prefix!r} matches none."
            )
        for layer in layers:
            layer.trainable = False
    return network


def _train_top(
    network: keras.Model, recipe: Recipe, training: Pipeline, validation: Pipeline
) -> None:
    """Trains the top alone, on vectors that are computed once and kept in memory."""
    metric = objectives.choose_loss_and_metrics(
        len(training.classes), training.records.multi_label
    )[1][0].name
    stop = keras.callbacks.EarlyStopping(
        f"val_{metric}", mode="max", patience=recipe.patience, restore_best_weights=True
    )
    vectors, validation_vectors = top_training.pool_images(network, training, validation)
    history = top_training.train_top(
        network,
        vectors,
        validation_vectors,
        lambda top: _compile(top, recipe, training.records),
        epochs=recipe.top_epochs,
        seed=recipe.seed,
        callbacks=[stop],
    )
    values = history[f"val_{metric}"]
    print(
        f"The layers behind the pyramid, {len(values)} epochs: val_{metric} {max(values):.4f}.",
        file=sys.stderr,
    )


def _compile(
    model: keras.Model, recipe: Recipe, records: Records, trunk_multiplier: float = 1.0
) -> str:
    """Compiles the model; returns the name of the metric that decides which weights are best."""
    optimizer = keras.optimizers.SGD(
        recipe.learning_rate,
        momentum=recipe.momentum,
        # Keras applies the decay apart from the momentum, which multiplies everything else by
        # 1 / (1 - momentum); Caffe's, the paper's, goes through it.
        weight_decay=recipe.weight_decay / (1 - recipe.momentum) or None,
    )
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer = top_training.slow_down_trunk(optimizer, model, trunk_multiplier)
    loss, metrics = objectives.choose_loss_and_metrics(len(records.classes), records.multi_label)
    model.compile(optimizer, loss, weighted_metrics=metrics)
    return metrics[0].name


class _TrainingLoop:
    """Several calls of `fit` that are one training, from wherever it stopped."""

    def __init__(
        self,
        model: keras.Model,
        recipe: Recipe,
        training: Pipeline,
        validation: Pipeline,
        strategy: tf.distribute.Strategy | None,
        checkpoint: checkpoints.Checkpoint,
    ):
        self.model, self.recipe = model, recipe
        self.training, self.validation = training, validation
        self.strategy, self.checkpoint = strategy, checkpoint
        self._fills: dict[Any, float] = {}

    def run(
        self,
        user_callbacks: list[keras.callbacks.Callback],
        run: RunFolder,
        is_chief: bool,
    ) -> None:
        checkpoint, steps = self.checkpoint, self.training.steps_per_epoch
        is_finished = checkpoint.epoch >= self.recipe.epochs
        stops_early = self.recipe.early_stopping
        # The first callback is ours and stops nothing.
        if checkpoint.stopped and (stops_early or len(user_callbacks) > 1):
            print(f"{run.path}: stopped after {checkpoint.epoch} epochs.", file=sys.stderr)
            is_finished = True
        displays = self._make_displays(run) if is_chief and not is_finished else []
        history_writer = self._make_history_writer(run, is_chief)
        stop = [plateau.StopOnPlateau(checkpoint.history, self.recipe)] if stops_early else []
        callbacks = _ResumedCallbacks(
            [*user_callbacks, *displays, history_writer, *stop, checkpoint],
            add_history=True,
            model=self.model,
            epochs=self.recipe.epochs,
            steps=steps,
        )
        if checkpoint.max_pixels:
            self._set_max_pixels(checkpoint.max_pixels, callbacks)
        if is_finished:
            callbacks.on_train_begin()
        while not is_finished:
            try:
                self._fit(callbacks)
                break
            except tf.errors.ResourceExhaustedError as error:
                self._restart_epoch(error, callbacks)
        callbacks.end()

    def _restart_epoch(
        self, error: tf.errors.ResourceExhaustedError, callbacks: "_ResumedCallbacks"
    ) -> None:
        """Goes back to the start of the epoch with half the pixels in a batch."""
        max_pixels = self.training.halve_max_pixels()
        if max_pixels is None:
            raise error
        self.checkpoint.restart_epoch(max_pixels)
        self._set_max_pixels(max_pixels, callbacks)
        print(
            f"Memory was exhausted ({error.message.splitlines()[0][:200]}): epoch "
            f"{self.checkpoint.epoch + 1} starts again with max_pixels={max_pixels}.",
            file=sys.stderr,
        )

    def _set_max_pixels(self, max_pixels: int, callbacks: "_ResumedCallbacks") -> None:
        self.training = self.training.with_max_pixels(max_pixels)
        least = self.validation.least_max_pixels
        self.validation = self.validation.with_max_pixels(max(max_pixels, least))
        steps = self.training.steps_per_epoch
        callbacks.set_params({**callbacks.params, "steps": steps})
        for callback in callbacks.callbacks:
            if isinstance(callback, progress_bar.ProgressBar):
                callback.set_steps(steps, self.training.images_per_step, self.checkpoint.step)
            if isinstance(callback, history_file.HistoryWriter):
                callback.max_pixels = max_pixels

    def _fit(self, callbacks: "_ResumedCallbacks") -> None:
        checkpoint, steps = self.checkpoint, self.training.steps_per_epoch
        # The rest of an epoch that was begun, then the others: `fit` has one length of epoch.
        spans = [(checkpoint.epoch, checkpoint.epoch + 1)] if checkpoint.step else []
        spans.append((checkpoint.epoch + len(spans), self.recipe.epochs))
        rules = find_canvas_rules(self.model)
        validation_data = distribution.distribute_batches(
            self.validation, self.strategy, canvas_rules=rules
        )
        for first_epoch, last_epoch in spans:
            if first_epoch == last_epoch or self.model.stop_training:
                continue
            start_step = checkpoint.epoch * steps + checkpoint.step
            with distribution.detect_lost_workers(self.strategy):
                self.model.fit(
                    distribution.distribute_batches(
                        self.training, self.strategy, start_step, rules
                    ),
                    initial_epoch=first_epoch,
                    epochs=last_epoch,
                    steps_per_epoch=steps - checkpoint.step,
                    validation_data=validation_data,
                    validation_steps=self.validation.steps_per_epoch,
                    callbacks=callbacks,
                    shuffle=False,
                    verbose=0,
                )

    def _make_displays(self, run: RunFolder) -> list[keras.callbacks.Callback]:
        bar = progress_bar.ProgressBar(
            self.recipe.epochs,
            self.training.steps_per_epoch,
            self.training.images_per_step,
            self.checkpoint.step,
            self._measure_fill,
        )
        return [bar, keras.callbacks.TensorBoard(run / run_folder.TENSORBOARD, write_graph=False)]

    def _make_history_writer(self, run: RunFolder, is_chief: bool) -> history_file.HistoryWriter:
        return history_file.HistoryWriter(
            self.checkpoint.history,
            run / run_folder.HISTORY,
            run / run_folder.CURVES,
            fill=self._measure_fill,
            writes=is_chief,
        )

    def _measure_fill(self, epoch: int) -> float:
        replicas = self.strategy.num_replicas_in_sync if self.strategy else 1
        key = (epoch, self.training.max_pixels)
        if key not in self._fills:
            rules = self.training.choose_rules(find_canvas_rules(self.model))
            self._fills = {key: self.training.fill(epoch, replicas, rules)}
        return self._fills[key]


class _ResumedCallbacks(keras.callbacks.CallbackList):
    """Callbacks to which several calls of `fit` are one training."""

    _has_begun = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._has_begun:
            self._has_begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Does nothing; see `end`."""

    def end(self) -> None:
        """Ends the training for all callbacks."""
        super().on_train_end()


def _begin_run(
    run: RunFolder,
    recipe: Recipe,
    reasons: Mapping[str, str] | None,
    training: Pipeline,
    validation: Pipeline,
) -> None:
    run.write_recipe(recipe, training.classes, reasons)
    run.write_data_info(
        multi_label=training.records.multi_label, longest_side=training.longest_side
    )
    rows = [
        {"images": pipeline.records.name, "id": image.id, "reason": image.reason}
        for pipeline in (training, validation)
        for image in pipeline.records.skipped
    ]
    if rows:
        _files.write_file(run / run_folder.SKIPPED, history_file.format_csv(rows))


@contextlib.contextmanager
def _use_precision(policy: str) -> Iterator[None]:
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)
