"""One way to ask a detector's run folder or SavedModel where things are on a photograph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras import detection, model_repository, run_folder
from spp_keras.data import image_rules, safe_decoding, size_policies
from spp_keras.detection import heads, selective_search
from spp_keras.run_folder import RunFolder
from spp_keras.serving import image_inputs, saved_models


class DetectorPrediction(NamedTuple):
    """What a detector says of an image, the best first.

    Args:
        boxes: Left, top, right and bottom of each object, in pixels of the image before it
            was scaled, the right way up, ends exclusive.
        scores: Their scores.
        labels: Names of their classes.
        classes: Numbers of their classes.
        error: Why there is no answer; `None` if there is one.
    """

    boxes: tuple[tuple[float, float, float, float], ...] = ()
    scores: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    error: str | None = None


def load_detector(
    model: str | Path, score_threshold: float | None = None
) -> Callable[[image_inputs.ImageLike], DetectorPrediction]:
    """A function from an image to what is `DetectorPrediction` on it.

    Where the detector has no proposer, selective search makes its windows.

    Args:
        model: Run folder of a detector; or a SavedModel of one, or a folder of its
            versions, of which the highest is taken.
        score_threshold: Score that an object must exceed, besides the detector's own
            `score_threshold`. Defaults to `None`: 0.5 where scores are probabilities, 0
            where they are margins of support vector machines (`--head svm`).

    Returns:
        The function. It takes the path of a file, the bytes of one, a PIL image, or an
        array of RGB pixels, uint8 `(height, width, 3)`. It never raises for what is in
        a file; where there is none it raises `FileNotFoundError`.

    Example:

    >>> import tempfile
    >>> run = Path(tempfile.mkdtemp())
    >>> trunk, vectors = zf5_spp(include_top=False, width=0.0625), keras.Input((16,))
    >>> head = keras.Model(vectors, keras.layers.Dense(2, "sigmoid")(vectors))
    >>> detection.Detector(
    ...     trunk, head, labels=["cat", "dog"], grid=(16, 14), levels=(1,), scales=(120,)
    ... ).save(run / "detector.keras")
    >>> find = load_detector(run)
    >>> photograph = tf.io.encode_jpeg(tf.zeros((90, 120, 3), "uint8")).numpy()
    >>> set(find(photograph).labels) <= {"cat", "dog"}
    True
    >>> find(b"Not found").error
    'is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG'
    """
    path = Path(model)
    version = saved_models.find_version(path)
    if (path / run_folder.DETECTOR).is_file():
        find = _of_run(path, score_threshold)
        return lambda image: find(image_inputs.encode_image(image))
    if version is not None:
        find = _of_saved_model(version, score_threshold)
        return lambda image: find(image_inputs.encode_image(image))
    why = f"It holds no {run_folder.DETECTOR}" if path.exists() else "There is nothing"
    if (path / run_folder.RECIPE).is_file():
        why += ": a run that names photographs is for `spp-keras predict`"
    raise ValueError(
        "`model` must be the run folder of a detector, or a SavedModel of one (or the folder of "
        f"its versions). {why}. Received: model={str(path)!r}."
    )


def read_orientation(model: str | Path) -> str:
    """Which way up a detector takes image files, and so has its boxes.

    Args:
        model: As for `load_detector`.

    Returns:
        `"exif"`, turned as their EXIF orientation says, or `"file"`, as their pixels lie in
        the file.
    """
    version = saved_models.find_version(Path(model))
    if version is None or (Path(model) / run_folder.DETECTOR).is_file():
        return RunFolder(model).orientation
    return model_repository.read_orientation(version)


def _of_run(run: Path, score_threshold: float | None) -> Callable[[bytes], DetectorPrediction]:
    detector = RunFolder(run).model
    if not isinstance(detector, detection.Detector):
        raise ValueError(
            f"{run_folder.DETECTOR} must hold a `spp_keras.detection.Detector`. "
            f"Received: one of {type(detector).__name__} in model={str(run)!r}."
        )
    if score_threshold is None:
        names = (weight.path for weight in detector.head.weights)
        score_threshold = heads.choose_score_threshold(names)
    pixels = tf.TensorSpec((None, None, 3), tf.uint8)
    if detector.rpn is None:
        search = _search()
        on_windows = tf.function(
            detector.detect,
            input_signature=[pixels, tf.TensorSpec((None, 4), tf.float32)],
            autograph=False,
        )

        def detect(image: Any) -> dict[str, Any]:
            return on_windows(image, search(image.numpy()))

    else:
        detect = tf.function(
            lambda image: detector.detect(image), input_signature=[pixels], autograph=False
        )
    decode = _decoder(RunFolder(run).orientation)

    def find(image: bytes) -> DetectorPrediction:
        decoded = decode(image)
        if decoded.code != image_rules.OK:
            return DetectorPrediction(error=decoded.reason.numpy().decode())
        found = {name: value.numpy() for name, value in detect(decoded.pixels).items()}
        width_height = decoded.size.numpy()[[1, 0, 1, 0]]
        found["boxes"] = np.clip(found["boxes"] * _factors(decoded), 0, width_height)
        names = [detector.labels[number] for number in found["classes"][: found["count"]]]
        return _found(found, names, score_threshold)

    return find


def _of_saved_model(
    version: Path, score_threshold: float | None
) -> Callable[[bytes], DetectorPrediction]:
    loaded = tf.saved_model.load(str(version))
    orientation = model_repository.read_orientation(version)
    if "bytes" in loaded.signatures and "boxes" in loaded.signatures["bytes"].structured_outputs:
        windows = None
    elif "bytes_with_boxes" in loaded.signatures:
        windows, search, decode = "sent", _search(), _decoder(orientation)
    else:
        raise ValueError(
            "`model` must have a signature `bytes` or `bytes_with_boxes` that answers with "
            "`boxes`, as exports of detectors have; one that names photographs is for "
            f"`spp-keras predict`. This one has {', '.join(loaded.signatures)}. "
            f"Received: model={str(version)!r}."
        )

    if score_threshold is None:
        # An export keeps the names of the weights.
        variables = getattr(loaded, "variables_of_the_model", ())
        names = (variable.name.partition(":")[0] for variable in variables)
        score_threshold = heads.choose_score_threshold(names)

    def find(image: bytes) -> DetectorPrediction:
        if windows is None:
            found, error = saved_models.call_signature(
                loaded.signatures["bytes"], image_bytes=image
            )
        else:
            decoded = decode(image)
            if decoded.code != image_rules.OK:
                return DetectorPrediction(error=decoded.reason.numpy().decode())
            boxes = (search(decoded.pixels.numpy()) * _factors(decoded)).astype("float32")
            signature = loaded.signatures["bytes_with_boxes"]
            found, error = saved_models.call_signature(signature, image_bytes=image, boxes=boxes)
        if error is not None:
            return DetectorPrediction(error=error)
        names = [name.decode() for name in found["labels"][: found["count"]]]
        return _found(found, names, score_threshold)

    return find


def _search() -> Callable[[np.ndarray], np.ndarray]:
    # To fail before photographs are read.
    selective_search.import_opencv()
    return lambda image: selective_search.selective_search(image)


def _decoder(orientation: str) -> Callable[[bytes], safe_decoding.DecodedImage]:
    view = size_policies.Whole(longest_side=size_policies.DEFAULT_LONGEST_SIDE)
    return tf.function(
        lambda image: safe_decoding.decode_safely(image, view, orientation=orientation),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )


def _factors(decoded: safe_decoding.DecodedImage) -> np.ndarray:
    """From pixels that were seen to those of the image, of which there may be more."""
    return (decoded.size.numpy() / decoded.pixels.shape[:2])[[1, 0, 1, 0]]


def _found(
    found: dict[str, np.ndarray], names: list[str], score_threshold: float
) -> DetectorPrediction:
    """What counts of a detector's answer, with a name for each detection that does."""
    boxes, scores, classes = (
        found[key][: found["count"]] for key in ("boxes", "scores", "classes")
    )
    kept = np.flatnonzero(scores > score_threshold)
    return DetectorPrediction(
        tuple(map(tuple, boxes[kept].tolist())),
        tuple(scores[kept].tolist()),
        tuple(names[i] for i in kept),
        tuple(classes[kept].tolist()),
    )
