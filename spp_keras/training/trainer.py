"""A recipe in, a run folder out: `fit` with everything around it that long work needs."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import keras
import numpy as np
import tensorflow as tf

from spp_keras import _files, recipes, runs, trained, zoo
from spp_keras.data import pipeline as pipelines
from spp_keras.data import records, size_policies, sources, splits
from spp_keras.training import checkpoints, distribution, objectives, progress
from spp_keras.zoo import tables


class Training(NamedTuple):
    """What `train_model` made."""

    network: keras.Model
    history: list[dict[str, float]]
    run: Path


def train_model(
    recipe: recipes.Recipe,
    run: str | Path,
    *,
    devices: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Training:
    """Trains a network of the zoo as a recipe says, or goes on where it was killed.

    Several GPUs, or several machines with `TF_CONFIG`, share the work; the batch
    size is that of all together and the result is the same.

    Args:
        recipe: What to do, see `spp_keras.recipes`.
        run: Folder for everything that comes of it. If the same recipe was begun
            there, it is resumed.
        devices: Number of GPUs, or of parts of the CPU. Defaults to `None`, every
            GPU there is.
        callbacks: More Keras callbacks.

    Returns:
        The network with its last weights, a row of numbers for each epoch, and
        the run folder with the best weights.
    """
    run = Path(run)
    strategy = distribution.choose_strategy(devices)
    writes = distribution.is_chief(strategy)
    if writes:
        # The others would find the folder half made by this one.
        _check_run(run, recipe)
    training, validation = build_pipelines(recipe)
    _report(training, validation)

    keras.utils.set_random_seed(recipe.seed)
    with (
        distribution.detect_lost_workers(strategy),
        _precision(recipe.precision),
        strategy.scope() if strategy else contextlib.nullcontext(),
    ):
        network = _network(recipe, training.records)
        fitted = _fitted(network)
        judged = _compile(fitted, recipe, training.records)
        fitted.optimizer.build(fitted.trainable_variables)
    if writes:
        # Now that whatever is wrong has been said, and nothing is left behind by it.
        _begin_run(run, recipe, training, validation)

    others = [
        # Twice or so: the paper's plateaus, with the rate at a hundredth in the end.
        keras.callbacks.ReduceLROnPlateau(
            f"val_{judged}",
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
        run / runs.LAST,
        run / runs.BEST,
        monitor=f"val_{judged}",
        minutes=recipe.checkpoint_minutes,
        callbacks=others,
        writes=writes,
    )
    if checkpoint.restore(fitted.optimizer) and writes:
        done = f"epoch {checkpoint.epoch}, batch {checkpoint.step}"
        print(f"{run}: going on behind {done}.", file=sys.stderr)
    _fit(fitted, recipe, training, validation, strategy, checkpoint, others, run, writes)
    return Training(network, checkpoint.history, run)


def build_pipelines(recipe: recipes.Recipe) -> tuple[pipelines.Pipeline, pipelines.Pipeline]:
    """The pipelines of a recipe, for training and for validation."""
    data_dir = recipe.data_dir or None
    defaults = splits.choose_splits(recipe.data, data_dir)
    found = []
    for split, default in zip((recipe.train_split, recipe.validation_split), defaults, strict=True):
        images = records.load_records(
            recipe.data,
            split or default,
            data_dir,
            on_error=recipe.on_error,
            max_skipped_fraction=recipe.max_skipped_fraction,
            orientation=recipe.orientation,
        )
        found.append(_large_enough(images, recipe))
    training, validation = found
    if training.classes != validation.classes:
        raise ValueError(
            f"`validation_split` must have the classes of `train_split`. {training.name} has "
            f"{list(training.classes)[:10]}, {validation.name} has {list(validation.classes)[:10]}."
        )
    size: dict[str, Any] = {"batch_size": recipe.batch_size}
    size["batch_pixels"] = recipe.batch_pixels or None
    return (
        pipelines.Pipeline(
            training,
            _policy(recipe),
            flip=recipe.flip,
            color_jitter=recipe.color_jitter,
            seed=recipe.seed,
            **size,
        ),
        pipelines.Pipeline(validation, _test_policy(recipe), shuffle=False, **size),
    )


def _policy(recipe: recipes.Recipe) -> size_policies.SizePolicy:
    if recipe.size_policy == "warped":
        return size_policies.Warp(image_size=recipe.image_sizes[0])
    if recipe.size_policy in ("whole", "native"):
        return size_policies.Whole(
            short_side=recipe.short_side if recipe.size_policy == "whole" else None,
            longest_side=recipe.longest_side or None,
        )
    return size_policies.Crop(
        image_sizes=recipe.image_sizes,
        schedule="range" if recipe.size_policy == "range" else "cycle",
        short_side=recipe.short_side,
        position=cast(size_policies.CropPosition, recipe.crop),
    )


def _test_policy(recipe: recipes.Recipe) -> size_policies.SizePolicy:
    """The center crop of the largest size; whole and warped images as in training."""
    policy = _policy(recipe)
    if not isinstance(policy, size_policies.Crop):
        return policy
    return dataclasses.replace(
        policy, image_sizes=(max(policy.image_sizes),), schedule="cycle", position="center"
    )


def _large_enough(found: records.Records, recipe: recipes.Recipe) -> records.Records:
    """Without the images that the network cannot map at the size they would have."""
    shapes = _policy(recipe).output_sizes(found.sizes)
    if shapes is None:
        return found
    trunk = tables.get_trunk(recipe.model)
    small = shapes.min(axis=1) < trunk.min_size
    if not small.any():
        return found
    if small.mean() > recipe.max_skipped_fraction or recipe.on_error == "fail":
        number = int(np.flatnonzero(small)[0])
        raise ValueError(
            f"{found.name} has {small.sum()} images, {small.mean():.1%}, with a side below "
            f"{trunk.min_size} pixels, the least that {recipe.model} can map, such as "
            f"{found.ids[number]!r} of {shapes[number].tolist()}: take size_policy='whole', which "
            'enlarges them, or raise `max_skipped_fraction` and have on_error="skip".'
        )
    reason = f"a side is below {trunk.min_size} pixels, the least that {recipe.model} can map"
    skipped = tuple(sources.Skipped(str(name), reason) for name in found.ids[small])
    return dataclasses.replace(found.select(~small), skipped=found.skipped + skipped)


def _network(recipe: recipes.Recipe, found: records.Records) -> keras.Model:
    network = trained.build(recipe, len(found.classes), found.multi_label)
    for beginning in recipe.freeze:
        matching = [layer for layer in network.layers if layer.name.startswith(beginning)]
        if not matching:
            names = ", ".join(layer.name for layer in network.layers if layer.weights)
            raise ValueError(
                f"`freeze` must name layers of {recipe.model}, or beginnings of names: {names}. "
                f"Received: freeze={list(recipe.freeze)}, where {beginning!r} matches none."
            )
        for layer in matching:
            layer.trainable = False
    return network


def _fitted(network: keras.Model) -> keras.Model:
    """The network again, which stays free of this training's compilation."""
    return zoo.ImageModel(network.input, network.output, name=network.name)


def _compile(model: keras.Model, recipe: recipes.Recipe, found: records.Records) -> str:
    optimizer = keras.optimizers.SGD(
        recipe.learning_rate,
        momentum=recipe.momentum,
        # Keras takes the decay past the momentum, which multiplies everything else by
        # 1 / (1 - momentum); Caffe's, the paper's, goes through it.
        weight_decay=recipe.weight_decay / (1 - recipe.momentum) or None,
    )
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    loss, judged = objectives.choose_loss_and_metrics(len(found.classes), found.multi_label)
    model.compile(optimizer, loss, weighted_metrics=judged)
    return judged[0].name


def _fit(
    model: keras.Model,
    recipe: recipes.Recipe,
    training: pipelines.Pipeline,
    validation: pipelines.Pipeline,
    strategy: tf.distribute.Strategy | None,
    checkpoint: checkpoints.Checkpoint,
    others: list[keras.callbacks.Callback],
    run: Path,
    writes: bool,
) -> None:
    steps = training.steps_per_epoch
    replicas = strategy.num_replicas_in_sync if strategy else 1
    done = checkpoint.epoch >= recipe.epochs
    if checkpoint.stopped and others[1:]:
        print(f"{run}: a callback stopped it after {checkpoint.epoch} epochs.", file=sys.stderr)
        done = True
    shown = []
    if writes and not done:
        shown = [
            progress.ProgressBar(recipe.epochs, steps, training.images_per_step, checkpoint.step),
            keras.callbacks.TensorBoard(run / runs.TENSORBOARD, write_graph=False),
        ]
    table = progress.HistoryWriter(
        checkpoint.history,
        run / runs.HISTORY,
        run / runs.CURVES,
        padding=lambda epoch: training.padding_fraction(epoch, replicas),
        writes=writes,
    )
    callbacks = _ResumedCallbacks(
        [*others, *shown, table, checkpoint],
        add_history=True,
        model=model,
        epochs=recipe.epochs,
        steps=steps,
    )
    # The rest of an epoch that was begun, then the others: `fit` has one length of epoch.
    parts = [(checkpoint.epoch, checkpoint.epoch + 1)] if checkpoint.step else []
    parts.append((checkpoint.epoch + len(parts), recipe.epochs))
    if done:
        callbacks.on_train_begin()
    held_back = distribution.distribute_batches(validation, strategy)
    for first, last in parts:
        if done or first == last or model.stop_training:
            continue
        start = checkpoint.epoch * steps + checkpoint.step
        with distribution.detect_lost_workers(strategy):
            model.fit(
                distribution.distribute_batches(training, strategy, start),
                initial_epoch=first,
                epochs=last,
                steps_per_epoch=steps - checkpoint.step,
                validation_data=held_back,
                validation_steps=validation.steps_per_epoch,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            )
    callbacks.end()


class _ResumedCallbacks(keras.callbacks.CallbackList):
    """Callbacks to which several calls of `fit` are one training."""

    _begun = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._begun:
            self._begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Not yet: see `end`."""

    def end(self) -> None:
        super().on_train_end()


def _check_run(run: Path, recipe: recipes.Recipe) -> None:
    """The folder is new, or holds a run of this recipe; it may have had fewer epochs."""
    file = run / runs.RECIPE
    if not file.exists():
        # Hidden files are nobody's results, such as one that a kill left half written.
        if run.exists() and any(not path.name.startswith(".") for path in run.iterdir()):
            raise ValueError(
                f"`run` must be a new folder, or that of a run to go on with; "
                f"{runs.RECIPE} is missing. Received: run={str(run)!r}."
            )
        return
    before = recipes.read_recipe(file)
    differ = [
        f"{key} = {getattr(before, key)!r} there, {getattr(recipe, key)!r} now"
        for key in vars(recipe)
        if key not in ("epochs", "checkpoint_minutes")
        and getattr(before, key) != getattr(recipe, key)
    ]
    if differ:
        raise ValueError(
            f"`run` holds a run of another recipe: take another folder, or its recipe, "
            f"{file}. They differ: {'; '.join(differ)}. Received: run={str(run)!r}."
        )


def _begin_run(
    run: Path,
    recipe: recipes.Recipe,
    training: pipelines.Pipeline,
    validation: pipelines.Pipeline,
) -> None:
    _files.write_file(run / runs.RECIPE, recipes.recipe_to_toml(recipe))
    _files.write_file(run / runs.LABELS, "".join(f"{name}\n" for name in training.classes))
    trained.write_facts(
        run,
        multi_label=training.records.multi_label,
        longest_side=training.longest_side,
    )
    rows = [
        {"images": pipeline.records.name, "id": image.id, "reason": image.reason}
        for pipeline in (training, validation)
        for image in pipeline.records.skipped
    ]
    if rows:
        _files.write_file(run / runs.SKIPPED, progress.format_csv(rows))


def _report(*found: pipelines.Pipeline) -> None:
    for pipeline in found:
        images = pipeline.records
        words = [f"{images.name}: {len(images):,} images of {len(images.classes)} classes"]
        if images.converted:
            kinds = (f"{count} {kind}" for kind, count in images.converted.items())
            words.append(f"turned to RGB: {', '.join(kinds)}")
        if pipeline.mixed:
            words.append(f"{pipeline.padding_fraction():.1%} of the pixels sent are padding")
        if images.skipped:
            words.append(f"skipped {len(images.skipped)}:")
        print("; ".join(words), file=sys.stderr)
        for image in images.skipped[:10]:
            print(f"  {image.id}: {image.reason}", file=sys.stderr)
        if len(images.skipped) > 10:
            print(f"  and {len(images.skipped) - 10} more, see {runs.SKIPPED}", file=sys.stderr)


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[Any]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
