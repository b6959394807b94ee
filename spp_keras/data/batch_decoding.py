"""Decoding of several image files at once, in graphs: broken ones are told from the others."""

from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras.data import backgrounds, image_rules, safe_decoding, size_policies
from spp_keras.data.image_rules import ImageLimits

_PARALLEL_FILES = 4


class DecodedBatch(NamedTuple):
    """Decoded images of different sizes, or why some could not be decoded.

    Args:
        images: string `(images,)`, from which `tf.io.parse_tensor` reads the uint8
            `(height, width, 3)` of each. One tensor of their pixels would take as long to
            make as decoding them.
        sizes: int32 `(images, 2)`, height and width; of an image that cannot be used 1 and 1.
        codes: int32 `(images,)`, `image_rules.OK` or the kind of fault.
        reasons: string `(images,)`, why an image cannot be used; empty if it can.
    """

    images: Any
    sizes: Any
    codes: Any
    reasons: Any


def decode_batch(
    files: Any,
    size_policy: size_policies.SizePolicy,
    min_side: int = 1,
    limits: ImageLimits = ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
    background: str = backgrounds.WHITE,
) -> DecodedBatch:
    """Decodes image files as `safe_decoding.decode_safely` does each, in half the time.

    Args:
        files: String tensor `(images,)`, bytes of image files.
        size_policy: Size policy of the images.
        min_side: Minimum length in pixels of the shorter side after that. Defaults to 1.
        limits: Limits on the size of an image. Defaults to `ImageLimits()`.
        orientation: `"exif"` or `"file"`, how files are oriented. Defaults to `"exif"`.
        background: The color behind transparent images. Defaults to `"white"`.

    Example:

    >>> png = tf.io.encode_png(tf.zeros((40, 60, 3), "uint8"))
    >>> batch = decode_batch(tf.stack([png, "Not found"]), size_policies.Whole(short_side=20))
    >>> batch.sizes[0].numpy().tolist(), batch.codes.numpy().tolist()
    ([20, 30], [0, 1])
    """

    def decode(index: Any, file: Any) -> tuple[Any, ...]:
        image = safe_decoding.decode_or_raise(
            file, size_policy, min_side, limits, orientation, background
        )
        pixels = tf.io.serialize_tensor(image.pixels)
        return index, pixels, tf.shape(image.pixels)[:2], image.code, image.reason

    count = tf.size(files)
    # After an operation that failed, a graph can go on only by a dataset that leaves such
    # elements out; making one for each file would take longer than decoding.
    decoded = tf.data.Dataset.from_tensor_slices((tf.range(count), files))
    decoded = decoded.map(decode, num_parallel_calls=_PARALLEL_FILES, deterministic=True)
    decoded = decoded.ignore_errors()
    # A batch of nothing would be none.
    black = tf.io.serialize_tensor(tf.zeros((1, 1, 3), tf.uint8)), tf.ones((2,), tf.int32)
    first = tf.data.Dataset.from_tensors((count, *black, *image_rules.BROKEN))
    batch = first.concatenate(decoded).batch(tf.cast(count, tf.int64) + 1)
    batch = batch.with_options(safe_decoding.make_options())
    indices, *columns = batch.get_single_element()
    # The row that tells of each file: for one that was left out the first.
    rows = tf.scatter_nd(indices[1:, tf.newaxis], tf.range(1, tf.size(indices)), [count])
    return DecodedBatch(*(tf.gather(column, rows) for column in columns))
