"""One way to ask a run folder, a SavedModel or a TFLite file about a photograph."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from spp_keras import _extras, run_folder
from spp_keras.data import image_rules, safe_decoding, size_policies
from spp_keras.run_folder import RunFolder
from spp_keras.serving import image_inputs, saved_models
from spp_keras.zoo import layer_chain


class Prediction(NamedTuple):
    """What a network says of an image.

    Args:
        labels: Names of classes, the likeliest first.
        scores: Their scores.
        error: Why there is no answer; `None` if there is one.
    """

    labels: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    error: str | None = None


def load_predictor(
    model: str | Path, top: int = 5
) -> Callable[[image_inputs.ImageLike], Prediction]:
    """A function from an image to an `Prediction`.

    Args:
        model: A run folder; a SavedModel or a folder of its versions, of which the
            highest is taken; or a TFLite file with its labels beside it.
        top: How many classes to answer with, a SavedModel with as many as it
            was exported for at most. Defaults to 5.

    Returns:
        The function. It takes the path of a file, the bytes of one, a PIL image, or an
        array of RGB pixels, uint8 `(height, width, 3)`. It never raises for what is in
        a file; where there is none it raises `FileNotFoundError`.

    Example:

    >>> import tempfile
    >>> from spp_keras import export
    >>> model = zf5_spp(classes=2, width=0.0625)
    >>> saved = export.save(model, tempfile.mkdtemp() + "/models/pets", labels=["cat", "dog"])
    >>> ask = load_predictor(saved)
    >>> photograph = tf.io.encode_jpeg(tf.zeros((90, 120, 3), "uint8"))
    >>> sorted(ask(photograph.numpy()).labels)
    ['cat', 'dog']
    >>> ask(np.zeros((90, 120, 3), "uint8")) == ask(photograph.numpy())
    True
    >>> ask(b"Not found").error
    'is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG'
    """
    path = Path(model)
    if path.suffix == ".tflite" and path.is_file():
        ask = _of_tflite(path, top)
    elif (path / run_folder.RECIPE).is_file():
        ask = _of_run(path, top)
    elif (version := saved_models.find_version(path)) is not None:
        ask = _of_saved_model(version, top)
    else:
        raise ValueError(
            "`model` must be a run folder, a SavedModel (or the folder of its versions), or a "
            f"TFLite file. {'It holds none of them' if path.exists() else 'There is nothing'}. "
            f"Received: model={str(path)!r}."
        )
    return lambda image: ask(image_inputs.encode_image(image))


def _of_run(run: Path, top: int) -> Callable[[bytes], Prediction]:
    run_files = RunFolder(run)
    network, labels, view = run_files.model, run_files.labels, run_files.size_policy
    orientation = run_files.orientation
    scores = tf.function(
        lambda pixels: network(pixels[tf.newaxis])[0],
        input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)],
    )
    decode = _decoder(view, layer_chain.min_image_size(network), orientation)
    return lambda image: _answer(decode(image), lambda pixels: scores(pixels).numpy(), labels, top)


def _of_saved_model(version: Path, top: int) -> Callable[[bytes], Prediction]:
    loaded = tf.saved_model.load(str(version))
    if "bytes" not in loaded.signatures:
        raise ValueError(
            "`model` must have a signature `bytes`, as `spp-keras export` gives it; this one has "
            f"{', '.join(loaded.signatures)}. Received: model={str(version)!r}."
        )

    def answer(image: bytes) -> Prediction:
        found, error = saved_models.call_signature(loaded.signatures["bytes"], image_bytes=image)
        if error is not None:
            return Prediction(error=error)
        labels = tuple(label.decode() for label in found["labels"][:top])
        return Prediction(labels, tuple(found["scores"][:top].tolist()))

    return answer


def _of_tflite(path: Path, top: int) -> Callable[[bytes], Prediction]:
    beside = {name: path.with_suffix(name) for name in (".labels.txt", ".view.json")}
    for file in beside.values():
        if not file.is_file():
            raise ValueError(
                f"{file.name} must lie beside {path.name}, where `spp-keras export` wrote it. "
                f"Received: model={str(path)!r}."
            )
    labels = tuple(beside[".labels.txt"].read_text(encoding="utf-8").splitlines())
    seen = json.loads(beside[".view.json"].read_text(encoding="utf-8"))
    litert = _extras.import_package("ai_edge_litert.interpreter", "tflite", "A TFLite file")
    interpreter = litert.Interpreter(str(path))
    (images,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()

    def ask(pixels: Any) -> np.ndarray:
        interpreter.resize_tensor_input(images["index"], (1, *pixels.shape))
        interpreter.allocate_tensors()
        interpreter.set_tensor(images["index"], pixels.numpy()[np.newaxis].astype(images["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(scores["index"])[0]

    # Files of 0.1.0 say nothing of it.
    orientation = seen.get("orientation", "exif")
    decode = _decoder(size_policies.policy_from_dict(seen["view"]), seen["min_side"], orientation)
    return lambda image: _answer(decode(image), ask, labels, top)


def _decoder(
    view: size_policies.SizePolicy, min_side: int, orientation: str
) -> Callable[[bytes], Any]:
    return tf.function(
        lambda image: safe_decoding.decode_safely(image, view, min_side, orientation=orientation),
        input_signature=[tf.TensorSpec((), tf.string)],
    )


def _answer(
    decoded: safe_decoding.DecodedImage,
    ask: Callable[[Any], np.ndarray],
    labels: tuple[str, ...],
    top: int,
) -> Prediction:
    if decoded.code != image_rules.OK:
        return Prediction(error=decoded.reason.numpy().decode())
    scores = ask(decoded.pixels)
    # The first of equals first, as `tf.math.top_k` has it.
    best = np.argsort(-scores, kind="stable")[:top]
    return Prediction(tuple(labels[i] for i in best), tuple(scores[best].tolist()))
