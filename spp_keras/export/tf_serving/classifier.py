"""A classifier as a version of a model that TensorFlow Serving loads."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import keras

from spp_keras import _checks, model_repository
from spp_keras.data import image_rules, orientations, size_policies
from spp_keras.export import checks
from spp_keras.export.tf_serving import classifier_signatures, input_decoding, version_writer
from spp_keras.zoo import layer_chain


def export_saved_model(
    model: keras.Model,
    to: str | Path,
    *,
    labels: Sequence[str],
    view: size_policies.SizePolicy | None = None,
    top: int = 5,
    errors: Literal["raise", "report"] = "raise",
    limits: image_rules.ImageLimits = image_rules.ImageLimits(),  # noqa: B008  immutable
    orientation: str = "exif",
) -> Path:
    """Exports a network as the next version of a model that TensorFlow Serving loads.

    What is saved needs neither Keras nor this package: operations of TensorFlow
    alone, with labels and preprocessing inside. It can be asked by five signatures:

    - `serving_default`: `images`, float32 `(batch, height, width, 3)` of any size,
      RGB values 0..255, to `scores` `(batch, classes)`; `uint8` the same from bytes;
    - `bytes`: `image_bytes`, a vector of JPEG, PNG, GIF, BMP or WebP files, **each of its
      own size**, to the best `scores`, their `indices` and `labels`, each `(batch, top)`,
      every image's as if it had come alone;
    - `features` and `bytes_features`: images as pixels or as files to the vector
      behind the pyramid and to the last hidden one, named as their layers are
      (`spp` and `fc7` in ZF-5).

    The version is written aside and renamed, so that a server that polls the
    folder finds all of it or nothing. `models.config` of the repository is
    brought up to date.

    Args:
        model: Network of the zoo or `spp_classifier`, or one that ends likewise.
        to: Folder of the model in its repository, such as
            `"saved_models/zf5_spp"`; versions are numbered folders in it.
        labels: Name of each class.
        view: What the network is to see of an image that comes as a file, a policy
            of `spp_keras.data`. Defaults to the whole image, at most 1024 pixels
            long; for a network of one size, to the crop at its center.
        top: How many classes `bytes` answers with. Defaults to 5, or all if
            there are fewer.
        errors: What a file that is no usable image does to its request:
            `"raise"` refuses it with the image's number and the reason;
            `"report"` answers for the others and adds `error_codes` and `errors`,
            0 and empty for a good one: what a server that joins requests needs.
            Defaults to `"raise"`.
        limits: What an image must be. Defaults to `Limits()`.
        orientation: `"exif"` turns files as their EXIF orientation says; `"file"` takes
            their pixels as they lie in the file. Defaults to `"exif"`.

    Returns:
        Path of the version's folder.

    Example:

    >>> import tempfile
    >>> model = zf5_spp(classes=2, width=0.0625)
    >>> folder = export_saved_model(model, tempfile.mkdtemp() + "/models/pets", labels=["cat", "dog"])
    >>> folder.name
    '1'
    >>> photograph = tf.io.encode_jpeg(tf.zeros((90, 120, 3), "uint8"))
    >>> answer = tf.saved_model.load(folder).signatures["bytes"](photograph[None])
    >>> sorted(answer), tuple(answer["labels"].shape)
    (['indices', 'labels', 'scores'], (1, 2))
    """
    to = Path(to)
    model_repository.check_model_path(to)
    checks.check_classifier(model)
    labels = checks.check_labels(labels, model.output_shape[-1], model.name)
    view = checks.check_view(view, *model.input_shape[1:3])
    _checks.one_of(errors, ("raise", "report"), "errors")
    _checks.one_of(orientation, orientations.ORIENTATIONS, "orientation")
    top = min(_checks.at_least(top, 1, "top"), len(labels))
    files = input_decoding.FileInputs(
        view, errors, layer_chain.min_image_size(model), limits, orientation
    )
    asked = classifier_signatures.build_classifier_signatures(model, labels, files, top=top)
    # There are that many: see `checks.view`.
    max_pixels: Any = view.max_pixels(1)
    side = model.input_shape[1] or min(224, math.isqrt(max_pixels))
    return version_writer.write_version(model, to, labels, asked, side, orientation)
