"""Inputs of served models: checks that the server does not make, and decoding of image files."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras.data import batch_decoding, image_rules, safe_decoding, size_policies
from spp_keras.export.tf_serving import image_groups

ON_ERROR = ("fail", "report")

# More than one, so that an image is decoded while others are convolved, and few, as the feature
# maps of each take memory.
_PARALLEL_IMAGES = 4
# Pixels that files are decoded to before the network sees them, some 100 MB of bytes.
_DECODED_PIXELS = 2**25


class FileInputs(NamedTuple):
    """How image files are decoded.

    Args:
        size_policy: How an image is sized.
        on_error: `"fail"` or `"report"`, the effect of a file that cannot be used.
        min_side: Pixels that the shorter side must have after sizing.
        limits: Limits for the files.
        orientation: `"exif"` or `"file"`, how files are oriented.
        background: The color behind transparent images.
    """

    size_policy: size_policies.SizePolicy
    on_error: str
    min_side: int
    limits: image_rules.ImageLimits
    orientation: str
    background: str


def limit_pixels(images: Any, max_pixels: int, file_signature: str) -> Any:
    """Returns a batch of images, or fails if their feature maps may not fit into memory.

    Args:
        images: The batch, as it was sent.
        max_pixels: Pixels that an image may have.
        file_signature: Name of the signature that scales images down itself.
    """
    # A server passes on tensors of any shape, and a kernel may end the process over one.
    images = tf.ensure_shape(images, images.shape)
    if None not in images.shape[1:3]:
        return images
    height, width = tf.unstack(tf.cast(tf.shape(images)[1:3], tf.int64))
    message = tf.strings.format(
        "`images` has {}x{} pixels an image, more than " + f"{max_pixels}: scale them down, or "
        f"send files to the signature `{file_signature}`, which does.",
        (height, width),
    )
    check = tf.debugging.Assert(height * width <= max_pixels, [message])
    with tf.control_dependencies([check]):
        return tf.identity(images)


def map_images(
    function: Callable[..., Mapping[str, Any]],
    blank: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """Applies a function to each image, so that no result depends on the rest of the batch.

    Args:
        function: From the index of an image and its row of each argument to a dictionary.
        blank: A dictionary of the same names, dtypes and shapes.
        arguments: By the client's names; the first tells the number of images.
    """
    counts = {name: tf.shape(tf.ensure_shape(x, x.shape))[0] for name, x in arguments.items()}
    first, *others = counts
    checks = [tf.debugging.Assert(counts[first] > 0, [f"`{first}` must hold one image or more."])]
    for name in others:
        message = tf.strings.format(
            f"`{name}` must have one row for each of `{first}`. Received: " + "{} for {}.",
            (counts[name], counts[first]),
        )
        checks.append(tf.debugging.Assert(tf.equal(counts[name], counts[first]), [message]))
    with tf.control_dependencies(checks):
        indices = tf.range(counts[first])
    return tf.map_fn(
        lambda rows: dict(function(*rows)),
        (indices, *arguments.values()),
        fn_output_signature={name: tf.TensorSpec(x.shape, x.dtype) for name, x in blank.items()},
        parallel_iterations=_PARALLEL_IMAGES,
    )


def map_files(
    function: Callable[..., Mapping[str, Any]],
    blank: Mapping[str, Any],
    files: FileInputs,
    image_bytes: Any,
    **others: Any,
) -> dict[str, Any]:
    """Decodes files and applies a function to each image.

    Args:
        function: From a `DecodedImage`, and its row of each other argument, to a dictionary.
        blank: Result for a file that cannot be used.
        files: How files are decoded.
        image_bytes: The files, as they were sent.
        **others: Other arguments with a row for each file.

    Returns:
        The results, with `error_codes` and `errors` if these are reported.
    """

    def decode_and_apply(index: Any, file: Any, *rows: Any) -> dict[str, Any]:
        image = safe_decoding.decode_safely(
            file,
            files.size_policy,
            files.min_side,
            files.limits,
            files.orientation,
            files.background,
        )
        is_good = tf.equal(image.code, image_rules.OK)
        if files.on_error == "fail":
            beginning = tf.strings.format("`image_bytes` {} ", index)
            check = tf.debugging.Assert(is_good, [tf.strings.join([beginning, image.reason])])
            with tf.control_dependencies([check]):
                image = image._replace(pixels=tf.identity(image.pixels))
        result = tf.cond(is_good, lambda: dict(function(image, *rows)), lambda: dict(blank))
        if files.on_error == "report":
            result |= {"error_codes": image.code, "errors": image.reason}
        return result

    blank_row = dict(blank)
    if files.on_error == "report":
        blank_row |= {"error_codes": tf.constant(image_rules.OK), "errors": tf.constant("")}
    return map_images(decode_and_apply, blank_row, {"image_bytes": image_bytes, **others})


def map_file_batches(
    function: Callable[[batch_decoding.DecodedBatch], Any],
    channels: int,
    files: FileInputs,
    image_bytes: Any,
) -> tuple[Any, dict[str, Any]]:
    """Decodes many files at once and applies a function to them.

    Args:
        function: From decoded files to float32 `(files, channels)`.
        channels: Values of each file.
        files: How files are decoded.
        image_bytes: The files, as they were sent.

    Returns:
        The values of all files; and `error_codes` and `errors`, if these are reported.
    """
    image_bytes = tf.ensure_shape(image_bytes, image_bytes.shape)
    # Not None: `resolve_size_policy` has checked that there is a limit.
    largest: Any = files.size_policy.max_pixels(files.limits.max_aspect)
    length = max(1, _DECODED_PIXELS // largest)
    count = tf.size(image_bytes)
    check = tf.debugging.Assert(count > 0, ["`image_bytes` must hold one image or more."])
    with tf.control_dependencies([check]):
        num_batches = (count + length - 1) // length

    def map_batch(index: Any) -> tuple[Any, Any, Any]:
        first = index * length
        batch = batch_decoding.decode_batch(
            image_bytes[first : first + length],
            files.size_policy,
            files.min_side,
            files.limits,
            files.orientation,
            files.background,
        )
        if files.on_error == "fail":
            batch = _require_all(batch, first)
        return function(batch), batch.codes, batch.reasons

    specs = [tf.TensorSpec((None, channels), tf.float32)]
    specs += [tf.TensorSpec((None,), dtype) for dtype in (tf.int32, tf.string)]
    values, codes, reasons = image_groups.concatenate_results(map_batch, num_batches, tuple(specs))
    is_reported = files.on_error == "report"
    return values, {"error_codes": codes, "errors": reasons} if is_reported else {}


def _require_all(batch: batch_decoding.DecodedBatch, first: Any) -> batch_decoding.DecodedBatch:
    """Returns the batch, or fails over the first file that cannot be used.

    Args:
        batch: Decoded files.
        first: Index of the first one in the request.
    """
    is_bad = tf.not_equal(batch.codes, image_rules.OK)
    worst = tf.argmax(is_bad, output_type=tf.int32)
    beginning = tf.strings.format("`image_bytes` {} ", first + worst)
    message = tf.strings.join([beginning, batch.reasons[worst]])
    check = tf.debugging.Assert(tf.logical_not(tf.reduce_any(is_bad)), [message])
    with tf.control_dependencies([check]):
        return batch._replace(codes=tf.identity(batch.codes))
