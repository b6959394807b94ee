"""Export of a detector as a version of a model of TensorFlow Serving."""

from pathlib import Path
from typing import Literal

from spp_keras import _checks, model_repository
from spp_keras.data import backgrounds, image_rules, orientations, size_policies
from spp_keras.detection import Detector
from spp_keras.export import argument_checks
from spp_keras.export.tf_serving import detector_signatures, input_decoding, version_writer

# Side of the warm-up image: large enough for every part of a detector to run.
_WARM_UP_SIZE = 224


def export_detector(
    model: Detector,
    output: str | Path,
    *,
    on_error: Literal["fail", "report"] = "fail",
    limits: image_rules.ImageLimits = image_rules.ImageLimits(),  # noqa: B008  immutable
    longest_side: int = size_policies.DEFAULT_LONGEST_SIDE,
    orientation: Literal["exif", "file"] = "exif",
    background: str = backgrounds.WHITE,
) -> Path:
    """Exports a detector as the next version of a model of TensorFlow Serving.

    The SavedModel needs neither Keras nor this package. Its signatures take pixels,
    float32 `images` `(batch, height, width, 3)` in RGB 0..255, or files,
    `image_bytes` `(batch,)`, JPEG, PNG, GIF, BMP or WebP, **each of its own size**:

    - `detect` and `bytes_with_boxes`: with proposals for each image, float32 `boxes`
      `(batch, n, 4)`, left, top, right and bottom in pixels, padded with zeros where
      an image has fewer;
    - `serving_default` and `bytes`: with the proposals of the detector's RPN. Without
      an RPN, `serving_default` is `detect` and there is no `bytes`.

    Each returns `boxes` `(batch, max_detections, 4)`, `scores`, `classes` and `labels`
    `(batch, max_detections)`, of which the first `count` `(batch,)` are detections. The
    result for an image does not depend on the others. Boxes for and in a file are
    in pixels of the file, also if it was scaled down to `longest_side`.

    The folder is written as by `export_saved_model`, with labels, warm-up requests and
    `models.config`.

    Args:
        model: The detector.
        output: Folder of the model in its repository, such as `"saved_models/pets"`;
            the versions are numbered folders in it.
        on_error: Effect of an image file that cannot be used. `"fail"` refuses its
            request, with the index of the image and the reason. `"report"` returns no
            detections for it, answers for the other images and adds `error_codes` and
            `errors`, 0 and empty for a good image. Defaults to `"fail"`.
        limits: Limits for image files. Defaults to `ImageLimits()`.
        longest_side: Longer side in pixels that files are scaled down to, before the
            detector scales them. An image that comes as pixels may have as many
            pixels as this squared. Defaults to 1024.
        orientation: `"exif"` turns image files as their EXIF orientation says, and boxes
            are those of the upright image; `"file"` keeps their pixels as stored.
            Defaults to `"exif"`.
        background: The color behind transparent images, a name or `"#rrggbb"`. Defaults to
            `"white"`.

    Returns:
        Path of the version's folder.

    Example:

    >>> import tempfile
    >>> trunk, vectors = zf5_spp(include_top=False, width=0.0625), keras.Input((16,))
    >>> head = keras.Model(vectors, keras.layers.Dense(2, "sigmoid")(vectors))
    >>> detector = Detector(
    ...     trunk, head, labels=["cat", "dog"], grid=(16, 14), levels=(1,), scales=(120,),
    ...     max_detections=5,
    ... )
    >>> version = export_detector(detector, tempfile.mkdtemp() + "/models/pets")
    >>> detect = tf.saved_model.load(version).signatures["detect"]
    >>> boxes = tf.constant([[[0.0, 0, 70, 50], [75, 8, 110, 60]]])
    >>> detections = detect(images=tf.zeros((1, 64, 120, 3)), boxes=boxes)
    >>> sorted(detections), tuple(detections["labels"].shape)
    (['boxes', 'classes', 'count', 'labels', 'scores'], (1, 5))
    """
    output = Path(output)
    model_repository.check_model_path(output)
    argument_checks.check_detector(model)
    _checks.one_of(on_error, input_decoding.ON_ERROR, "on_error")
    _checks.one_of(orientation, orientations.ORIENTATIONS, "orientation")
    backgrounds.parse_background(background)
    longest_side = _checks.at_least(longest_side, 1, "longest_side")
    policy = size_policies.Whole(longest_side=longest_side)
    files = input_decoding.FileInputs(policy, on_error, 1, limits, orientation, background)
    signatures = detector_signatures.build_detector_signatures(model, files)
    warm_up_size = min(_WARM_UP_SIZE, longest_side)
    return version_writer.write_version(
        model, output, model.labels, signatures, warm_up_size, orientation, background
    )
