"""TFLite files of EfficientNet-Lite0, with ImageNet weights and as it is fine-tuned."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from tiers import mark_rest

import spp_keras
from spp_keras import cli
from spp_keras.export.tflite import classifier

pytestmark = pytest.mark.integration

# Of probabilities, on the photographs below.
CLOSE = {"none": 1e-4, "float16": 1e-2, "dynamic": 0.15, "int8": 0.2}
TESTED = ("chelsea.png", "coffee.png", "astronaut.png")
CALIBRATED = ("motorcycle_left.png", "rocket.jpg", "coins.png", "ihc.png", "retina.jpg")


@functools.cache
def photographs(names):
    folder = Path(pytest.importorskip("skimage").__file__).parent / "data"
    found = []
    for name in names:
        picture = Image.open(folder / name).convert("RGB")
        picture.thumbnail((260, 260))
        found.append(np.asarray(picture))
    return found


@functools.cache
def network(kind):
    if kind == "ImageNet":
        return spp_keras.load_run("efficientnet_lite0").model
    keras.utils.set_random_seed(0)
    model = spp_keras.create_model(
        "efficientnet_lite0", classes=7, weights="imagenet", levels=(2, 1), mode="max"
    )
    last = model.layers[-1]
    last.kernel.assign(np.random.default_rng(0).normal(0, 0.1, last.kernel.shape))
    return model


def ask(path, image):
    interpreter = Interpreter(str(path))
    (images,), (scores,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(images["index"], (1, *image.shape), strict=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(images["index"], image[np.newaxis].astype(images["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(scores["index"])[0]


def check_scores(path, model, close):
    for image in photographs(TESTED):
        expected = np.asarray(model(image[np.newaxis].astype("float32")))[0]
        found = ask(path, image)
        np.testing.assert_allclose(found, expected, atol=close)
        second, first = np.sort(expected)[-2:]
        if first - second > 2 * close:
            assert found.argmax() == expected.argmax()


@pytest.mark.parametrize("quantization", classifier.QUANTIZATIONS)
@pytest.mark.parametrize("kind", mark_rest(["ImageNet", "fine-tuned"], "ImageNet"))
def test_files_answer_as_keras_does(tmp_path, kind, quantization):
    model = network(kind)
    images = photographs(CALIBRATED) if quantization == "int8" else None
    path = classifier.export_tflite(
        model,
        tmp_path / "lite0.tflite",
        labels=[str(number) for number in range(model.output_shape[-1])],
        quantization=quantization,
        calibration_images=images,
    )
    check_scores(path, model, CLOSE[quantization])


def test_int8_by_name_is_calibrated_with_a_folder_of_photographs(tmp_path):
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(photographs(CALIBRATED)):
        Image.fromarray(image).save(tmp_path / "photos" / f"{number}.png")
    path = tmp_path / "lite0.tflite"
    arguments = ["efficientnet_lite0", "--output", str(path), "--quantize", "int8"]
    assert cli.main(["export", *arguments, "--calibration-data", str(tmp_path / "photos")]) == 0
    check_scores(path, network("ImageNet"), CLOSE["int8"])
    # Each channel of a convolution has a scale of its own.
    content = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    (graph,) = content.subgraphs
    codes = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
    convolutions = [
        operation
        for operation in graph.operators
        if content.operatorCodes[operation.opcodeIndex].builtinCode in codes
    ]
    assert len(convolutions) > 40
    for operation in convolutions:
        weights = graph.tensors[operation.inputs[1]]
        assert weights.type == schema.TensorType.INT8
        channels = weights.shape[weights.quantization.quantizedDimension]
        assert len(weights.quantization.scale) == channels > 1
