"""About how long a training takes on this machine, before it is begun."""

from typing import Any, NamedTuple

import keras
import numpy as np

from spp_keras.data.pipeline import Pipeline
from spp_keras.data.records import Records
from spp_keras.data.size_policies import Crop, Warp
from spp_keras.models.graph_run import find_canvas_rules
from spp_keras.recipes import Recipe, size_policies
from spp_keras.training.machine_speed import MachineSpeed, measure_speed
from spp_keras.training.work_counts import WorkCounts, count_work
from spp_keras.zoo import networks

# Chosen by `benchmarks/training_minutes.py`: the time that each kind of work takes in a training
# step over that of the same work by itself, and the share of it that goes forward.
_DENSE, _DEPTHWISE, _VALUES, _FORWARD = 2.5, 2.0, 2.7, 0.4
# Seconds until the first step, at least and for each layer: graphs are traced by one core.
_START, _START_OF_LAYER = 11.0, 0.17


class TrainingWork(NamedTuple):
    """What there is to do in a training, whatever does it.

    Args:
        step_images: Images that training steps go through, in all epochs.
        step_pixels: Their pixels, padding included.
        forward_images: Images that go forward alone.
        forward_pixels: Their pixels, padding included.
        decoded_pixels: Pixels of the files that are decoded.
        counts: What the network does for an image.
    """

    step_images: int
    step_pixels: float
    forward_images: int
    forward_pixels: float
    decoded_pixels: float
    counts: WorkCounts


def estimate_seconds(
    recipe: Recipe, training_records: Records, validation_records: Records
) -> float:
    """About how many seconds a training takes on this machine, within a factor of two or so.

    The work is counted: multiplications of the network, values on its maps, pixels of image
    files. The machine does a little of each, which takes a second or two. What is done besides
    is factors that were measured once. Where `patience` ends a training early, it takes less.

    Args:
        recipe: The recipe.
        training_records: Images to train on.
        validation_records: Images to validate on.

    Returns:
        Seconds.

    Example:

    >>> import tempfile
    >>> from spp_keras import data
    >>> images = data.load_records("shapes/tiny", "train", data_dir=tempfile.mkdtemp())
    >>> recipe = Recipe(model="zf5_spp", width=0.125, epochs=2, batch_size=8)
    >>> estimate_seconds(recipe, images, images) > 0
    True
    """
    work = count_training_work(recipe, training_records, validation_records)
    return convert_to_seconds(work, measure_speed())


def count_training_work(recipe: Recipe, training: Records, validation: Records) -> TrainingWork:
    """Counts what there is to do in a training by a recipe."""
    model = build_network(recipe, len(training.classes))
    rules = find_canvas_rules(model) if recipe.has_pyramid else None
    pixels, validation_pixels = (
        _count_pixels(recipe, part, rules) for part in (training, validation)
    )
    epochs, passes = recipe.epochs, int(recipe.top_epochs > 0)
    in_files = [part.sizes.prod(axis=1, dtype="int64").sum() for part in (training, validation)]
    return TrainingWork(
        epochs * len(training),
        epochs * pixels,
        passes * len(training) + (epochs + passes) * len(validation),
        passes * pixels + (epochs + passes) * validation_pixels,
        float((epochs + passes) * sum(in_files)),
        count_work(model),
    )


def build_network(recipe: Recipe, classes: int) -> keras.Model:
    """The network of a recipe with random weights: trained ones may have to be downloaded."""
    return networks.build_classifier(
        recipe.model,
        classes,
        image_size=None if recipe.has_pyramid else recipe.image_sizes[0],
        weights=None,
        levels=recipe.levels,
        mode=recipe.mode,
        units=recipe.units,
        width=recipe.width,
        dropout=recipe.dropout,
        classifier_activation="softmax",
        train_normalization=not recipe.weights,
    )


def convert_to_seconds(work: TrainingWork, speed: MachineSpeed) -> float:
    """The seconds that a machine of some speed takes for the work of a training."""
    counts = work.counts
    pixel = (
        _DENSE * counts.dense * speed.dense
        + _DEPTHWISE * counts.depthwise * speed.depthwise
        + _VALUES * counts.values * speed.values
    )
    image = _DENSE * counts.top * speed.dense
    step = pixel * work.step_pixels + image * work.step_images
    forward = pixel * work.forward_pixels + image * work.forward_images
    start = _START + _START_OF_LAYER * counts.layers
    return start + step + _FORWARD * forward + work.decoded_pixels * speed.decoding


def _count_pixels(recipe: Recipe, records: Records, rules: Any) -> float:
    """Pixels of an epoch, padding included."""
    policy = size_policies.make_training_policy(recipe)
    if isinstance(policy, Crop):
        return len(records) * float(np.mean(np.square(policy.image_sizes)))
    if isinstance(policy, Warp):
        return float(len(records) * policy.max_pixels(1))
    pipeline = Pipeline(
        records, policy, batch_size=recipe.batch_size, max_pixels=recipe.max_pixels or None
    )
    fill = pipeline.fill(canvas_rules=pipeline.choose_rules(rules))
    return float(policy.output_sizes(records.sizes).prod(axis=1, dtype="int64").sum() / fill)
