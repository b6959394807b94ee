"""Models as TFLite files, for phones and small boards."""

import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import convert as quantizer
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from spp_keras import _checks, _files, _progress
from spp_keras.data import orientations, size_policies
from spp_keras.export import checks
from spp_keras.export.tflite import conversion
from spp_keras.layers import (
    LocalResponseNormalization,
    RoISpatialPyramidPooling,
    SpatialPyramidPooling,
)
from spp_keras.zoo import layer_chain

FORMS = ("float32", "float16", "dynamic", "int8")

_ACTIVATIONS = schema.BuiltinOperator.SOFTMAX, schema.BuiltinOperator.LOGISTIC


def export_tflite(
    model: keras.Model,
    to: str | Path,
    *,
    labels: Sequence[str],
    form: Literal["float32", "float16", "dynamic", "int8"] = "float32",
    size: tuple[int, int] | None = None,
    view: size_policies.SizePolicy | None = None,
    calibration: Iterable[Any] | None = None,
    orientation: str = "exif",
) -> Path:
    r"""Writes a model as a TFLite file, and its labels beside it.

    The file answers for one image at a time, by TFLite's built-in operations
    alone. Its signature is `serving_default`: from `images`, `(1, height,
    width, channels)` in RGB 0..255, to `scores` in float32, `(1, classes)`.
    That of a model from `with_boxes` has `boxes`, `(1, boxes, 4)`, too, and
    gives `(1, boxes, classes)`; the interpreter fails without any box. Images
    smaller than the model can map are not refused there: the answer is wrong
    or the interpreter fails.

    Args:
        model: Model of this zoo with its top, `spp_classifier`'s and
            `with_boxes`'s included.
        to: Path of the file, ending in `.tflite`. The labels go, one a line,
            into the file of that name with `.labels.txt` in place of `.tflite`.
        labels: Name of each class, in the order of the scores.
        form: What the weights are. `"float32"`: the scores are the model's.
            `"float16"`: half the size, almost the same scores. `"dynamic"`: a
            quarter of the size and, on wide networks, several times as fast,
            weights in 8 bits and maps in 8 bits by each image's own range.
            `"int8"`: likewise, with ranges measured in advance, `images` are
            uint8; for machines that compute in whole numbers. Normalizations, box
            coordinates and the scores stay in float32. Defaults to `"float32"`.
        size: Height and width of every image, or `None` for a file that takes
            any size, by `resize_tensor_input`. Defaults to `None`.
        view: What the model is to see of a photograph, a policy of `spp_keras.data`,
            for `spp_keras.serving`: it goes into the file of that name with
            `.view.json`. Defaults to the whole image, at most 1024 pixels long; for
            one size that is square, to the crop at its center; else to none.
        calibration: For `"int8"`, and only for it, images such as the model
            will see, arrays `(height, width, channels)` of uint8: of `size`,
            or of typical sizes where that is `None`. A hundred suffice. For a
            model with boxes, pairs of an image and its boxes `(boxes, 4)`.
        orientation: `"exif"` if photographs are turned as their EXIF orientation says
            before the model sees them; `"file"` if their pixels are taken as they lie in
            the file. For `spp_keras.serving`, beside the view. Defaults to `"exif"`.

    Returns:
        The path of the file.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> model = keras.Sequential([keras.Input((8, 8, 3), name="images"), keras.layers.Flatten()])
    >>> model.add(keras.layers.Dense(2, activation="softmax"))
    >>> export_tflite(model, folder / "pets.tflite", labels=["cat", "dog"]).name
    'pets.tflite'
    >>> (folder / "pets.labels.txt").read_text()
    'cat\ndog\n'
    """
    to = conversion.check_tflite_path(to)
    inputs = _inputs(model)
    labels = checks.check_labels(labels, model.output_shape[-1], model.name)
    _checks.one_of(form, FORMS, "form")
    _checks.one_of(orientation, orientations.ORIENTATIONS, "orientation")
    least = layer_chain.min_image_size(model)
    shape = conversion.resolve_image_shape(inputs["images"].shape[1:], size, least)
    examples = _examples(calibration, form, shape, least, tuple(inputs))
    if view is not None or ("boxes" not in inputs and shape[0] == shape[1]):
        view = checks.check_view(view, *shape[:2])

    specs = {
        "images": tf.TensorSpec((1, *shape), "uint8" if form == "int8" else "float32", "images"),
        "boxes": tf.TensorSpec((1, None, 4), "float32", "boxes"),
    }
    signature = [specs[name] for name in inputs]
    with conversion.make_converter(model, _scores_of(model), signature, form) as converter:
        if form == "int8":
            content = _narrowed(_quantized(converter, examples, _float_layers(model)))
        else:
            content = converter.convert()
    if view is not None:
        seen = {
            "view": size_policies.policy_to_dict(view),
            "min_side": least,
            "orientation": orientation,
        }
        _files.write_file(to.with_suffix(".view.json"), json.dumps(seen) + "\n")
    return conversion.write_tflite(content, to, labels)


def _scores_of(model: keras.Model) -> Callable[..., dict[str, Any]]:
    def scores(images: Any, boxes: Any = None) -> Any:
        images = tf.cast(images, "float32")
        inputs = images if boxes is None else {"images": images, "boxes": boxes}
        return {"scores": model(inputs, training=False)}

    return scores


def _quantized(
    converter: Any, examples: Sequence[dict[str, np.ndarray]], float_layers: Sequence[str]
) -> bytes:
    """The model in int8 but for some layers.

    TFLite's int8 kernels of a normalization are slower than all else in the
    network together, and its 8 bits are too few for squares. Which operations
    stay in float32 is for `QuantizationDebugger` to say, by the two steps below;
    it takes a third, which converts all once more to compare.
    """
    converter.representative_dataset = lambda: _progress.create_bar(examples, "Measuring ranges")
    converter._experimental_calibrate_only = True
    with warnings.catch_warnings():
        # The converter's own use of an interpreter that has moved to another package.
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter is deprecated")
        calibrated = converter.convert()
    names = list(_operations_in_float(calibrated, float_layers))
    return quantizer.mlir_quantize(calibrated, denylisted_nodes=names)


def _operations_in_float(content: bytes, layers: Sequence[str]) -> Iterator[str]:
    """The operations of some layers and the last activation, by the names of their outputs."""
    inside = re.compile(rf"/({'|'.join(re.escape(layer) for layer in layers)})(_\d+)?/")
    for graph, operation, code in _operations(
        flatbuffer_utils.convert_bytearray_to_object(content)
    ):
        for output in operation.outputs:
            name = graph.tensors[output].name.decode()
            if inside.search(name) or (code in _ACTIVATIONS and output in graph.outputs):
                yield name


def _narrowed(content: bytes) -> bytes:
    """Dense layers that were left in float32 with weights of 8 bits, and sums in float32.

    As the form `"dynamic"` has them. The last layer is one of them: scores of 8
    bits tie, and which class comes first is chance then.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    for graph, operation, code in _operations(model):
        if code != schema.BuiltinOperator.FULLY_CONNECTED:
            continue
        weights = graph.tensors[operation.inputs[1]]
        stored = model.buffers[weights.buffer]
        if weights.type != schema.TensorType.FLOAT32 or stored.data is None:
            continue
        values = np.frombuffer(bytes(stored.data), "float32")
        scale = max(float(np.abs(values).max()), 1e-30) / 127
        stored.data = np.round(values / scale).astype("int8").view("uint8")
        weights.type = schema.TensorType.INT8
        weights.quantization = schema.QuantizationParametersT()
        weights.quantization.scale = np.array([scale], "float32")
        weights.quantization.zeroPoint = np.zeros(1, "int64")
        operation.builtinOptions.asymmetricQuantizeInputs = True
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _operations(model: schema.ModelT) -> Iterator[tuple[Any, Any, int]]:
    """Every operation with the graph that it is in and the number of its kind."""
    for graph in model.subgraphs:
        for operation in graph.operators or ():
            yield graph, operation, model.operatorCodes[operation.opcodeIndex].builtinCode


def _float_layers(model: keras.Model) -> list[str]:
    kept = LocalResponseNormalization, RoISpatialPyramidPooling, keras.layers.Rescaling
    return [
        layer.name
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, kept)
        or layer is model.layers[-1]
        or (isinstance(layer, SpatialPyramidPooling) and layer.mode == "average")
    ]


def _inputs(model: Any) -> dict[str, Any]:
    """The inputs of a model by the names that they have in the file."""
    inputs = list(getattr(model, "inputs", None) or [])
    names = ["images"] if len(inputs) == 1 else sorted(tensor.name for tensor in inputs)
    fits = isinstance(model, keras.Model) and names in (["images"], ["boxes", "images"])
    fits = fits and [len(output.shape) for output in model.outputs] == [1 + len(names)]
    if not fits:
        raise ValueError(
            "`model` must be a `keras.Model` with its top, from images, or from `images` and "
            "`boxes` as by `zoo.with_boxes`; give the model that `zoo.with_sizes` was given. "
            f"Received: model={getattr(model, 'name', model)!r}."
        )
    if len(names) == 1:
        return {"images": inputs[0]}
    by_name = {tensor.name: tensor for tensor in inputs}
    return {"images": by_name["images"], "boxes": by_name["boxes"]}


def _examples(
    calibration: Any, form: str, shape: Sequence[int | None], least: int, names: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """What to calibrate with, as requests to the file."""
    if (form == "int8") != (calibration is not None):
        raise ValueError(
            "`calibration` must be given for form='int8', some hundred images such as the model "
            f"will see, and for no other form. Received: form={form!r} with "
            f"calibration={'None' if calibration is None else 'images'}."
        )
    examples = []
    for number, example in enumerate(calibration or ()):
        if len(names) == 2 and not (isinstance(example, Sequence) and len(example) == 2):
            raise ValueError(
                "`calibration` must hold pairs of an image and its boxes, since the model takes "
                f"boxes. Received: number {number} is {type(example).__name__}."
            )
        parts = example if len(names) == 2 else (example,)
        image = np.asarray(parts[0])
        _check_image(image, number, shape, least)
        request = {"images": image[np.newaxis]}
        for boxes in parts[1:]:
            request["boxes"] = _check_boxes(np.asarray(boxes), number)[np.newaxis]
        examples.append(request)
    if form == "int8" and not examples:
        raise ValueError("`calibration` must hold one image or more. Received: none.")
    return examples


def _check_image(image: np.ndarray, number: int, shape: Sequence[int | None], least: int) -> None:
    fits = image.dtype == np.uint8 and image.ndim == 3 and min(image.shape[:2]) >= least
    if not fits or any(
        own not in (None, side) for own, side in zip(shape, image.shape, strict=True)
    ):
        raise ValueError(
            f"`calibration` must hold images of uint8 and shape {tuple(shape)}, no side under "
            f"{least}: resize them. Received: number {number} is {image.dtype} of shape "
            f"{image.shape}."
        )


def _check_boxes(boxes: np.ndarray, number: int) -> np.ndarray:
    if boxes.ndim != 2 or boxes.shape[0] < 1 or boxes.shape[1] != 4:
        raise ValueError(
            "`calibration` must hold boxes of shape (boxes, 4), one or more for each image. "
            f"Received: those of number {number} have shape {boxes.shape}."
        )
    return boxes.astype("float32")
