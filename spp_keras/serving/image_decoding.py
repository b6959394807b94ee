"""Decoding of image files for a model."""

from collections.abc import Callable

import tensorflow as tf

from spp_keras.data import image_rules, safe_decoding, size_policies


def make_decoder(
    size_policy: size_policies.SizePolicy,
    min_side: int = 1,
    limits: image_rules.ImageLimits = image_rules.ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
) -> Callable[[bytes], safe_decoding.DecodedImage]:
    """Makes a function from the bytes of an image file to a `DecodedImage`.

    Args:
        size_policy: How images are sized.
        min_side: Pixels that the shorter side must have after sizing. Defaults to 1.
        limits: Limits for files. Defaults to `ImageLimits()`.
        orientation: `"exif"` or `"file"`, how files are oriented. Defaults to `"exif"`.

    Example:

    >>> decode = make_decoder(size_policies.Whole(short_side=20))
    >>> png = tf.io.encode_png(tf.zeros((40, 60, 3), "uint8")).numpy()
    >>> tuple(decode(png).pixels.shape)
    (20, 30, 3)
    """
    return tf.function(
        lambda image: safe_decoding.decode_safely(
            image, size_policy, min_side, limits, orientation
        ),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )
