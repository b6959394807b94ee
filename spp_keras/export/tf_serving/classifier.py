"""Export of a classifier as a version of a model of TensorFlow Serving."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import keras

from spp_keras import _checks, model_repository
from spp_keras.data import backgrounds, image_rules, orientations, size_policies
from spp_keras.export import argument_checks
from spp_keras.export.tf_serving import classifier_signatures, input_decoding, version_writer
from spp_keras.models import graph_run

# For ZF-5 on two cores no larger budget was quicker, for 32 images of whatever sizes.
_DEFAULT_MAX_PIXELS = 250_000


def export_saved_model(
    model: keras.Model,
    output: str | Path,
    *,
    labels: Sequence[str],
    size_policy: size_policies.SizePolicy | None = None,
    top_k: int = 5,
    on_error: Literal["fail", "report"] = "fail",
    limits: image_rules.ImageLimits = image_rules.ImageLimits(),  # noqa: B008  immutable
    orientation: Literal["exif", "file"] = "exif",
    background: str = backgrounds.WHITE,
    max_pixels: int = _DEFAULT_MAX_PIXELS,
) -> Path:
    """Exports a classifier as the next version of a model of TensorFlow Serving.

    The SavedModel consists of TensorFlow operations, with labels and preprocessing
    inside, and needs neither Keras nor this package. It has five signatures:

    - `serving_default`: `images`, float32 `(batch, height, width, 3)` of any size,
      RGB values 0..255, to `scores` `(batch, classes)`; `uint8`: the same from uint8;
    - `bytes`: `image_bytes`, a vector of JPEG, PNG, GIF, BMP or WebP files, **each of its
      own size**, to the best `scores`, their `indices` and `labels`, each
      `(batch, top_k)`; the result for an image does not depend on the others;
    - `features` and `bytes_features`: images as pixels or as files to the output
      of the pyramid and of the last hidden layer, named as their layers are
      (`spp` and `fc7` in ZF-5).

    The version is written under a hidden name and then renamed, so that a server
    that polls the folder finds it complete or not at all. The `models.config` of
    the repository is updated.

    Args:
        model: A network of the zoo or `spp_classifier`, or one with the same last
            layers.
        output: Folder of the model in its repository, such as
            `"saved_models/zf5_spp"`; the versions are numbered folders in it.
        labels: Class names, in the order of the scores.
        size_policy: How image files are sized, a policy of `spp_keras.data`.
            Defaults to the whole image, at most 1024 pixels long; for a model of
            one size to the crop at the center.
        top_k: Number of classes that `bytes` returns. Defaults to 5, or all if
            there are fewer.
        on_error: Effect of an image file that cannot be used. `"fail"` refuses its
            request, with the index of the image and the reason. `"report"` answers
            for the other images and adds `error_codes` and `errors`, 0 and empty for
            a good image: for servers that batch requests. Defaults to `"fail"`.
        limits: Limits for image files. Defaults to `ImageLimits()`.
        orientation: `"exif"` turns image files as their EXIF orientation says; `"file"`
            keeps their pixels as stored. Defaults to `"exif"`.
        background: The color behind transparent images, a name or `"#rrggbb"`. Defaults to
            `"white"`.
        max_pixels: Budget of pixels for image files of a request that are packed on
            canvases and mapped together, the smaller ones first. An image with more is mapped
            alone. It bounds the memory of feature maps, with the largest image that
            `size_policy` allows: two groups are in work at once. Decoded files take 100 MB
            more at most. Large budgets are for accelerators, such as 4,000,000.
            Defaults to 250,000, for CPUs.

    Returns:
        Path of the version's folder.

    Example:

    >>> import tempfile
    >>> model = zf5_spp(classes=2, width=0.0625)
    >>> output = tempfile.mkdtemp() + "/models/pets"
    >>> version = export_saved_model(model, output, labels=["cat", "dog"])
    >>> version.name
    '1'
    >>> image = tf.io.encode_jpeg(tf.zeros((90, 120, 3), "uint8"))
    >>> predictions = tf.saved_model.load(version).signatures["bytes"](image[None])
    >>> sorted(predictions), tuple(predictions["labels"].shape)
    (['indices', 'labels', 'scores'], (1, 2))
    """
    output = Path(output)
    model_repository.check_model_path(output)
    argument_checks.check_classifier(model)
    labels = argument_checks.check_labels(labels, model.output_shape[-1], model.name)
    policy = argument_checks.resolve_size_policy(size_policy, *model.input_shape[1:3])
    _checks.one_of(on_error, input_decoding.ON_ERROR, "on_error")
    _checks.one_of(orientation, orientations.ORIENTATIONS, "orientation")
    backgrounds.parse_background(background)
    _checks.at_least(max_pixels, 1, "max_pixels")
    top_k = min(_checks.at_least(top_k, 1, "top_k"), len(labels))
    files = input_decoding.FileInputs(
        policy, on_error, graph_run.min_image_size(model), limits, orientation, background
    )
    signatures = classifier_signatures.build_classifier_signatures(
        model, labels, files, top_k=top_k, packed_pixels=max_pixels
    )
    # Not None: `resolve_size_policy` has checked that there is a limit.
    largest: Any = policy.max_pixels(1)
    warm_up_size = model.input_shape[1] or min(224, math.isqrt(largest))
    return version_writer.write_version(
        model, output, labels, signatures, warm_up_size, orientation, background
    )
