"""A detector as a version of a model that TensorFlow Serving loads."""

from pathlib import Path
from typing import Literal

from spp_keras import _checks, model_repository
from spp_keras.data import image_rules, orientations, size_policies
from spp_keras.detection import Detector
from spp_keras.export import checks
from spp_keras.export.tf_serving import detector_signatures, input_decoding, version_writer

# What a warm-up shows: large enough for all that a detector does.
_SIDE = 224


def export_detector(
    detector: Detector,
    to: str | Path,
    *,
    errors: Literal["raise", "report"] = "raise",
    limits: image_rules.ImageLimits = image_rules.ImageLimits(),  # noqa: B008  immutable
    longest_side: int = size_policies.DEFAULT_LONGEST_SIDE,
    orientation: str = "exif",
) -> Path:
    """Exports a detector as the next version of a model that TensorFlow Serving loads.

    What is saved needs neither Keras nor this package. It can be asked for what is on
    pixels, float32 `images` `(batch, height, width, 3)` in RGB 0..255, or on files,
    `image_bytes` `(batch,)`, JPEG, PNG, GIF, BMP or WebP, **each of its own size**:

    - `detect` and `bytes_with_boxes`: in windows that come with each image, float32
      `boxes` `(batch, n, 4)`, left, top, right and bottom in pixels; zeros fill up where
      an image has fewer;
    - `serving_default` and `bytes`, of a detector that proposes windows: in these.
      Of another, `serving_default` is `detect`.

    Each answers with `boxes` `(batch, most, 4)`, `scores`, `classes` and `labels`
    `(batch, most)`, of which the first `count` `(batch,)` hold, every image's as if it had
    come alone. Of a file, boxes are in its own pixels, those sent and those answered,
    also where it was scaled down to `longest_side`.

    Written like what `save` writes, with labels, warm-up and `models.config`.

    Args:
        detector: The detector.
        to: Folder of the model in its repository, such as `"saved_models/pets"`;
            versions are numbered folders in it.
        errors: What a file that is no usable image does to its request: `"raise"` refuses
            it with the image's number and the reason; `"report"` finds nothing on it,
            answers for the others and adds `error_codes` and `errors`, 0 and empty for a
            good one. Defaults to `"raise"`.
        limits: What an image must be. Defaults to `Limits()`.
        longest_side: Pixels of the longer side that files are scaled down to, before the
            detector scales them to its own. As many squared is what an image may have
            that comes as pixels. Defaults to 1024.
        orientation: `"exif"` turns files as their EXIF orientation says, and boxes are in
            the upright image; `"file"` takes pixels as they lie in the file. Defaults to
            `"exif"`.

    Returns:
        Path of the version's folder.

    Example:

    >>> import tempfile
    >>> trunk, vectors = zf5_spp(include_top=False, width=0.0625), keras.Input((16,))
    >>> head = keras.Model(vectors, keras.layers.Dense(2, "sigmoid")(vectors))
    >>> detector = Detector(
    ...     trunk, head, labels=["cat", "dog"], grid=(16, 14), levels=(1,), scales=(120,), most=5
    ... )
    >>> folder = export_detector(detector, tempfile.mkdtemp() + "/models/pets")
    >>> detect = tf.saved_model.load(folder).signatures["detect"]
    >>> boxes = tf.constant([[[0.0, 0, 70, 50], [75, 8, 110, 60]]])
    >>> found = detect(images=tf.zeros((1, 64, 120, 3)), boxes=boxes)
    >>> sorted(found), tuple(found["labels"].shape)
    (['boxes', 'classes', 'count', 'labels', 'scores'], (1, 5))
    """
    to = Path(to)
    model_repository.check_model_path(to)
    checks.check_detector(detector)
    _checks.one_of(errors, ("raise", "report"), "errors")
    _checks.one_of(orientation, orientations.ORIENTATIONS, "orientation")
    view = size_policies.Whole(longest_side=_checks.at_least(longest_side, 1, "longest_side"))
    files = input_decoding.FileInputs(view, errors, 1, limits, orientation)
    asked = detector_signatures.build_detector_signatures(detector, files)
    side = min(_SIDE, longest_side)
    return version_writer.write_version(detector, to, detector.labels, asked, side, orientation)
