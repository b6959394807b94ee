"""Detection in images by a run or a SavedModel."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from spp_keras import model_repository, run_folder
from spp_keras.data import image_rules, safe_decoding, size_policies
from spp_keras.detection import Detections, Detector, box_scaling, heads, selective_search
from spp_keras.run_folder import RunFolder
from spp_keras.serving.loaded_model import LoadedModel, call_signature, find_version

_SIZE_POLICY = size_policies.Whole(longest_side=size_policies.DEFAULT_LONGEST_SIDE)


def load_detector(
    model: str | Path | RunFolder, score_threshold: float | None = None
) -> LoadedModel[Detections]:
    """Loads a detector as a function from an image to its `Detections`.

    Boxes are in pixels of the file's image, upright. A detector without an RPN takes the
    proposals of selective search.

    Args:
        model: A detector's run or its folder; or a SavedModel of a detector, or a folder of
            its versions, of which the highest is taken.
        score_threshold: Score that a detection must exceed, besides the detector's own
            `score_threshold`. Defaults to `None`: 0.5 if scores are probabilities, 0
            if they are margins of SVMs (`--head svm`).

    Returns:
        The function. It takes the path of a file, the bytes of one, a PIL image, or an
        array of RGB pixels, uint8 `(height, width, 3)`. It never raises for the content
        of a file; if there is none it raises `FileNotFoundError`. AVIF, TIFF and, with the
        package `pillow-heif`, HEIC files are converted before the model gets them.

    Example:

    >>> import tempfile
    >>> run = Path(tempfile.mkdtemp())
    >>> trunk, vectors = zf5_spp(include_top=False, width=0.0625), keras.Input((16,))
    >>> head = keras.Model(vectors, keras.layers.Dense(2, "sigmoid")(vectors))
    >>> Detector(
    ...     trunk, head, labels=["cat", "dog"], grid=(16, 14), levels=(1,), scales=(120,)
    ... ).save(run / "detector.keras")
    >>> detect = load_detector(run)
    >>> image = tf.io.encode_jpeg(tf.zeros((90, 120, 3), "uint8")).numpy()
    >>> set(detect(image).labels) <= {"cat", "dog"}
    True
    >>> detect(b"Not found").error
    'is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG'
    """
    run = model if isinstance(model, RunFolder) else RunFolder(model)
    path = run.path
    if (path / run_folder.DETECTOR).is_file():
        return _load_run(run, score_threshold)
    version = find_version(path)
    if version is not None:
        return _load_saved_model(version, score_threshold)
    reason = f"It holds no {run_folder.DETECTOR}" if path.exists() else "There is nothing"
    if run.exists:
        reason += ": for the run of a classifier, use `load_predictor` or `spp-keras predict`"
    raise ValueError(
        "`model` must be the run folder of a detector, or a SavedModel of one (or the folder of "
        f"its versions). {reason}. Received: model={str(path)!r}."
    )


def _load_run(run: RunFolder, score_threshold: float | None) -> LoadedModel[Detections]:
    detector = run.model
    if not isinstance(detector, Detector):
        raise ValueError(
            f"`model` must have a `spp_keras.detection.Detector` in its {run_folder.DETECTOR}. "
            f"Received: a {type(detector).__name__} in model={str(run.path)!r}."
        )
    if score_threshold is None:
        score_threshold = heads.choose_score_threshold(
            weight.path for weight in detector.head.weights
        )
    detect = _make_detect(detector)
    decode = safe_decoding.make_decoder(
        _SIZE_POLICY, orientation=run.orientation, background=run.background
    )

    def detect_in_file(image: bytes) -> Detections:
        decoded = decode(image)
        if decoded.code != image_rules.OK:
            return _fail(decoded.reason.numpy().decode())
        outputs = detect(decoded.pixels)
        sizes = decoded.pixels.shape[:2], decoded.size
        boxes = box_scaling.scale_boxes_to_file(outputs["boxes"], *sizes)
        outputs = {name: value.numpy() for name, value in (outputs | {"boxes": boxes}).items()}
        labels = [detector.labels[index] for index in outputs["classes"][: outputs["count"]]]
        return _make_detections(outputs, labels, score_threshold)

    return LoadedModel(detect_in_file, run.orientation, run.background, _fail)


def _make_detect(detector: Detector) -> Callable[[Any], dict[str, Any]]:
    """A graph of the detector for one image, with selective search before it if need be."""
    pixels = tf.TensorSpec((None, None, 3), tf.uint8)
    if detector.rpn is not None:
        return tf.function(
            lambda image: detector.detect(image), input_signature=[pixels], autograph=False
        )
    # Fails before images are read.
    selective_search.import_opencv()
    boxes = tf.TensorSpec((None, 4), tf.float32)
    detect = tf.function(detector.detect, input_signature=[pixels, boxes], autograph=False)
    return lambda image: detect(image, selective_search.selective_search(image.numpy()))


def _load_saved_model(version: Path, score_threshold: float | None) -> LoadedModel[Detections]:
    loaded = tf.saved_model.load(str(version))
    signatures = loaded.signatures
    orientation = model_repository.read_orientation(version)
    background = model_repository.read_background(version)
    if "bytes" in signatures and "boxes" in signatures["bytes"].structured_outputs:
        detect = _make_call(signatures["bytes"])
    elif "bytes_with_boxes" in signatures:
        decode = safe_decoding.make_decoder(
            _SIZE_POLICY, orientation=orientation, background=background
        )
        detect = _make_call_with_proposals(signatures["bytes_with_boxes"], decode)
    else:
        raise ValueError(
            "`model` must have a signature `bytes` or `bytes_with_boxes` that returns `boxes`, as "
            "exports of detectors have; for the export of a classifier, use `load_predictor` or "
            f"`spp-keras predict`. This one has {', '.join(signatures)}. "
            f"Received: model={str(version)!r}."
        )
    if score_threshold is None:
        # An export keeps the names of the weights.
        variables = getattr(loaded, "variables_of_the_model", ())
        names = (variable.name.partition(":")[0] for variable in variables)
        score_threshold = heads.choose_score_threshold(names)

    def detect_in_file(image: bytes) -> Detections:
        outputs, error = detect(image)
        if error is not None:
            return _fail(error)
        labels = [label.decode() for label in outputs["labels"][: outputs["count"]]]
        return _make_detections(outputs, labels, score_threshold)

    return LoadedModel(detect_in_file, orientation, background, _fail)


_Call = Callable[[bytes], tuple[dict[str, Any], str | None]]


def _make_call(signature: Any) -> _Call:
    return lambda image: call_signature(signature, image_bytes=image)


def _make_call_with_proposals(
    signature: Any, decode: Callable[[bytes], safe_decoding.DecodedImage]
) -> _Call:
    # Fails before images are read.
    selective_search.import_opencv()

    def call(image: bytes) -> tuple[dict[str, Any], str | None]:
        decoded = decode(image)
        if decoded.code != image_rules.OK:
            return {}, decoded.reason.numpy().decode()
        boxes = selective_search.selective_search(decoded.pixels.numpy())
        sizes = decoded.pixels.shape[:2], decoded.size
        boxes = box_scaling.scale_boxes_to_file(boxes, *sizes)
        return call_signature(signature, image_bytes=image, boxes=boxes)

    return call


def _fail(reason: str) -> Detections:
    return Detections(error=reason)


def _make_detections(
    outputs: dict[str, np.ndarray], labels: list[str], score_threshold: float
) -> Detections:
    """The detections above a score.

    Args:
        outputs: Outputs of a detector for one image.
        labels: Name of the class of each detection.
        score_threshold: Score that a detection must exceed.
    """
    boxes, scores, classes = (
        outputs[name][: outputs["count"]] for name in ("boxes", "scores", "classes")
    )
    kept = np.flatnonzero(scores > score_threshold)
    names = tuple(labels[i] for i in kept)
    return Detections(boxes[kept], scores[kept], classes[kept], names)
