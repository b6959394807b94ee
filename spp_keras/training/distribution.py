"""Training on several devices or machines: strategy, shares of the images, `fit` under it."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator

import tensorflow as tf

from spp_keras import _checks
from spp_keras.data import pipeline as pipelines
from spp_keras.zoo.tensorflow_training import ReplicatedModel as ReplicatedModel
from spp_keras.zoo.tensorflow_training import is_multi_worker as is_multi_worker


def choose_strategy(devices: int | None = None) -> tf.distribute.Strategy | None:
    """The strategy for the machine at hand; call it before anything else uses TensorFlow.

    Several machines, each told of the others by `TF_CONFIG`, train together with
    `MultiWorkerMirroredStrategy`; several GPUs with `MirroredStrategy`.

    Args:
        devices: Number of devices to use, of GPUs where there are some and else
            of equal parts of the CPU. Defaults to `None`, every GPU.

    Returns:
        A `tf.distribute.Strategy`, or `None` for one device.

    Example:

    >>> choose_strategy(devices=1) is None
    True
    """
    if "cluster" in json.loads(os.environ.get("TF_CONFIG") or "{}"):
        print("Waiting until every machine that TF_CONFIG names is there.", file=sys.stderr)
        return tf.distribute.MultiWorkerMirroredStrategy()
    # Not the logical ones, whose listing fixes what the CPU is divided into.
    gpus = tf.config.list_physical_devices("GPU")
    if devices is None:
        devices = max(1, len(gpus))
    if _checks.at_least(devices, 1, "devices") == 1:
        return None
    if not gpus:
        return tf.distribute.MirroredStrategy(_logical_cpus(devices))
    if devices > len(gpus):
        raise ValueError(
            f"`devices` must be at most the number of GPUs, {len(gpus)}. Received: "
            f"devices={devices}."
        )
    return tf.distribute.MirroredStrategy([f"GPU:{number}" for number in range(devices)])


def is_chief(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether this process is the one that writes files."""
    resolver = getattr(strategy, "cluster_resolver", None)
    if resolver is None or not resolver.cluster_spec().jobs:
        return True
    # A cluster with a chief has a worker 0 as well.
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def distribute_batches(
    pipeline: pipelines.Pipeline,
    strategy: tf.distribute.Strategy | None,
    start: int = 0,
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """A pipeline's batches, dealt to every replica in equal shares.

    Each process loads its own replicas' images and no others.

    Args:
        pipeline: The pipeline.
        strategy: What `choose_strategy` returned.
        start: Number of the first batch. Defaults to 0.
    """
    if strategy is None:
        return pipeline.dataset(start, repeat=True, with_sample_weights=True)

    def share(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return pipeline.dataset(
            start,
            repeat=True,
            shard_indices=pipelines.list_replicas(context),
            num_shards=context.num_replicas_in_sync,
            with_sample_weights=True,
        )

    return strategy.distribute_datasets_from_function(share)


class WorkerLost(RuntimeError):
    """Another machine of the cluster is gone, and with it the training until it is back."""


@contextlib.contextmanager
def detect_lost_workers(strategy: tf.distribute.Strategy | None) -> Iterator[None]:
    """Turns what TensorFlow raises when a machine is gone into `WorkerLost`."""
    try:
        yield
    except tf.errors.OpError as error:
        if not is_multi_worker(strategy):
            raise
        raise WorkerLost(
            "A worker of the cluster was lost, so this one stops. Start the same command on all "
            f"of them: the run goes on from its last state. TensorFlow says: {_reason(error)}"
        ) from error


def _reason(error: tf.errors.OpError) -> str:
    """What happened, without the list of calls in front of it and the advice behind."""
    found = error.message.partition("Collective ops is aborted by: ")[2] or error.message
    return found.splitlines()[0][:300]


def _logical_cpus(devices: int) -> list[str]:
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
