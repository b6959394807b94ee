"""Distributed training: the strategy, and the batches of each replica."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from spp_keras import _checks
from spp_keras.canvas_rules import CanvasRules
from spp_keras.data import batch_shards
from spp_keras.data.pipeline import Pipeline
from spp_keras.models.tensorflow_training import ReplicatedModel as ReplicatedModel
from spp_keras.models.tensorflow_training import is_multi_worker as is_multi_worker


def choose_strategy(devices: int | None = None) -> tf.distribute.Strategy | None:
    """Chooses the strategy for this machine; call it before TensorFlow is used otherwise.

    Several machines, each told of the others by `TF_CONFIG`, train together with
    `MultiWorkerMirroredStrategy`; several GPUs with `MirroredStrategy`.

    Args:
        devices: Number of GPUs, or of parts of the CPU where there is no GPU. Defaults
            to `None`, every GPU.

    Returns:
        A `tf.distribute.Strategy`, or `None` for one device.

    Example:

    >>> choose_strategy(devices=1) is None
    True
    """
    if "cluster" in json.loads(os.environ.get("TF_CONFIG") or "{}"):
        print("Waiting until every machine that TF_CONFIG names is there.", file=sys.stderr)
        return tf.distribute.MultiWorkerMirroredStrategy()
    # Physical devices: listing logical ones would fix the division of the CPU.
    gpus = tf.config.list_physical_devices("GPU")
    if devices is None:
        devices = max(1, len(gpus))
    if _checks.at_least(devices, 1, "devices") == 1:
        return None
    if not gpus:
        return tf.distribute.MirroredStrategy(_create_logical_cpus(devices))
    if devices > len(gpus):
        raise ValueError(
            f"`devices` must be at most the number of GPUs, {len(gpus)}. Received: "
            f"devices={devices}."
        )
    return tf.distribute.MirroredStrategy([f"GPU:{index}" for index in range(devices)])


def is_chief(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether this process is the chief, which writes the files."""
    resolver = getattr(strategy, "cluster_resolver", None)
    if resolver is None or not resolver.cluster_spec().jobs:
        return True
    # A cluster with a chief has a worker 0 as well.
    role = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (role, 0)


def distribute_batches(
    pipeline: Pipeline,
    strategy: tf.distribute.Strategy | None,
    start_step: int = 0,
    canvas_rules: CanvasRules | None = None,
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Distributes the batches of a pipeline evenly over the replicas.

    Each process loads the images of its own replicas only.

    Args:
        pipeline: The pipeline.
        strategy: The strategy, see `choose_strategy`.
        start_step: Step to begin with, counted over epochs. Defaults to 0.
        canvas_rules: Rules of the model. Batches are on canvases where that takes less time.
            Defaults to `None`, padded batches.
    """
    options: dict[str, Any] = {
        "repeat": True,
        "with_sample_weights": True,
        "canvas_rules": pipeline.choose_rules(canvas_rules),
    }
    if strategy is None:
        return pipeline.dataset(start_step, **options)

    def create_shard(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return pipeline.dataset(
            start_step,
            shard_indices=batch_shards.list_replicas(context),
            num_shards=context.num_replicas_in_sync,
            **options,
        )

    return strategy.distribute_datasets_from_function(create_shard)


class WorkerLost(RuntimeError):
    """A worker of the cluster was lost; the training can be resumed when it is back."""


@contextlib.contextmanager
def detect_lost_workers(strategy: tf.distribute.Strategy | None) -> Iterator[None]:
    """Raises `WorkerLost` for the errors of TensorFlow that mean a lost worker."""
    try:
        yield
    except tf.errors.OpError as error:
        if not is_multi_worker(strategy):
            raise
        raise WorkerLost(
            "A worker of the cluster was lost, so this one stops. Start the same command on all "
            "of them: the run is resumed from its checkpoint. "
            f"TensorFlow says: {_get_reason(error)}"
        ) from error


def _get_reason(error: tf.errors.OpError) -> str:
    """The reason in a message, without the stack before it and the advice after it."""
    reason = error.message.partition("Collective ops is aborted by: ")[2] or error.message
    return reason.splitlines()[0][:300]


def _create_logical_cpus(devices: int) -> list[str]:
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or ()) < devices:
        part = tf.config.LogicalDeviceConfiguration()
        try:
            tf.config.set_logical_device_configuration(cpu, [part] * devices)
        except RuntimeError as error:
            raise RuntimeError(
                "The CPU must be divided into devices before TensorFlow is used: call "
                f"`choose_strategy(devices={devices})` first."
            ) from error
    return [device.name for device in tf.config.list_logical_devices("CPU")[:devices]]
