"""What a server is sent: checked as the real one does not, and files decoded each by itself."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from spp_keras.data import image_rules, safe_decoding, size_policies

# More than one, so that an image is decoded while others are convolved, and few, as each
# has maps of its own in memory.
_IMAGES_AT_ONCE = 4


class FileInputs(NamedTuple):
    """How files become images.

    Args:
        view: What part of an image is wanted, at what size.
        errors: `"raise"` or `"report"`, what a file that is no usable image does.
        min_side: Pixels that the shorter side must have in that view.
        limits: What an image must be.
        orientation: `"exif"` or `"file"`, which way up it is taken.
    """

    view: size_policies.SizePolicy
    errors: str
    min_side: int
    limits: image_rules.ImageLimits
    orientation: str


def limit_pixels(images: Any, max_pixels: int, of_files: str) -> Any:
    """The images, or an error where their maps would not go into memory.

    Args:
        images: A batch, as it was sent.
        max_pixels: That an image may have.
        of_files: The signature that brings images to that size by itself.
    """
    # A server hands on tensors of any shape, and a kernel may end the process over one.
    images = tf.ensure_shape(images, images.shape)
    if None not in images.shape[1:3]:
        return images
    height, width = tf.unstack(tf.cast(tf.shape(images)[1:3], tf.int64))
    message = tf.strings.format(
        "`images` has {}x{} pixels an image, more than " + f"{max_pixels}: scale them down, or "
        f"send files to the signature `{of_files}`, which does.",
        (height, width),
    )
    fits = tf.debugging.Assert(height * width <= max_pixels, [message])
    with tf.control_dependencies([fits]):
        return tf.identity(images)


def map_images(
    answer: Callable[..., Mapping[str, Any]],
    blank: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    """Answers item by item, so that none depends on what else is in its batch.

    Args:
        answer: From the number of an item and its part of each argument to a dictionary.
        blank: A dictionary of the same names, dtypes and shapes.
        arguments: By the client's names, the first of which says how many items there are.
    """
    counts = {name: tf.shape(tf.ensure_shape(x, x.shape))[0] for name, x in arguments.items()}
    first, *others = counts
    checks = [tf.debugging.Assert(counts[first] > 0, [f"`{first}` must hold one image or more."])]
    for name in others:
        words = f"`{name}` must have one row for each of `{first}`. Received: "
        received = tf.strings.format(words + "{} for {}.", (counts[name], counts[first]))
        checks.append(tf.debugging.Assert(tf.equal(counts[name], counts[first]), [received]))
    with tf.control_dependencies(checks):
        numbers = tf.range(counts[first])
    return tf.map_fn(
        lambda parts: dict(answer(*parts)),
        (numbers, *arguments.values()),
        fn_output_signature={name: tf.TensorSpec(x.shape, x.dtype) for name, x in blank.items()},
        parallel_iterations=_IMAGES_AT_ONCE,
    )


def map_files(
    answer: Callable[..., Mapping[str, Any]],
    blank: Mapping[str, Any],
    files: FileInputs,
    image_bytes: Any,
    **others: Any,
) -> dict[str, Any]:
    """Answers for files, `error_codes` and `errors` among them where these are reported.

    Args:
        answer: From an `encoded.Decoded`, and a part of each other argument, to a dictionary.
        blank: What it is for a file that is no usable image.
        files: How files become images.
        image_bytes: The files, as they were sent.
        **others: What else was sent for each.
    """

    def decoded_first(number: Any, file: Any, *parts: Any) -> dict[str, Any]:
        image = safe_decoding.decode_safely(
            file, files.view, files.min_side, files.limits, files.orientation
        )
        good = tf.equal(image.code, image_rules.OK)
        if files.errors == "raise":
            message = tf.strings.format("`image_bytes` {} ", number)
            answered = tf.debugging.Assert(good, [tf.strings.join([message, image.reason])])
            with tf.control_dependencies([answered]):
                image = image._replace(pixels=tf.identity(image.pixels))
        found = tf.cond(good, lambda: dict(answer(image, *parts)), lambda: dict(blank))
        if files.errors == "report":
            found |= {"error_codes": image.code, "errors": image.reason}
        return found

    answered = blank
    if files.errors == "report":
        answered = {
            **blank,
            "error_codes": tf.constant(image_rules.OK),
            "errors": tf.constant(""),
        }
    return map_images(decoded_first, answered, {"image_bytes": image_bytes, **others})
