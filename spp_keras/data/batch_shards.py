"""How a batch is divided among replicas."""

import enum
from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras import _checks


class Division(enum.Enum):
    """Lengths and sample weights of the shards of a batch.

    `EQUAL`: filled up to one length, with weights by which images count the same in an epoch.
    `WEIGHTED`: of any length, with weights by which images count the same in a batch.
    `PLAIN`: of any length, empty where there are more shards than images, no weights.
    """

    EQUAL = enum.auto()
    WEIGHTED = enum.auto()
    PLAIN = enum.auto()


class Shards(NamedTuple):
    """The shards of each batch that are wanted.

    Args:
        indices: Indices of the replicas whose shards are wanted, one after the other.
        num_shards: Number of replicas that share each batch.
        division: How they share it.
    """

    indices: tuple[int, ...] = (0,)
    num_shards: int = 1
    division: Division = Division.PLAIN

    @property
    def has_weights(self) -> bool:
        """Whether batches have sample weights."""
        return self.division is not Division.PLAIN

    @property
    def may_be_empty(self) -> bool:
        """Whether a shard may be without images."""
        return self.num_shards > 1 and not self.has_weights

    def take(self, images: Any, shard: Any, images_per_step: float) -> tuple[Any, Any]:
        """The images of a shard and their sample weights, at least one image.

        An empty shard gets an image of weight 0, which is removed unless for training.

        Args:
            images: Indices of the images of the batch.
            shard: Index of the shard.
            images_per_step: Average number of images in a batch.
        """
        count = tf.size(images)
        longest = -(-count // self.num_shards)
        first = shard * longest
        if self.division is Division.EQUAL:
            length = longest
            images_that_count = images_per_step
        else:
            length = tf.clip_by_value(count - first, 1, longest)
            images_that_count = tf.cast(count, tf.float32)
        positions = first + tf.range(length)
        weight = tf.cast(self.num_shards * length, tf.float32) / images_that_count
        weights = tf.where(positions < count, weight, 0.0)
        return tf.gather(images, tf.minimum(positions, count - 1)), weights


def check_shards(
    shard_indices: tuple[int, ...], num_shards: int, with_sample_weights: bool
) -> None:
    """Raises unless there are such shards of a batch.

    Args:
        shard_indices: Indices of the replicas whose shards are wanted.
        num_shards: Number of replicas that share each batch.
        with_sample_weights: Whether batches have sample weights.
    """
    if num_shards > 1 and not with_sample_weights:
        raise ValueError(
            "`with_sample_weights` must be True where replicas share batches, so that images "
            "that fill up shards do not count. Received: with_sample_weights=False with "
            f"num_shards={num_shards}."
        )
    if not shard_indices or not set(shard_indices) <= set(
        range(_checks.at_least(num_shards, 1, "num_shards"))
    ):
        raise ValueError(
            "`shard_indices` must be from 0 to `num_shards` - 1. "
            f"Received: shard_indices={shard_indices} with num_shards={num_shards}."
        )


def list_replicas(context: tf.distribute.InputContext) -> tuple[int, ...]:
    """Indices of the replicas that a process loads images for."""
    count = context.num_replicas_in_sync // context.num_input_pipelines
    first = context.input_pipeline_id * count
    return tuple(range(first, first + count))
