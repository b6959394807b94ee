"""Classification of images by a run, a SavedModel or a TFLite file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras import _checks, _extras, model_repository, pretrained, run_folder, tflite_files
from spp_keras.data import image_rules, safe_decoding
from spp_keras.models import graph_run
from spp_keras.run_folder import RunFolder
from spp_keras.serving.loaded_model import LoadedModel, call_signature, find_version


class Prediction(NamedTuple):
    """The best classes of an image.

    Args:
        labels: Names of the classes, the best first.
        scores: Their scores.
        error: Why there is no prediction, such as a file that cannot be decoded; `None`
            if there is one.
    """

    labels: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    error: str | None = None


def load_predictor(model: str | Path | RunFolder, top_k: int = 5) -> LoadedModel[Prediction]:
    """Loads a classifier as a function from an image to a `Prediction`.

    Args:
        model: A run or its folder; the name of a network with weights, see
            `spp_keras.list_models`; a SavedModel or a folder of its versions, of which the
            highest is taken; or a TFLite file with its labels beside it.
        top_k: Number of classes in a prediction; of a SavedModel no more than it was
            exported with. Defaults to 5.

    Returns:
        The function. It takes the path of a file, the bytes of one, a PIL image, or an
        array of RGB pixels, uint8 `(height, width, 3)`. It never raises for the content
        of a file; if there is none it raises `FileNotFoundError`. AVIF, TIFF and, with the
        package `pillow-heif`, HEIC files are converted before the model gets them.

    Example:

    >>> import tempfile
    >>> from spp_keras.export import export_model
    >>> model = zf5_spp(classes=2, width=0.0625)
    >>> version = export_model(model, tempfile.mkdtemp() + "/models/pets", labels=["cat", "dog"])
    >>> predict = load_predictor(version)
    >>> image = tf.io.encode_jpeg(tf.zeros((90, 120, 3), "uint8")).numpy()
    >>> sorted(predict(image).labels)
    ['cat', 'dog']
    >>> predict(np.zeros((90, 120, 3), "uint8")) == predict(image)
    True
    >>> predict(b"Not found").error
    'is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG'
    """
    _checks.at_least(top_k, 1, "top_k")
    run = model if isinstance(model, RunFolder) else RunFolder(pretrained.find_run(model))
    path = run.path
    if path.suffix == ".tflite" and path.is_file():
        return _load_tflite(path, top_k)
    if run.exists or (path / run_folder.DETECTOR).is_file():
        return _load_run(run, top_k)
    version = find_version(path)
    if version is not None:
        return _load_saved_model(version, top_k)
    raise ValueError(
        "`model` must be a run folder, a SavedModel (or the folder of its versions), or a "
        f"TFLite file. {'It holds none of them' if path.exists() else 'There is nothing'}. "
        f"Received: model={str(path)!r}."
    )


def _load_run(run: RunFolder, top_k: int) -> LoadedModel[Prediction]:
    if run.is_detector:
        raise ValueError(
            "`model` must be the run of a classifier; for a detector, use `load_detector` or "
            f"`spp-keras detect`. Received: model={str(run.path)!r}."
        )
    model = run.model
    classify = tf.function(
        lambda pixels: model(pixels[tf.newaxis])[0],
        input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)],
    )
    decode = safe_decoding.make_decoder(
        run.size_policy,
        graph_run.min_image_size(model),
        orientation=run.orientation,
        background=run.background,
    )
    predict = _make_predictor(decode, lambda pixels: classify(pixels).numpy(), run.labels, top_k)
    return LoadedModel(predict, run.orientation, run.background, _fail)


def _load_saved_model(version: Path, top_k: int) -> LoadedModel[Prediction]:
    loaded = tf.saved_model.load(str(version))
    if "bytes" not in loaded.signatures:
        raise ValueError(
            "`model` must have a signature `bytes`, as `export_model` writes it; this one has "
            f"{', '.join(loaded.signatures)}. Received: model={str(version)!r}."
        )

    def predict(image: bytes) -> Prediction:
        outputs, error = call_signature(loaded.signatures["bytes"], image_bytes=image)
        if error is not None:
            return _fail(error)
        labels = tuple(label.decode() for label in outputs["labels"][:top_k])
        return Prediction(labels, tuple(outputs["scores"][:top_k].tolist()))

    orientation = model_repository.read_orientation(version)
    return LoadedModel(predict, orientation, model_repository.read_background(version), _fail)


def _load_tflite(path: Path, top_k: int) -> LoadedModel[Prediction]:
    litert = _extras.import_package("ai_edge_litert.interpreter", "tflite", "A TFLite file")
    labels = tflite_files.read_labels(path)
    size_policy, min_side, orientation, background = tflite_files.read_preprocessing(path)
    interpreter = litert.Interpreter(str(path))
    (images,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()

    def classify(pixels: Any) -> np.ndarray:
        interpreter.resize_tensor_input(images["index"], (1, *pixels.shape))
        interpreter.allocate_tensors()
        interpreter.set_tensor(images["index"], pixels.numpy()[np.newaxis].astype(images["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(scores["index"])[0]

    decode = safe_decoding.make_decoder(
        size_policy, min_side, orientation=orientation, background=background
    )
    predict = _make_predictor(decode, classify, labels, top_k)
    return LoadedModel(predict, orientation, background, _fail)


def _fail(reason: str) -> Prediction:
    return Prediction(error=reason)


def _make_predictor(
    decode: Callable[[bytes], safe_decoding.DecodedImage],
    classify: Callable[[Any], np.ndarray],
    labels: tuple[str, ...],
    top_k: int,
) -> Callable[[bytes], Prediction]:
    def predict(image: bytes) -> Prediction:
        decoded = decode(image)
        if decoded.code != image_rules.OK:
            return _fail(decoded.reason.numpy().decode())
        scores = classify(decoded.pixels)
        # Of equal scores the first class first, as `tf.math.top_k` does.
        best = np.argsort(-scores, kind="stable")[:top_k]
        return Prediction(tuple(labels[i] for i in best), tuple(scores[best].tolist()))

    return predict
